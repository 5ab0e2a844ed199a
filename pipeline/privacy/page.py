"""The list of kinds in `docs/privacy.md` below its mark: made from the tables, so that it cannot say otherwise."""

from pipeline.privacy.kinds import kinds

MARK = "<!-- Below: made from the tables of kinds by `pipeline/privacy/page.py`. -->"


def page() -> str:
    """Everything below the mark."""
    lines = [MARK, "", "| kind | class | what it is |", "|---|---|---|"]
    for name, kind in kinds().items():
        meaning = kind.meaning.replace("|", "\\|").replace("[", "\\[")
        lines.append(f"| `{name}` | {kind.cls} | {meaning} |")
    return "\n".join(lines) + "\n"
