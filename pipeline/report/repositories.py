"""Repository documents in the packed stream: how many, of how many files, and what their imports find."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.engine.run_folder import RunFiles
from pipeline.reading.joined_files import count_joined
from pipeline.reading.work import Work
from pipeline.report.formats import exact, percent
from pipeline.report.table import FINE_PERCENT, TEXT, Column, ReportTable


@dataclass(frozen=True)
class RepositoryDocuments:
    """Counted in the packed stream, copies too."""

    order: str  # path, imports
    n_docs: int  # spans of several files in one sequence
    n_files: int  # in them
    n_imports: int  # of files of repositories that lead to a file of the same one, wherever it stands
    n_imports_earlier: int  # of which the target stands before the file in the same document

    @property
    def earlier_frac(self) -> float:
        return self.n_imports_earlier / max(1, self.n_imports)


def count_repositories(run: RunFiles, work: Work) -> RepositoryDocuments | None:
    """None where the mixture asks for no repository documents."""
    asked = run.mixture.forms.repositories
    if asked is None:
        return None
    found, _ = count_joined(run, work)
    return RepositoryDocuments(asked.order, found.spans, found.files, found.imports, found.earlier)


def repositories_line(found: RepositoryDocuments) -> str:
    """In one sentence."""
    share = (
        f"{percent(found.earlier_frac)} of {exact(found.n_imports)} imports have their target earlier in the sequence"
    )
    return f"{exact(found.n_files)} files in {exact(found.n_docs)} documents by {found.order}; {share}"


def repositories_table(found: RepositoryDocuments) -> ReportTable:
    """The same as a table."""
    columns = [Column("order", TEXT), Column("documents"), Column("files"), Column("imports")]
    columns += [Column("target earlier"), Column("share", FINE_PERCENT)]
    row = (found.order, found.n_docs, found.n_files, found.n_imports, found.n_imports_earlier, found.earlier_frac)
    note = "of the packed stream: files of a repository side by side in one sequence, and what they import of it"
    return ReportTable("Repository documents", columns, [row], note)
