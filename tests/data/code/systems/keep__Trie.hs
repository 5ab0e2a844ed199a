{-# LANGUAGE LambdaCase #-}

-- | A prefix tree that counts how often each word was inserted.
module Data.Trie
  ( Trie
  , empty
  , insert
  , lookup
  , completions
  , fromWords
  , size
  ) where

import Data.List (foldl', sortOn)
import qualified Data.Map.Strict as Map
import Data.Maybe (fromMaybe)
import Data.Ord (Down (..))
import Prelude hiding (lookup)

data Trie k = Trie
  { occurrences :: !Int
  , children :: !(Map.Map k (Trie k))
  }
  deriving (Eq, Show)

empty :: Trie k
empty = Trie 0 Map.empty

insert :: Ord k => [k] -> Trie k -> Trie k
insert [] node = node {occurrences = occurrences node + 1}
insert (k : ks) node = node {children = Map.alter step k (children node)}
  where
    step = Just . insert ks . fromMaybe empty

-- | How often a word was inserted; zero for a word that is only a prefix of others.
lookup :: Ord k => [k] -> Trie k -> Int
lookup word = maybe 0 occurrences . descend word

descend :: Ord k => [k] -> Trie k -> Maybe (Trie k)
descend [] node = Just node
descend (k : ks) node = Map.lookup k (children node) >>= descend ks

-- | All words that begin with the prefix, the most frequent first.
completions :: Ord k => [k] -> Trie k -> [([k], Int)]
completions prefix trie =
  case descend prefix trie of
    Nothing -> []
    Just node -> sortOn (Down . snd) [(prefix ++ rest, n) | (rest, n) <- toList node]

toList :: Trie k -> [([k], Int)]
toList node = here ++ below
  where
    here = [([], occurrences node) | occurrences node > 0]
    below = [(k : ks, n) | (k, child) <- Map.toList (children node), (ks, n) <- toList child]

fromWords :: Ord k => [[k]] -> Trie k
fromWords = foldl' (flip insert) empty

size :: Trie k -> Int
size = length . toList
