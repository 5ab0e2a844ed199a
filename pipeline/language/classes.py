"""The classes that the content classifier tells apart, and which language belongs to which."""

from functools import lru_cache

from pipeline.language.shares import PAPER_LANGUAGES
from pipeline.language.table import TEXT, group_of

OTHER = "Other"  # a language that has no class of its own
CLASSES = (*PAPER_LANGUAGES, TEXT, OTHER)

# Dialects that no content tells apart reliably.
_DIALECTS = {"VBA": "Visual Basic .NET", "Visual Basic 6.0": "Visual Basic .NET"}


@lru_cache(maxsize=4_096)
def class_of(language: str) -> str:
    """The class of a linguist language: itself, its group's, or OTHER."""
    for name in (language, _DIALECTS.get(language, ""), group_of(language)):
        if name in CLASSES:
            return name
    return OTHER
