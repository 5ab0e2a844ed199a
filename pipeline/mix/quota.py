"""How a group's budget falls on its documents, which stand in a keyed order: whole copies, then those before a cut."""

from collections.abc import Mapping
from dataclasses import dataclass

# 4,096 buckets of the key: a shard counts that many numbers for each group, and of a million documents of a group about
# 250 stand in the bucket in which its budget ends.
BUCKET_BITS = 12
N_BUCKETS = 2**BUCKET_BITS


@dataclass(frozen=True)
class Quota:
    """How a group's budget falls on its documents: `whole` copies of all, then more of those before the cut."""

    group: str
    whole: int
    bucket: int  # the bucket in which the budget ends; N_BUCKETS: after the last; -1: nothing beyond the whole copies
    left: int  # tokens to take from that bucket
    cut_key: int = 0  # documents before (cut_key, cut_position) get one copy more
    cut_position: int = 0
    cut_tokens: int = 0  # of the document at the cut


def quota(group: str, n_tokens: int, *, counts: Mapping[int, int]) -> Quota:
    """Take `n_tokens` of a group that holds `counts` tokens in each bucket of the key."""
    whole, left = divmod(n_tokens, sum(counts.values()))
    # Up the buckets of the key: documents enter in keyed order until the budget is used up.
    for bucket, held in sorted(counts.items()):
        if left == 0:
            break
        if left <= held:
            return Quota(group, whole, bucket, left)
        left -= held
    return Quota(group, whole, N_BUCKETS if left else -1, 0)
