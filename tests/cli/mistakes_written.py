"""Values of a mixture as people write them elsewhere: of each what its one line must hold."""

from __future__ import annotations

from mistakes import GOOD, Mistake, instead, of_mixture


def at_total(value: str) -> str:
    return GOOD + f"balance: {{total_tokens: {value}}}\n"


# What is written, the file with it, parts of what is said of it.
_OF_A_VALUE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("a share with a percent sign", instead("1.0", "50%"), ("line 6: select.max_loss: ", "(got '50%')", "write 0.5")),
    ("a share as a fraction", instead("1.0", "1/2"), ("line 6: select.max_loss: ", "(got '1/2')", "write 0.5")),
    ("a comma for the point", GOOD + "ingest:\n  sample: 0,05\n", ("line 8: ingest.sample: ", "write 0.05")),
    ("percent of a sample", GOOD + "ingest: {sample: 10}\n", ("ingest.sample: ", "(got 10)", "for 10 % write 0.1")),
    ("thousands as k", instead("64", "4k"), ("pack.seq_len: ", "(got '4k')", "write 4000, or 4096 where k is 1024")),
    ("a power", instead("64", "2^12"), ("pack.seq_len: ", "(got '2^12')", "write 4096")),
    ("a whole number with a point", instead("64", "4096.0"), ("pack.seq_len: ", "(got 4096.0); write 4096")),
    ("half of a whole number", GOOD + "balance: {max_copies: 1.5}\n", ("(got 1.5)", "write a whole number")),
    ("billions as B", at_total("1B"), ("balance.total_tokens: ", "(got '1B')", "write 1000000000")),
    ("trillions as T", at_total("1.5T"), ("balance.total_tokens: ", "(got '1.5T')", "write 1500000000000")),
    ("millions as M", at_total("10M tokens"), ("(got '10M tokens')", "write 10000000")),
    ("millions in a word", at_total("2 million"), ("(got '2 million')", "write 2000000")),
    ("blanks between thousands", at_total("1 000 000"), ("(got '1 000 000')", "write 1000000")),
    ("points between thousands", at_total("1.000.000"), ("(got '1.000.000')", "write 1000000")),
    ("a number of another form", at_total("1.0e+9"), ("(got 1000000000.0)", "write 1000000000")),
    ("a point between thousands", at_total("1.000"), ("(got 1.0)", "parts no thousands: write 1000")),
    ("thousands of a sequence with a point", instead("64", "4.096"), ("pack.seq_len: ", "(got 4.096)", "write 4096")),
    ("more than the whole", instead("1.0", "150%"), ("(got '150%'); that is 1.5, which ", "less than or equal to 1")),
    ("a share below zero", instead("1.0", "-20%"), ("(got '-20%'); that is -0.2, ", "greater than or equal to 0")),
    ("all of it as a sample", GOOD + "ingest: {sample: 100%}\n", ("(got '100%'); that is 1, ", "be less than 1")),
    ("percent of all of it", GOOD + "ingest: {sample: 100}\n", ("ingest.sample: ", "less than 1 (got 100)")),
    ("a sequence of a trillion", instead("64", "1T"), ("(got '1T'); that is 1000000000000, ", "equal to 2147483647")),
    ("a sequence of a billion", instead("64", "1B"), ("pack.seq_len: ", "(got '1B')", "write 1000000000")),
    ("too few bytes in words", GOOD + "ingest: {shard_bytes: 1kB}\n", ("that is 1000, which ", "or equal to 1024")),
    ("all of it", at_total("all"), ("total_tokens: ", "(got 'all')", "write null, or take the key out")),
    ("a switch where a number belongs", GOOD + "seed: yes\n", ("seed: ", "(got True)", "write a number")),
    ("a size in megabytes", GOOD + "ingest: {shard_bytes: 64MB}\n", ("(got '64MB')", "write 64000000")),
    ("a size in mebibytes", GOOD + "ingest: {shard_bytes: 64 MiB}\n", ("(got '64 MiB')", "write 67108864")),
    ("a size in bytes", GOOD + "ingest: {shard_bytes: 4096B}\n", ("(got '4096B')", "write 4096")),
    ("a switch in quotes", instead("max_loss: 1.0", "drop_unknown: 'yes'"), ("(got 'yes')", "write true or false")),
    ("a key without a value", GOOD + "balance:\n", ("line 7: balance: ", "(got nothing)", "take the key out")),
    ("a number where text belongs", instead("mine", "2024"), ("name: ", "(got 2024)", "put it in quotes")),
    ("a glob that is a list", instead("path: code", "path: [ab]"), ("sources.0.path: ", "in quotes: '[ab]'")),
    ("a glob that is a mapping", instead("path: code", "path: {a,b}"), ("sources.0.path: ", "in quotes: '{a,b}'")),
    (
        "several licences as a list",
        instead("path: code", "path: code, license: [MIT, ISC]"),
        ("sources.0.license: ", "and this is a list"),
    ),
    (
        "a pattern without brackets",
        instead("path: code", "path: code, exclude: '*.md'"),
        ("sources.0.exclude: ", "write ['*.md']"),
    ),
    (
        "braces in a pattern",
        instead("path: code", "path: code, exclude: ['*.md', '*.{py,js}']"),
        ("line 3: sources.0.exclude: ", "'*.{py,js}' has braces", "write '*.py', '*.js' in its place"),
    ),
    ("a list without brackets", GOOD + "quality:\n  sets: c4, gopher\n", ("quality.sets: ", "write [c4, gopher]")),
    ("one source without a dash", "name: mine\nsources: {name: a}\n", ("sources: ", "as in - name: NAME")),
)
# The same where the file is no YAML, or YAML means another number, so that the place is drawn.
_DRAWN = (
    ("a glob behind a path", instead("path: code", "path: code/[ab]*.py"), ("3:52: ", "in quotes: 'code/[ab]*.py'")),
    ("a glob with braces", instead("path: code", "path: {a,b}/*.py"), ("3:47: ", "in quotes: '{a,b}/*.py'")),
    ("a pattern with a bracket", instead("pool: code", "include: [[a-z]*.py]"), ("3:", "in quotes: '[a-z]*.py'")),
    ("a pattern that begins with !", instead("pool: code", "exclude: [!a]"), ("3:", "begins with ! in quotes")),
    (
        "a pattern that begins with #",
        instead("pool: code", "exclude: [#a]"),
        ("4:3: ", "the rest of line 3 is a comment"),
    ),
    ("a ratio for the balance", GOOD + "balance: 1:1\n", ("7:10: ", "a ratio is {code: {parts: 1}, text: {parts: 1}}")),
    ("a ratio where a number belongs", GOOD + "balance: {code: {parts: 1:1}}\n", ("7:25: ", "YAML reads 1:1 as 61")),
    ("a number that begins with 0", GOOD + "seed: 017\n", ("7:7: ", "YAML reads 017 as 15", "that is meant")),
)
WRITTEN: list[Mistake] = [
    *(of_mixture(did, text, *parts) for did, text, parts in _OF_A_VALUE),
    *(of_mixture(did, text, *parts, draws=True) for did, text, parts in _DRAWN),
]
