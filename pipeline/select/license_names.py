"""What one licence name says: its class by the vendored SPDX table, whatever the spelling.

The table is ScanCode's, since SPDX itself lists names and no classes; `data/README.md` has its origin. A name that it
does not hold is brought to one that it does: Debian's short names, versions written otherwise, full names, web
addresses. What remains unknown is a licence that nobody here can read, so it counts as `other`, not as none.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

# In the order of what a keeper should have: the best copy first. Nobody has said that an unlabelled copy is free, but
# nobody has said that it is not.
PERMISSIVE, UNKNOWN, COPYLEFT, OTHER = 0, 1, 2, 3
CLASSES = {"permissive": PERMISSIVE, "unknown": UNKNOWN, "copyleft": COPYLEFT, "other": OTHER}

_OF_CATEGORY = {
    "Permissive": PERMISSIVE,
    "Public Domain": PERMISSIVE,
    "Copyleft": COPYLEFT,
    "Copyleft Limited": COPYLEFT,  # weak copyleft, by file or library: the licence still follows the text
    "Unstated License": UNKNOWN,
    # CLA, Commercial, Free Restricted, Patent License, Proprietary Free, Source-available: `other`
}
_SAYS_NOTHING = frozenset({
    "", "osi-approved", "unknown", "none", "noassertion", "no", "null", "nan", "n-a", "na", "unspecified",
    "unlabeled",
})  # fmt: skip

# Names that differ from SPDX's by more than case, separators and version. Keys are in the form of `_plain`.
_SAME = {
    "expat": "mit", "mit-x11": "mit", "mit-x": "mit", "x11-mit": "mit",
    "bsd": "bsd-3-clause", "new-bsd": "bsd-3-clause", "modified-bsd": "bsd-3-clause", "revised-bsd": "bsd-3-clause",
    "bsd-3-clause-new-or-revised": "bsd-3-clause", "bsd-new": "bsd-3-clause", "3-clause-bsd": "bsd-3-clause",
    "bsd-2-clause-simplified": "bsd-2-clause", "simplified-bsd": "bsd-2-clause", "2-clause-bsd": "bsd-2-clause",
    "freebsd": "bsd-2-clause", "zero-clause-bsd": "0bsd", "bsd-0-clause": "0bsd", "bsd-style": "bsd-3-clause",
    "boost": "bsl-1.0", "boost-software": "bsl-1.0", "bsl": "bsl-1.0", "zope": "zpl-2.1", "zope-public": "zpl-2.1",
    "psf": "psf-2.0", "psfl": "psf-2.0", "python-software-foundation": "psf-2.0", "isc-iscl": "isc", "iscl": "isc",
    "historical-permission-notice-and-disclaimer": "hpnd", "university-of-illinois-ncsa-open-source": "ncsa",
    "pd": "public-domain", "public-domain-dedication": "public-domain", "cc-zero": "cc0-1.0", "cc-0": "cc0-1.0",
    "creative-commons-zero": "cc0-1.0", "cc0-universal": "cc0-1.0", "unicode": "unicode-3.0",
    "openldap": "oldap-2.8", "zlib-libpng": "zlib", "ssleay": "openssl",
    "unlicensed": "proprietary-license", "proprietary": "proprietary-license", "commercial": "commercial-license",
    "all-rights-reserved": "proprietary-license", "mit-no-attribution": "mit-0", "openrail": "bigscience-open-rail-m",
    "apache-software": "apache-2.0", "apache-software-foundation": "apache-2.0", "asl": "apache-2.0",
    "academic-free": "afl-3.0", "universal-permissive": "upl-1.0", "sil-open-font": "ofl-1.1", "ofl": "ofl-1.1",
    # Classifiers of Python packages that repeat the name in brackets.
    "cc0-1.0-universal-cc0-1.0-public-domain-dedication": "cc0-1.0", "blue-oak-model-blueoak-1.0.0": "blueoak-1.0.0",
    "boost-software-1.0-bsl-1.0": "bsl-1.0", "cmu-mit-cmu": "mit-cmu", "mit-no-by-mit-0": "mit-0",
    "educational-community-2.0-ecl-2.0": "ecl-2.0", "historical-permission-notice-and-disclaimer-hpnd": "hpnd",
    "mulan-permissive-software-2-mulanpsl-2.0": "mulanpsl-2.0", "vovida-software-1.0": "vsl-1.0",
    "sil-open-font-1.1-ofl-1.1": "ofl-1.1", "open-software-3.0-osl-3.0": "osl-3.0", "cddl-1.0-cddl-1.0": "cddl-1.0",
    "cea-cnrs-inria-logiciel-libre-2.1-cecill-2.1": "cecill-2.1",
    # Names without what else they are written with, and with it.
    "boost-software-1.0": "bsl-1.0", "cc0-1.0-universal": "cc0-1.0", "cc-zero-1.0-universal": "cc0-1.0",
    "mit-no-by": "mit-0", "apache-2.0-january-2004": "apache-2.0", "edl": "bsd-3-clause", "ibm-public": "ipl-1.0",
    "sil-open-font-1.1": "ofl-1.1", "cc0-1.0-universal-public-domain-dedication": "cc0-1.0", "sun-public": "spl-1.0",
    "microsoft-public": "ms-pl", "microsoft-reciprocal": "ms-rl", "qt-public-qpl": "qpl-1.0", "mit-expat": "mit",
    "three-clause-bsd": "bsd-3-clause", "two-clause-bsd": "bsd-2-clause", "mit-open-source": "mit",
    "mit-software": "mit", "open-data-commons-open-database": "odbl-1.0",
    "gnu": "gpl-3.0", "gpled": "gpl-3.0", "copyleft": "gpl-3.0",
    "fdl": "gfdl-1.3", "perl": "artistic-1.0-perl", "same-as-perl": "artistic-1.0-perl", "perl-5": "artistic-1.0-perl",
}  # fmt: skip
# Long names of families, the longest first where one holds another. The version behind them stays.
_FAMILIES = tuple((re.compile(rf"\b{long}\b"), short) for long, short in (
    (r"(?:gnu )?affero (?:gnu )?(?:general )?public(?: licen[sc]e)?", "agpl"),
    (r"(?:gnu )?(?:lesser|library)(?: or lesser)? (?:general )?public(?: licen[sc]e)?", "lgpl"),
    (r"(?:gnu )?general public(?: licen[sc]e)?", "gpl"),
    (r"(?:gnu )?free documentation(?: licen[sc]e)?", "gfdl"),
    (r"gnu (?=a?l?gpl|gfdl|fdl)", ""),
    (r"mozilla public(?: licen[sc]e)?", "mpl"),
    (r"eclipse public(?: licen[sc]e)?", "epl"),
    (r"eclipse distribution(?: licen[sc]e)?", "edl"),
    (r"common development and distribution(?: licen[sc]e)?", "cddl"),
    (r"common public(?: licen[sc]e)?", "cpl"),
    (r"european union public(?: licen[sc]e)?", "eupl"),
    (r"artistic(?: licen[sc]e)?", "artistic"),
    (r"creative commons(?: cc)?[ -]*", "cc "),
    (r"\battribution", "by"), (r"share ?alike", "sa"), (r"non ?commercial", "nc"), (r"no ?deriv(?:ative)?s?", "nd"),
))  # fmt: skip
_NOISE = re.compile(r"\b(?:the|licen[sc]ed?|version|international|unported|generic)\b")
# A version with what may stand behind it: GPL-2+, LGPLv2.1, GFDL-NIV-1.3+, BSD-3, GPL-3.0-or-later, BSD4.
_VERSION = re.compile(r"(?:-niv)?-?v?\d+(?:\.\d+)*[a-z]?(?:\+|-plus|-only|-or-later|-or-newer)?(?:-clauses?)?\Z|\+\Z")
# Nothing in which a second licence could stand: of a list of addresses or classifiers the last would count for all.
_ADDRESS = re.compile(r"\A(?:https?://|www\.)(?!\S*://)[^\s,;|&()]+\Z")
_CLASSIFIER = re.compile(r"\A(?:license\s*::\s*(?:osi approved\s*::\s*)?|osi approved\s*::\s*)")
_ADDRESSES = (
    ("gnu.org/copyleft/lesser", "lgpl-3.0"),
    ("gnu.org/software/classpath", "gpl-2.0"),
    ("mozilla.org/mpl", "mpl-2.0"),
    ("mozilla.org/en-us/mpl", "mpl-2.0"),
    ("oracle.com/licenses/cddl", "cddl-1.1"),
    ("unlicense.org", "unlicense"),
    ("boost.org/license_1_0", "bsl-1.0"),
    ("eclipse.org/org/documents/edl", "bsd-3-clause"),
)
_VARIANT = re.compile(r"([^\s_~,;/|&()]+)~([^\s_~,;/|&()]+)")  # Debian's BSD-3-clause~Google
# In brackets or a variant behind a name they take away what the name gives: MIT (non-commercial), BSD (academic use).
RESTRICTS = re.compile(r"commercial|commons|academic|education|evaluation|internal|personal|proprietary|research|trial"
                       r"|\bnot\b", re.IGNORECASE)  # fmt: skip
_GNU = re.compile(r"(?<![a-z])[al]?gpl(?![a-z])")
_MAX_NAME_CHARS = 200  # the longest name in the table has 69; beyond it stands a text, not a name


@lru_cache(maxsize=65_536)  # a corpus has some thousand spellings
def class_of(name: str) -> int:
    """The class of one licence name; UNKNOWN where it says nothing, OTHER where nobody knows it."""
    if (found := find(name)) is not None:
        return found
    # LGPL-2.1-OCaml, GPL-3+-autoconf-exception: more behind the name of a copyleft licence takes nothing of it away.
    # Behind a permissive one it may (Apache-2.0-commons-clause), so there it remains a licence that nobody knows.
    head = _plain(name)[:_MAX_NAME_CHARS]
    if len(words := name.split()) > 1 and COPYLEFT in map(class_of, words):  # released under GPL-2
        return COPYLEFT
    if _GNU.search(head):  # Guile-GPL, CDDL+GPL
        return COPYLEFT
    while "-" in head:
        head = head.rpartition("-")[0]
        if _families().get(_VERSION.sub("", head)) == COPYLEFT:
            return COPYLEFT
    return OTHER


@lru_cache(maxsize=65_536)
def find(name: str) -> int | None:
    """The class of a licence or exception that the table knows; None for any other text."""
    plain = _plain(name)
    if plain in _SAYS_NOTHING:
        return UNKNOWN
    if len(plain) > _MAX_NAME_CHARS:
        return None
    for spelling in (name.strip().lower(), plain, _SAME.get(plain, plain), _without_variant(name)):
        if (found := _table().get(spelling)) is not None:
            return found
    family = plain if plain in _families() else _VERSION.sub("", plain)  # the 0 of CC0 is no version
    return _families().get(_VERSION.sub("", _SAME[family]) if family in _SAME else family)


def _without_variant(name: str) -> str:
    variant = _VARIANT.fullmatch(name.strip().lower())
    if variant is None or RESTRICTS.search(variant[2]) or find(variant[2]) in (COPYLEFT, OTHER):
        return ""
    return _plain(variant[1])


def _plain(name: str) -> str:
    """A name in small letters with single hyphens, long names of families short, words that say nothing left out."""
    text = _CLASSIFIER.sub("", name.strip().lower())  # License :: OSI Approved :: MIT License
    if _ADDRESS.match(text):
        text = _of_address(text)
    text = re.sub(r"""["'\u201c\u201d\u2018\u2019,;]""", "", text)
    text = re.sub(r"[\s_/()]+", " ", text)
    for long, short in _FAMILIES:
        text = long.sub(short, text)
    text = re.sub(r"\bv(?:er)?\.? ?(?=\d)", " ", _NOISE.sub(" ", text))
    return re.sub(r"[\s-]+", "-", text).strip("-. ")


