"""The licences of a mixture: LICENSE.md, and what the front matter of a card may say in their place."""

from __future__ import annotations

from typing import Any

from pipeline.publish.facts import Facts
from pipeline.publish.markdown import escaped, tallied

LICENSE_FILE = "LICENSE.md"
NONE_GIVEN = "none given"
# Licences by the keyword that hubs have for them, where SPDX's id is another spelling of it.
_KEYWORDS = (
    "mit apache-2.0 bsd-2-clause bsd-3-clause isc zlib unlicense mpl-2.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0 "
    "epl-1.0 epl-2.0 eupl-1.1 artistic-2.0 bsl-1.0 ms-pl ncsa osl-3.0 postgresql wtfpl ofl-1.1 pddl odbl odc-by "
    "cc0-1.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 cc-by-nd-4.0"
)


def front_matter_of(facts: Facts) -> dict[str, Any]:
    """The licence keys of the card: one keyword where all that enters has that licence, else a name and a link."""
    found = [name for (name,) in facts.counts.by("license")]
    keyword = (found[0] or "").lower() if len(found) == 1 else ""
    if keyword and keyword in _KEYWORDS.split() and facts.said.license in (None, found[0]):
        return {"license": keyword}
    return {"license": "other", "license_name": "each-document-its-own", "license_link": LICENSE_FILE}


def license_file(facts: Facts) -> str:
    """LICENSE.md."""
    collection = facts.said.license
    lines = [
        f"# Licences of {escaped(facts.title)}",
        "",
        "Every document keeps its own licence. What follows is what sources said of their documents, as they spelled "
        "it: no legal advice, and no promise that it is so.",
        "",
        *([f"The collection as such: {escaped(collection)}.", ""] if collection else []),
        *tallied(("licence",), facts.counts.by("license"), none=NONE_GIVEN),
    ]
    return "\n".join(lines) + "\n"
