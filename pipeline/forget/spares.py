"""Documents whose tokens may fill a place: kept ones that the mixture did not need, or needed in part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.forget.refill import Spare
from pipeline.mix.pool import exact
from pipeline.schema import BALANCE, DOCUMENTS, LANGUAGES, LEDGER, POOLS, QUALITY
from pipeline.targets import PoolBalance

Allows = Callable[[int, int], bool]


def spares_of(run: RunFiles, gone: dict[int, np.ndarray]) -> list[Spare]:
    """Surplus documents, and what is left of cut ones, in the order of the tables; none of those in `gone`.

    A document that stands whole in the mixture is no spare, and neither is what a cap keeps out.
    """
    found = []
    for shard in range(run.n_shards):
        plan = run.tables.read(BALANCE, shard)
        languages = run.tables.read(LANGUAGES, shard, columns=["pool", "group"])
        ledger = run.tables.read(LEDGER, shard, columns=["keep", "form"])
        keep, form = ledger["keep"].to_numpy(), ledger["form"].to_pylist()
        n_copies, cut, n_tokens = (plan[c].to_numpy() for c in ("n_copies", "cut_tokens", "n_tokens"))
        free = keep & (n_copies == 0) & (n_tokens > cut) & plan["over_cap"].is_null().to_numpy()
        free[gone.get(shard, np.zeros(0, np.int64))] = False
        for row in np.flatnonzero(free).tolist():
            group = str(languages["pool"][row].as_py()), str(languages["group"][row].as_py())
            used, n = int(cut[row]), int(n_tokens[row])
            # A filled-in document is torn by a cut: it asks for a gap whose filling is missing.
            may_cut = form[row] in (None, "plain")
            if may_cut or not used:
                found.append(Spare(plan["doc_id"][row].as_py(), (shard << 32) + row, group, used, n, may_cut))
    return found


@dataclass
class Caps:
    """What each capped group, repository and mark may still give to its pool: a refill must cross no cap."""

    room: dict[tuple[str, str, str], int] = field(default_factory=dict)  # (pool, kind, name) -> tokens
    of_spare: list[list[tuple[str, str, str]]] = field(default_factory=list)

    def allows(self, spare: int, n_tokens: int) -> bool:
        """Whether `n_tokens` more of this spare cross no cap."""
        return not self.room or all(self.room[key] >= n_tokens for key in self.of_spare[spare] if key in self.room)

    def take(self, spare: int, n_tokens: int) -> None:
        """Count tokens that entered."""
        for key in self.of_spare[spare] if self.room else ():
            if key in self.room:
                self.room[key] -= n_tokens


def caps_of(run: RunFiles, spares: list[Spare], gone: dict[int, np.ndarray]) -> Caps:
    """The room below each cap when what is gone is gone; no caps, no reading."""
    wanted = {"code": run.mixture.balance.code, "text": run.mixture.balance.text}
    if all(of.max_repo_frac is None and not of.max_mark_frac and not of.max_frac for of in wanted.values()):
        return Caps()
    total: dict[str, int] = dict.fromkeys(POOLS, 0)
    used: dict[tuple[str, str, str], int] = {}
    of_row: dict[int, list[tuple[str, str, str]]] = {}
    ours = {spare.position for spare in spares}
    for shard in range(run.n_shards):
        packed = run.tables.read(LEDGER, shard, columns=["pool", "group", "n_packed_tokens"])
        repos = run.tables.read(DOCUMENTS, shard, columns=["repo"])["repo"]
        marks = run.tables.read(QUALITY, shard, columns=["marks"])["marks"]
        n_tokens, leaves = packed["n_packed_tokens"].to_numpy(), np.zeros(packed.num_rows, bool)
        leaves[gone.get(shard, np.zeros(0, np.int64))] = True
        for pool in POOLS:
            total[pool] += int(n_tokens[pc.equal(packed["pool"], pool).to_numpy()].sum())
        asked = np.flatnonzero(n_tokens > 0).tolist() + [p & 0xFFFFFFFF for p in ours if p >> 32 == shard]
        for row in sorted(set(asked)):
            group = str(packed["pool"][row].as_py()), str(packed["group"][row].as_py())
            keys = _keys(wanted, group, repos[row], marks[row])
            if (shard << 32) + row in ours:
                of_row[(shard << 32) + row] = keys
            for key in keys:
                used[key] = used.get(key, 0) + (0 if leaves[row] else int(n_tokens[row]))
    room = {key: _allowed(wanted, key, total) - n for key, n in used.items()}
    return Caps(room, [of_row[spare.position] for spare in spares])


def _keys(
    wanted: dict[str, PoolBalance], group: tuple[str, str], repo: pa.Scalar, marks: pa.Scalar
) -> list[tuple[str, str, str]]:
    """The caps that a document is under; `group` is its pool and its group."""
    pool, of = group[0], wanted[group[0]]
    keys = [(pool, "mark", mark) for mark in marks.as_py() if mark in of.max_mark_frac]
    if of.max_repo_frac is not None and repo.is_valid:
        keys.append((pool, "repo", repo.as_py()))
    if group[1] in of.max_frac:
        keys.append((pool, "group", group[1]))
    return keys


def _allowed(wanted: dict[str, PoolBalance], key: tuple[str, str, str], total: dict[str, int]) -> int:
    pool, kind, name = key
    of = wanted[pool]
    named = {"group": dict(of.max_frac), "mark": {str(mark): frac for mark, frac in of.max_mark_frac.items()}}
    frac = of.max_repo_frac if kind == "repo" else named[kind].get(name)
    assert frac is not None, key  # it has no room otherwise
    return int(exact(frac) * total[pool])
