"""The byte-level BPE: training, fast encoding, special tokens, and a report on how it fits.

`load("builtin")` gives the shipped vocabulary of 76,800 entries. Importing this package loads neither `tokenizers` nor
`gigatoken`; the first `load` or `train` does.
"""

from tokenizer.encode import BUILTIN, Encoder, load, load_bytes
from tokenizer.errors import TokenizerError
from tokenizer.report import GroupFit, VocabularyFit, measure
from tokenizer.tokens import END_OF_TEXT, SPECIAL_TOKENS
from tokenizer.train import VOCAB_SIZE, train

__all__ = [
    "BUILTIN",
    "END_OF_TEXT",
    "SPECIAL_TOKENS",
    "VOCAB_SIZE",
    "Encoder",
    "GroupFit",
    "TokenizerError",
    "VocabularyFit",
    "load",
    "load_bytes",
    "measure",
    "train",
]
