"""The rules of the text pool, to be read from top to bottom. Every threshold can be changed in the mixture.

Gopher is Rae et al. 2021 (arXiv 2112.11446), section A.1.1; FineWeb is Penedo et al. 2024 (arXiv 2406.17557). Gopher
was made for English web pages. Our text pool is documentation, books and law in many languages, so most thresholds are
wider, two rules are missing (English stop words; FineWeb's lines without a final stop, which hits poems and lists) and
no rule depends on English:

- A word is a piece between spaces with a letter or a digit in any script, not a token of a tokenizer: with the
  tokenizer's words nearly all Markdown fails the share of words with a letter.
- Of hash signs only those of hashtags count: headings, anchors and C# would drop a seventh of an API's manual.
- In scripts without spaces between words each letter is a word. `few_words` then asks for that many letters (some
  30 Chinese words), and the mean word length says nothing, so that rule passes over documents with a fifth or more
  of such letters.
"""

from __future__ import annotations

from pipeline.quality.rules import Rule

RULES = (
    Rule("few_words", "n_words", "below", "min_words", "Gopher: fewer than 50 words; ours keeps a short README"),
    Rule("many_words", "n_words", "above", "max_words", "Gopher: more than 100,000 words; ours is wider, for books"),
    Rule(
        "word_length",
        "mean_word_chars",
        "below",
        "min_mean_word_chars",
        "Gopher: mean word of fewer than 3 characters",
        spaced_only=True,
    ),
    Rule(
        "word_length",
        "mean_word_chars",
        "above",
        "max_mean_word_chars",
        "Gopher: mean word of more than 10 characters; ours is wider, for languages that compound",
        spaced_only=True,
    ),
    Rule(
        "symbols",
        "symbol_word_frac",
        "above",
        "max_symbol_word_frac",
        "Gopher: hash signs or ellipses above 10 %; ours not of Markdown",
    ),
    Rule("few_alpha_words", "alpha_word_frac", "below", "min_alpha_word_frac", "Gopher: 80 % of words have a letter"),
    Rule("bullets", "bullet_line_frac", "above", "max_bullet_line_frac", "Gopher: more than 90 % bullet lines"),
    Rule(
        "ellipses",
        "ellipsis_line_frac",
        "above",
        "max_ellipsis_line_frac",
        "Gopher: more than 30 %, which some novels have",
    ),
    Rule(
        "text_duplicate_lines",
        "duplicate_line_frac",
        "above",
        "max_duplicate_line_frac",
        "Gopher: more than 30 % duplicate lines, 20 % of the characters; ours has room for programs in a manual",
    ),
    Rule("text_long_line", "max_line_chars", "above", "max_line_chars", "StarCoder2: its limit for markup and text"),
)
