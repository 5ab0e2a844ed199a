"""What writers of data keep to themselves: files of rows below a folder or glob with `.` or `_` in front.

Spark and Hadoop write `_temporary/` and `.part-0.parquet.crc`, macOS `._part.jsonl`, Jupyter `.ipynb_checkpoints/`.
Arrow's and Spark's readers pass over all such names; so do we. A partition (`_year=2024/`) is read, as Spark does. Who
wants such files writes the sign: `include: ["*", "_*"]`, a glob with `/_*.jsonl`, or one file by its whole name. Of
kinds whose files are documents nothing is hidden: `.github/` and `__init__.py` are somebody's work.
"""

from collections.abc import Iterable

_SIGNS = (".", "_")
_HERE = (".", "..")  # no name: `./part-0.jsonl`


def shown_by(patterns: Iterable[str]) -> frozenset[str]:
    """The signs that some of these patterns write in front of a name, and so mean."""
    wanted = (pattern for pattern in patterns if not pattern.startswith("!"))
    parts = (part for pattern in wanted for part in pattern.split("/"))
    return frozenset(part[0] for part in parts if part.startswith(_SIGNS) and part not in _HERE)


def is_hidden(path: str, *, shown: frozenset[str]) -> bool:
    """Whether the name of a file, or of a folder on the way to it, begins with a sign that is not among the shown."""
    return any(
        part.startswith(_SIGNS) and part[0] not in shown and not (part[0] == "_" and "=" in part)
        for part in path.split("/")
    )