def _of_address(address: str) -> str:
    """The name in an address: creativecommons.org/licenses/by-sa/4.0/, opensource.org/licenses/MIT, spdx.org/..."""
    parts = re.sub(r"\.(?:html?|txt|php)\Z", "", address.rstrip("/")).split("/")
    if "creativecommons.org" in address:
        rest = [p for p in parts if not p.startswith(("deed", "legalcode"))]
        place = next((i for i, p in enumerate(rest) if p in ("licenses", "publicdomain")), len(rest))
        names = {"zero": "cc0", "mark": "public-domain"}
        return " ".join(names.get(p, p if rest[place] == "publicdomain" or i else f"cc-{p}")
                        for i, p in enumerate(rest[place + 1 : place + 3]))  # fmt: skip
    for piece, name in _ADDRESSES:
        if piece in address:
            return name
    last = parts[-1]
    if not _NOISE.sub("", last):  # example.org/license: one that nobody here has read
        return address
    return "apache-2.0" if "apache.org" in address and last == "license-2.0" else last


@lru_cache(maxsize=1)
def _table() -> dict[str, int]:
    """Every name of the table in small letters. Where one is SPDX's and ScanCode's, SPDX's counts: BSL-1.0 is Boost."""
    ranked: list[dict[str, int]] = [{}, {}]
    for line in (Path(__file__).parent / "data/licenses.tsv").read_text(encoding="utf-8").splitlines():
        category, _, names = line.split("\t")
        for place, name in enumerate(n for n in names.lower().split() if not _VERSION.fullmatch(n)):  # "2.0" is no name
            ranked[min(place, 1)].setdefault(name, _OF_CATEGORY.get(category, OTHER))
    return ranked[1] | ranked[0]


def known_names() -> Collection[str]:
    """Every name of the table in small letters."""
    return _table()


@lru_cache(maxsize=1)
def _families() -> dict[str, int]:
    """Names without their version, where all versions are of one class: gpl, lgpl, apache, cc-by, cc-by-nc, bsd."""
    classes: dict[str, set[int]] = {}
    for name, found in _table().items():
        classes.setdefault(_VERSION.sub("", name), set()).add(found)
    return {name: min(found) for name, found in classes.items() if len(found) == 1}
