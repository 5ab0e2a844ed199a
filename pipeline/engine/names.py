"""The names of the shards of a table, without a list of them."""

from dataclasses import dataclass

from pipeline.engine.store import total_of


@dataclass(frozen=True)
class ShardNames:
    """The names of a table's shards inside its folder, told by their form: of many shards a set would be megabytes for
    each table. Of each series: the folder below, or nothing; how many shards there are; their suffix."""

    series: tuple[tuple[str, int, str], ...]

    def __contains__(self, name: object) -> bool:
        folder, _, base = str(name).rpartition("/")
        total = total_of(base)
        return total is not None and (folder, total, base.rpartition(".")[2]) in self.series
