"""Count secrets and personal data by kind, language and source: one pass over `redacted`, whose texts are not read."""

from collections import Counter, defaultdict
from collections.abc import Collection
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.privacy.kinds import CLASSES, kinds
from pipeline.privacy.policies import Policy, policy_of
from pipeline.reading.work import Span, Work
from pipeline.report.privacy import KindFinds, PlaceFinds, PrivacyCounts
from pipeline.schema import LEDGER, REDACTED


class PrivateDocs:
    """Documents with finds, by language or source."""

    def __init__(self) -> None:
        self.of_class: dict[str, Counter[str]] = defaultdict(Counter)
        self.docs, self.left = Counter[str](), Counter[str]()

    def add(self, name: str, classes: Collection[str], *, is_left: bool) -> None:
        self.of_class[name].update(classes)
        self.docs[name] += 1
        self.left[name] += is_left

    def update(self, other: "PrivateDocs") -> None:
        """Add what another has counted."""
        for name, classes in other.of_class.items():
            self.of_class[name].update(classes)
        self.docs.update(other.docs)
        self.left.update(other.left)

    def found(self) -> tuple[PlaceFinds, ...]:
        order = sorted(self.docs, key=lambda name: (-self.docs[name], name))
        return tuple(
            PlaceFinds(name, {c: self.of_class[name][c] for c in CLASSES}, self.docs[name], self.left[name])
            for name in order
        )


def count_privacy(run: RunFiles, work: Work) -> PrivacyCounts:
    """All finds of a run, whatever became of their documents."""
    known, policies = kinds(), dict(run.mixture.privacy.policies)
    finds, docs = Counter[str](), Counter[str]()
    languages, sources = PrivateDocs(), PrivateDocs()
    for more in work.each(partial(_count, run.tables, policies), work.shards(run), name="report.privacy"):
        finds.update(more[0])
        docs.update(more[1])
        languages.update(more[2])
        sources.update(more[3])
    order = sorted(finds, key=lambda kind: (-finds[kind], kind))
    of_kind = (KindFinds(k, known[k].cls, policy_of(k, policies), finds[k], docs[k]) for k in order)
    return PrivacyCounts(tuple(of_kind), languages.found(), sources.found())


def _count(
    tables: Tables, policies: dict[str, Policy], span: Span
) -> tuple[Counter[str], Counter[str], PrivateDocs, PrivateDocs]:
    """Finds of some shards and documents with them by kind, and documents by language and by source."""
    known, finds, docs = kinds(), Counter[str](), Counter[str]()
    languages, sources = PrivateDocs(), PrivateDocs()
    for shard in span.items:
        findings = one_chunk(tables.read(REDACTED, shard, columns=["findings"])["findings"])
        rows = pc.unique(pc.list_parent_indices(findings))
        names = findings.take(rows)
        ledger = tables.read(LEDGER, shard, columns=["language", "source", "n_packed_tokens"]).take(rows)
        for mine, document in zip(_kinds(names), ledger.to_pylist(), strict=True):
            finds.update(mine)
            docs.update(set(mine))
            classes = {known[kind].cls for kind in mine}
            stays = document["n_packed_tokens"] > 0 and any(policy_of(kind, policies) == "report" for kind in mine)
            languages.add(document["language"], classes, is_left=stays)
            sources.add(document["source"], classes, is_left=stays)
    return finds, docs, languages, sources


def _kinds(findings: pa.ListArray) -> list[list[str]]:
    """The kinds of the finds of each document."""
    return [[one["kind"] for one in found] for found in findings.to_pylist()]
