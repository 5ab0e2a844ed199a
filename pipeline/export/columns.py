"""What the columns of packed sequences mean: for dataset cards and for `docs/data.md`, which a test holds equal."""

PACKED_COLUMNS = {
    "token_ids": "the sequence: as many ids as every other one has, padding last",
    "n_real": "how many of them are no padding",
    "cu_seqlens": "where pieces begin, then `n_real`: piece j is `token_ids[cu_seqlens[j]:cu_seqlens[j + 1]]`",
    "piece_bounds": "only where files of a repository are joined (`docs/repositories.md`): where pieces begin, then "
    "`n_real`; `cu_seqlens` is then of what attends to itself, one piece or several",
    "doc_ids": "the document of each piece",
    "doc_offsets": "at which token of its document each piece begins",
    "pool": "`code` or `text`",
    "groups": "the balancing group of each piece: family of its language, or source of text",
}
