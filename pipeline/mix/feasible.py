"""Why a balance cannot be made of what is there, and the nearest that can: which pool, which groups, which numbers."""

from collections.abc import Mapping, Sequence

from pipeline.errors import first_of
from pipeline.mix.pool import Pool
from pipeline.rules.meanings import usual_meaning
from pipeline.schema import OTHERS

_MAX_NAMED = 5  # groups that a message lists, the largest first: one line
_MAX_REASONS = 3  # the rest would change nothing yet
MAX_COPIES = 64  # looked up to: far more than anybody repeats a document


def why_empty(name: str, pool: Pool) -> str:
    """Why nothing of a pool can enter the mixture."""
    if pool.total == 0:
        return f"no {name} tokens are left to mix; check sources and rules"
    held = {group: n for group, n in pool.wanted.items() if n}
    if not held:
        named = ", ".join(sorted(pool.shares))
        return (
            f"balance.{name}.shares names {named} alone, and none of these is left: there are "
            f"{groups_of(pool.available)}; give them a share, or write `{OTHERS}: 1` for all that are not named"
        )
    caps = {group: pool.max_frac.get(group, 1.0) for group in held}
    said = " + ".join(f"{group} {cap:g}" for group, cap in sorted(caps.items()))
    return (
        f"balance.{name}.max_frac allows {said} = {sum(caps.values()):g} of the {name} tokens, and nothing else "
        f"is there to fill the rest; there are {groups_of(pool.available)}; raise the caps to 1 in sum, or add sources"
    )


def why_too_large(code: Pool, text: Pool, *, total: int) -> str:
    """What limits the total, how much could be had, and what would have to change for more."""
    parts = code.parts + text.parts
    pools = {"code": code, "text": text}
    name = min(pools, key=lambda n: pools[n].capacity() // pools[n].parts)
    pool = pools[name]
    unit = pool.capacity() // pool.parts
    other = "text" if name == "code" else "code"
    said = (
        f"{total:,} is more than the pools hold, at most {unit * parts:,} at {pool.copies_key} {pool.max_copies}: "
        f"{name} limits it with {pool.capacity():,} tokens ({groups_of(pool.wanted)}){_held_down(name, pool)}; "
        f"{other} could give {pools[other].capacity():,}"
    )
    repeated = [p for p in pools.values() if p.copies_key == pool.copies_key]
    copies = _copies_for(repeated, unit=total // parts)
    more = f"{pool.copies_key}: {copies}" if copies else f"more sources of {name}, as no number of copies is enough"
    return f"{said}; write balance.total_tokens: {unit * parts} or {more}"


def _held_down(name: str, pool: Pool) -> str:
    """The groups whose caps, not their tokens, end the pool's growth."""
    most = pool.limits(pool.capacity())
    capped = [g for g, n in pool.wanted.items() if g in pool.max_frac and most[g] < n * pool.max_copies]
    return f", as balance.{name}.max_frac holds {first_of(sorted(capped), most=_MAX_NAMED)} down" if capped else ""


def _copies_for(pools: Sequence[Pool], *, unit: int) -> int | None:
    """The fewest copies with which all of these pools give `unit` tokens a part."""
    for copies in range(pools[0].max_copies + 1, MAX_COPIES + 1):
        if all(p.with_copies(copies).capacity() >= unit * p.parts for p in pools):
            return copies
    return None


def why_dropped(name: str, *, n_docs: int, n_pool_docs: int, reasons: Mapping[str, int]) -> str:
    """Why a pool without a kept document is empty; `reasons` are those of its documents with their counts."""
    if n_pool_docs == 0:
        return (
            f"no {name} tokens are left to mix: none of the {n_docs:,} documents is {name} "
            f"(`loopmix classify FILES` says why); say pool: {name} of a source, or add one"
        )
    most = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:_MAX_REASONS]
    said = "; ".join(f"{reason} {n:,} times ({usual_meaning(reason)})" for reason, n in most)
    return f"no {name} tokens are left to mix: all {n_pool_docs:,} documents of {name} are dropped, most for {said}"


def groups_of(tokens: Mapping[str, int]) -> str:
    """The largest groups with their tokens."""
    held = sorted(((n, group) for group, n in tokens.items() if n), key=lambda pair: (-pair[0], pair[1]))
    return first_of([f"{group} {n:,}" for n, group in held], most=_MAX_NAMED)
