"""Write pipeline/select/data/licenses.tsv from the index that the library license-expression ships.

    python -m jobs.build_license_data

The table is vendored and not read from the library at run time, because a class decides what is kept: another version
of the library must not change the bytes of a run.
"""

import json
from pathlib import Path

import license_expression

TARGET = Path(__file__).parent.parent / "pipeline/select/data/licenses.tsv"


def main() -> None:
    """One line a licence: its category, `exception` where it is one, and its names, SPDX's first."""
    index = Path(license_expression.__file__).parent / "data/scancode-licensedb-index.json"
    lines = []
    for entry in json.loads(index.read_text(encoding="utf-8")):
        names = [entry["spdx_license_key"], *entry["other_spdx_license_keys"], entry["license_key"]]
        kind = "exception" if entry["is_exception"] else "license"
        lines.append("\t".join((entry["category"], kind, " ".join(dict.fromkeys(n for n in names if n)))))
    TARGET.write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
