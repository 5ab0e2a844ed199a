"""The documents of a repository and a folder share what they know of their encodings.

Each document's prior is how often the encodings stand in its folder, smoothed by how often in its repository, smoothed
by how common they are at all: a mixture whose weights are found by expectation and maximisation (Dempster, Laird and
Rubin 1977). A document's own say is left out of its prior, so that nobody convinces himself, and strong bytes outvote
any neighbours. Who votes together are rows of one shard; rows without a repository and a path of their own vote alone.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.sources.encodings import Evidence, common

_ROUNDS = 8  # the weights of a folder of two hundred documents have settled by then
_SMOOTHING = 1.0  # documents that what is common everywhere counts for


def priors_of(
    evidence: Sequence[Evidence], *, repositories: Sequence[Hashable], folders: Sequence[Hashable]
) -> npt.NDArray[np.float64]:
    """Log-probabilities of ENCODINGS and noise for each document before its bytes are looked at, [document, n + 1]."""
    base = common()
    likelihood = np.array([one.likelihood + one.declared for one in evidence])
    in_repository, in_folder = _numbered(repositories), _numbered(folders)
    prior = np.broadcast_to(np.log(base), likelihood.shape)
    for _ in range(_ROUNDS):
        logits = likelihood + prior
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        wide = _without_self(shares, groups=in_repository, smooth=base)
        prior = np.log(_without_self(shares, groups=in_folder, smooth=wide))
    return prior


def _numbered(keys: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _without_self(
    shares: npt.NDArray[np.float64], *, groups: npt.NDArray[np.int64], smooth: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """For each document the mean share of each encoding among the others of its group, smoothed."""
    sums = np.zeros((groups.max() + 1, shares.shape[1]))
    np.add.at(sums, groups, shares)
    others = np.bincount(groups)[groups][:, None] - 1
    mean: npt.NDArray[np.float64] = (sums[groups] - shares + _SMOOTHING * smooth) / (others + _SMOOTHING)
    return np.maximum(mean, np.finfo(np.float64).tiny)
