"""Where secrets and personal data stand in a document, for who asks: line, column, kind and policy, never the value."""

from typing import Any

from pipeline.engine.run_folder import RunFiles
from pipeline.privacy.policies import policy_of
from pipeline.schema import DOCUMENTS, REDACTED


def findings_of(run: RunFiles, shard: int, row: int) -> list[dict[str, Any]]:
    """The finds of one document in the order of its bytes; lines and columns are counted from 1, columns in
    characters."""
    found = run.tables.read(REDACTED, shard, columns=["doc_id", "findings"])["findings"][row].as_py()
    if not found:
        return []
    content: bytes = run.tables.read(DOCUMENTS, shard, columns=["content"])["content"][row].as_py()
    policies = run.mixture.privacy.policies
    places = []
    for one in found:
        before = content[: one["start"]]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", errors="replace")) + 1
        policy = policy_of(one["kind"], policies)
        places.append({"line": line, "column": column, "kind": one["kind"], "policy": policy})
    return places
