"""The checks of the verdict that rest on the data alone: findings in words."""

from pipeline.plt.verdict import check
from pipeline.results import NO_ORDER, RUIN, Check, Inspection, RuinFinding, Status

_NAMED = 8  # groups named in a message; the page has all


def data_checks(found: Inspection | None) -> tuple[Check, ...]:
    """The checks that rest on the data alone."""
    if found is None:
        message = "The tokenizer of these shards is unknown, so no document was looked at; give it as --tokenizer."
        return (check("documents_sound", "warn", message=message),)
    of_ledger = [f for f in found.findings if f.of_ledger]
    order = [f for f in found.findings if f.kind == NO_ORDER]
    documents = [f for f in found.findings if f not in of_ledger and f not in order]
    looked_at = f"{found.n_sampled:,} of {found.n_docs:,} documents"
    kept = "Every document stands in the sequences as often, as long and under the labels that the ledger says."
    return (
        _check(
            "documents_sound", documents, f"{looked_at} were looked at: no group shows more ruin than healthy ones."
        ),
        _check("order_readable", order, "The reference model finds order in every group."),
        _check("ledger_agrees", of_ledger, kept),
    )


def _check(name: str, findings: list[RuinFinding], sound: str) -> Check:
    status: Status = "pass"
    if findings:
        status = "fail" if any(f.status == "fail" for f in findings) else "warn"
    named = [f"{f.group} ({f.pool}): {RUIN[f.kind]}, {f.n_found} of {f.n_docs}" for f in findings]
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    message = "; ".join(named[:_NAMED]) + more + "." if named else sound
    return check(name, status, message=message, n_findings=len(findings))
