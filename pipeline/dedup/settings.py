"""What decides the tables of near dedup: part of their stages' fingerprints, without the kernels that make them."""

from pipeline.config import NearDups, Partitioned, Words
from pipeline.fields import Frozen

# Rows of 0.4 kB that `header_pairs.py` may move, or one for each document: all bands of 4,000 documents with a comment,
# two of 50,000. Bands, not buckets, are sampled: near copies share most bands, so each family is seen at its share.
_MAX_HEADER_ROWS = 100_000


class Signing(Frozen):
    """All of `near_dups` that decides a signature."""

    shingle_words: int
    code_words: Words
    text_words: Words
    n_hashes: int


def signing_of(config: NearDups) -> Signing:
    """What the signatures depend on; bands, thresholds and partitions are not among it."""
    return Signing(**{name: getattr(config, name) for name in Signing.model_fields})


class EarlierRun(Frozen):
    """A finished run whose kept documents are compared too: where it is, and what names its content."""

    root: str
    n_shards: int
    signatures: str  # fingerprints
    select: str


class Linking(Partitioned):
    """All that decides which pairs are verified and stored."""

    signing: Signing
    n_bands: int
    rows_per_band: int
    min_stored_similarity: float
    max_bucket_docs: int
    earlier: tuple[EarlierRun, ...] = ()


def linking_of(config: NearDups, *, earlier: tuple[EarlierRun, ...] = ()) -> Linking:
    """What table `similar` depends on."""
    own = {name: getattr(config, name) for name in Linking.model_fields if name not in ("signing", "earlier")}
    return Linking(signing=signing_of(config), earlier=earlier, **own)


class Threshold(Frozen):
    """What decides which of the stored pairs are near duplicates."""

    n_partitions: int
    min_similarity: float
    n_hashes: int
    n_bands: int
    rows_per_band: int


def threshold_of(config: NearDups) -> Threshold:
    """What table `near_dups` depends on, beside the pairs."""
    return Threshold(**{name: getattr(config, name) for name in Threshold.model_fields})


def sampled_bands(n_docs: int, *, n_bands: int) -> int:
    """How many of the bands are looked at where `n_docs` documents have a rights comment."""
    return max(1, min(n_bands, _MAX_HEADER_ROWS // max(1, n_docs)))
