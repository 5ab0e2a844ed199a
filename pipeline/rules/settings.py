"""What decides table `judged`: part of its fingerprint, without what judges."""

from collections.abc import Sequence

from pipeline.features import EXTRA, MARK
from pipeline.fields import Frozen
from pipeline.filters import Rule


class Judging(Frozen):
    """All that decides table `judged`."""

    rules: tuple[Rule, ...]


def columns_for(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Columns of `quality` that the rules ask for."""
    names = {condition.feature for rule in rules for condition in (rule, *rule.when)}
    tables = {"marks" if n.startswith(MARK) else "extra" if n.startswith(EXTRA) else n for n in names}
    return tuple(sorted(tables))
