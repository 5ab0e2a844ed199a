"""The report's tables on secrets and personal data."""

from collections.abc import Sequence

from pipeline.privacy.kinds import CLASSES
from pipeline.report.privacy import PlaceFinds, PrivacyCounts
from pipeline.report.table import TEXT, Column, ReportTable

_DOCUMENTS = Column("documents")
_WORDS = {"redact": "redacted", "report": "left as it is", "drop": "drops the document"}


def kinds_table(found: PrivacyCounts) -> ReportTable:
    """What was found of each kind, and what was done."""
    columns = [Column("kind", TEXT), Column("class", TEXT), Column("what happens", TEXT), Column("finds"), _DOCUMENTS]
    rows = [(k.kind, k.cls, _WORDS[k.policy], k.n_finds, k.n_docs) for k in found.kinds]
    note = "in all documents, dropped ones too; privacy.policies says what happens to a kind"
    return ReportTable("Secrets and personal data", columns, rows, note)


def places_table(title: str, name: str, places: Sequence[PlaceFinds]) -> ReportTable:
    """Documents with finds by language or source."""
    columns = [Column(name, TEXT), *(Column(cls.replace("_", " ")) for cls in CLASSES)]
    columns += [Column("any"), Column("left in the mixture")]
    rows = [(p.name, *(p.n_docs_of_class[cls] for cls in CLASSES), p.n_docs, p.n_left_docs) for p in places]
    return ReportTable(title, columns, rows, "documents that hold a find of the class")
