"""The rules of the text pool, to be read from top to bottom. Every threshold can be changed in the mixture.

Gopher is Rae et al. 2021 (arXiv 2112.11446), section A.1.1, made for English web pages. Our text pool is documentation,
books and law in many languages, so most thresholds are wider and no rule depends on English. See docs/quality.md.
"""

from pipeline.quality.rules import Rule

# Reason, feature, threshold, whose limit it is. A default is its source's unless the sentence says otherwise.
RULES = (
    # A word is a piece between spaces with a letter or a digit in any script, not a token of a tokenizer: with those
    # nearly all Markdown fails few_alpha_words. In scripts without spaces each letter is a word, so this asks for that
    # many letters, some 30 Chinese words.
    Rule("few_words", "n_words", "min_words", "Gopher: fewer than 50 words; ours 30, which keeps a short README"),
    Rule("many_words", "n_words", "max_words", "Gopher: more than 100,000 words; ours a million, for books"),
    # Says nothing where each letter is a word, so documents with a fifth or more of such letters are passed over.
    Rule("word_length", "mean_word_chars", "min_mean_word_chars", "Gopher: below 3; ours 2", spaced_only=True),
    Rule(
        "word_length",
        "mean_word_chars",
        "max_mean_word_chars",
        "Gopher: mean word of more than 10 characters; ours 15, for languages that compound",
        spaced_only=True,
    ),
    Rule("symbols", "symbol_word_frac", "max_symbol_word_frac", "Gopher: above 10 %; ours spares Markdown's signs"),
    Rule("few_alpha_words", "alpha_word_frac", "min_alpha_word_frac", "Gopher: below 80 % with a letter; ours 60 %"),
    Rule("bullets", "bullet_line_frac", "max_bullet_line_frac", "Gopher: more than 90 % bullet lines"),
    Rule("ellipses", "ellipsis_line_frac", "max_ellipsis_line_frac", "Gopher: above 30 %; ours 50 %, for some novels"),
    Rule(
        "text_duplicate_lines",
        "duplicate_line_frac",
        "max_duplicate_line_frac",
        "Gopher: more than 30 % of lines, 20 % of characters; ours 40 % of characters, for programs in a manual",
    ),
    Rule("text_long_line", "max_line_chars", "max_line_chars", "StarCoder2: above 100,000 in markup and text"),
)
