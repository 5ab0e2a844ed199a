"""Which files a file asks for, as its language says it: by patterns in its lines, without a parser."""

from pipeline.forms.comments import without_comments
from pipeline.forms.paths_of import Target
from pipeline.forms.ways import WAYS

MOST_IMPORTS = 1_000  # of one file: what lists more is a table


def imports_of(content: bytes, *, path: str, language: str) -> list[Target]:
    """What a file of `language` (linguist's name) asks for, each once, in the order of its first mention.

    `path` is the file's own from the root of its repository. Empty for languages that are not in `WAYS`. Whether a
    target is a file of the repository, or of a library, is told by `resolve.py`.
    """
    way = WAYS.get(language)
    if way is None or not any(pattern.search(content) for pattern, _ in way.patterns):
        return []
    bare = without_comments(content, kind=way.comments)
    found: dict[Target, None] = {}
    for pattern, leads in way.patterns:
        for match in pattern.finditer(bare):
            groups = tuple((group or b"").decode("utf-8", "replace") for group in match.groups())
            found.update(dict.fromkeys(target for target in leads(path, groups) if target))
            if len(found) >= MOST_IMPORTS:
                return list(found)[:MOST_IMPORTS]
    return list(found)
