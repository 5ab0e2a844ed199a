"""The promise of privacy: nothing that the mixture wants redacted stands in what is trained on."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.engine.run_folder import RunFiles
from pipeline.privacy.assigned import UNQUOTED
from pipeline.privacy.find import find
from pipeline.privacy.policies import policy_of
from pipeline.privacy.replace import spans_of
from pipeline.reading.written import written
from pipeline.schema import LANGUAGES, LEDGER, TOKENS

# A sample, because texts are decoded and read; a find in one of a hundred documents is missed with probability 4e-5.
N_READ = 1_000


def redaction_holds(run: RunFiles) -> tuple[bool, str]:
    """Look for secrets and personal data in the decoded tokens of a keyed sample of the packed documents.

    Neither `redacted` nor any text is believed: what the tokens say is what is read.
    """
    reader = written(run)
    packed = [np.asarray(pc.greater(t["n_packed_tokens"], 0)) for t in run.shards(LEDGER, columns=["n_packed_tokens"])]
    limit = min(1.0, N_READ / max(1, sum(int(p.sum()) for p in packed))) * 2**64
    n_read, leaks = 0, list[str]()
    for shard, is_packed in enumerate(packed):
        tokens = run.tables.read(TOKENS, shard)
        key = keyed_hash(stage_key(0, "privacy"), *doc_words(tokens))
        rows = np.flatnonzero((key.astype(np.float64) < limit) & is_packed)
        texts = [reader.text(np.asarray(tokens["token_ids"][row].values)) for row in rows.tolist()]
        languages = run.tables.read(LANGUAGES, shard, columns=["language"])["language"].take(pa.array(rows))
        ids = tokens["doc_id"].take(pa.array(rows)).to_pylist()
        leaks += _leaks(run, texts, languages.to_pylist(), ids)
        n_read += len(texts)
    if leaks:
        return False, f"{len(leaks)} of {n_read} packed documents hold what should be redacted: {', '.join(leaks[:3])}"
    return True, f"{n_read} packed documents decoded: none holds what should be redacted"


def _leaks(run: RunFiles, texts: list[bytes], languages: list[str], ids: list[str]) -> list[str]:
    """The documents that hold a find whose policy is to redact it, with the kinds of their finds."""
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    found = spans_of(find(data, offsets, unquoted=np.array([one in UNQUOTED for one in languages], bool)))
    leaks = []
    for row, spans in found.items():
        kinds = {kind for _, _, kind in spans if policy_of(kind, run.mixture.privacy.policies) == "redact"}
        if kinds:
            leaks.append(f"{ids[row]} ({', '.join(sorted(kinds))})")
    return leaks
