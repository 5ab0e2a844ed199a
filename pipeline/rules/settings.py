"""What decides table `judged`: part of its fingerprint, without what judges."""

from collections.abc import Iterable, Sequence

from pipeline.features import EXTRA, MARK
from pipeline.fields import Frozen
from pipeline.filters import Rule


class Judging(Frozen):
    """All that decides table `judged`."""

    rules: tuple[Rule, ...]


def columns_for(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Columns of `quality` that the rules ask for."""
    return columns_of(condition.feature for rule in rules for condition in (rule, *rule.when))


def columns_of(names: Iterable[str]) -> tuple[str, ...]:
    """Columns of `quality` that hold these features, marks and numbers of plug-ins and scorers."""
    tables = {"marks" if n.startswith(MARK) else "extra" if n.startswith(EXTRA) else n for n in names}
    return tuple(sorted(tables))
