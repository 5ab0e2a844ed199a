"""Licence classes for the order between copies: a permissively licensed copy is kept before any other."""

import re

PERMISSIVE, UNKNOWN, OTHER = 0, 1, 2
CLASSES = {"permissive": PERMISSIVE, "unknown": UNKNOWN, "other": OTHER}

_PERMISSIVE_TEXT = """
0bsd afl-3.0 apache-1.1 apache-2.0 artistic-2.0 blueoak-1.0.0 bsd-1-clause bsd-2-clause bsd-2-clause-patent
bsd-3-clause bsd-3-clause-clear bsd-4-clause bsd-source-code bsl-1.0 cc-by-3.0 cc-by-4.0 cc0-1.0 curl ecl-2.0
expat hpnd isc libpng libtiff mit mit-0 mit-cmu ms-pl ncsa odc-by-1.0 openssl php-3.01 postgresql psf-2.0 public-domain
python-2.0 ruby tcl unicode-3.0 unicode-dfs-2016 unlicense upl-1.0 vim w3c wtfpl x11 zlib zlib-acknowledgement
zpl-2.1
"""
_PERMISSIVE_IDS = frozenset(_PERMISSIVE_TEXT.split())
_UNKNOWN_IDS = frozenset({"", "unknown", "none", "noassertion", "other", "no_license", "null"})


def license_class(license_id: str | None) -> int:
    """0 permissive, 1 unknown, 2 other (copyleft, commercial). In a choice (`A OR B`) the best one counts."""
    if license_id is None or license_id.strip().lower() in _UNKNOWN_IDS:
        return UNKNOWN
    choices = re.split(r"\s+or\s+|\s*/\s*|\s*\|\s*", license_id.strip().lower())
    return min(_conjunction(choice) for choice in choices)


def _conjunction(expression: str) -> int:
    parts = [p.strip(" ()") for p in re.split(r"\s+and\s+|\s*,\s*|\s+with\s+", expression)]
    return max(PERMISSIVE if p in _PERMISSIVE_IDS else OTHER for p in parts if p) if any(parts) else UNKNOWN
