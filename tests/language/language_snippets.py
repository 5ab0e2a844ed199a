"""Small files of our own, and what guesslang's SavedModel (TensorFlow 2.21) said about their bytes."""

PYTHON = b'''import math


def mean(values):
    """The arithmetic mean; zero for an empty list."""
    if not values:
        return 0.0
    return math.fsum(values) / len(values)


if __name__ == "__main__":
    print(mean([1, 2, 3]))
'''
C = b"""#include <stdio.h>

static int square(int x)
{
    return x * x;
}

int main(void)
{
    for (int i = 0; i < 10; i++)
        printf("%d\\n", square(i));
    return 0;
}
"""
RUST = b"""use std::collections::HashMap;

fn count(words: &[&str]) -> HashMap<String, usize> {
    let mut seen = HashMap::new();
    for word in words {
        *seen.entry(word.to_string()).or_insert(0) += 1;
    }
    seen
}

fn main() {
    println!("{:?}", count(&["tea", "milk", "tea"]));
}
"""
JAVA = b"""package shop;

import java.util.ArrayList;
import java.util.List;

public class Basket {
    private final List<String> items = new ArrayList<>();

    public void add(String item) {
        items.add(item);
    }

    public static void main(String[] args) {
        Basket basket = new Basket();
        basket.add("apples");
        System.out.println(basket.items.size());
    }
}
"""
SHELL = b"""set -eu
for file in "$@"; do
  if [ -f "$file" ]; then
    wc -l "$file"
  else
    echo "no such file: $file" >&2
  fi
done
"""
SQL = b"""CREATE TABLE lighthouse (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, height_m INTEGER);
INSERT INTO lighthouse (id, name, height_m) VALUES (1, 'North Head', 31);
SELECT name, height_m FROM lighthouse WHERE height_m > 30 ORDER BY name;
"""
HASKELL = b"""module Main where

import Data.List (sortBy)

newtype Score = Score Int deriving (Eq, Ord, Show)

best :: [Score] -> Maybe Score
best [] = Nothing
best xs = Just (maximum xs)

main :: IO ()
main = print (best [Score 3, Score 9])
"""
YAML = b"""name: kettle
services:
  boiler:
    image: example/boiler
    ports:
      - "8080:80"
    environment:
      LEVEL: full
"""
PROSE = b"""The lamp had been lit for an hour when the fog came in from the sea. Nobody in the house spoke about it, for
they had all seen it before, and they knew that it would be gone by the morning. The old man put another log on the fire
and went back to his book.
"""

# Top label and its probability.
SAVED_MODEL = [
    (PYTHON, "Python", 0.30937105),
    (C, "C", 0.20282050),
    (RUST, "Rust", 0.95421314),
    (JAVA, "Java", 0.91837215),
    (SHELL, "Shell", 0.39129105),
    (SQL, "SQL", 0.89540088),
    (HASKELL, "Haskell", 0.97433066),
    (YAML, "YAML", 0.47716770),
    (PROSE, "Haskell", 0.06823967),
    (b"", "INI", 0.04170287),
    (bytes(range(256)) * 60, "Batchfile", 0.66633606),
]
