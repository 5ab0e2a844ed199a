"""What training, validation and diagnostics find: one definition, which the trainer writes and the report reads.

    MODEL/train.json        TrainIdentity          what the model is trained from; written first
    MODEL/held_out.json     HeldOutSequences       where they were drawn and are not the end of the stream
    MODEL/metrics.jsonl     TrainStep, Evaluation  a line for each update or evaluation
    MODEL/result.json       TrainResult            the verdict and what it judged, when training is done
    MODEL/documents.jsonl   DocumentLoss           a line for each held-out document, written with it
    V/validation.json       Validation             what `loopmix validate` found
    V/models/NAME           a model folder for each training, see `model_name`
    V/documents.jsonl       a line for each held-out document, with its loss under each training
    DIR/proposal.json       Proposal               what `loopmix propose` found
    D/diagnostics.json      Diagnostics            what each loop of a model does

Torch is not needed. A number that JSON lacks (NaN, infinity) is written as null and read as NaN. Unknown keys are
ignored, so that a newer trainer may say more; a missing one is damage. Nothing here depends on the clock but `Speed`,
so an interrupted run leaves the same bytes as an undisturbed one.
"""

from pipeline.results.codec import Number, from_json, read_file, to_json
from pipeline.results.inspection import NO_ORDER, RUIN, GroupSigns, HurtDocument, Inspection, RuinFinding
from pipeline.results.proposal import (
    PROPOSAL_NAME,
    GroupProposal,
    MixtureTraining,
    NoiseOfMixture,
    Outcome,
    PredictorScore,
    Proposal,
    Purpose,
    SharesComparison,
    read_proposal,
)
from pipeline.results.training import (
    DIAGNOSTICS_NAME,
    DOCUMENTS_NAME,
    HELD_OUT_NAME,
    IDENTITY_NAME,
    METRICS_NAME,
    RESULT_NAME,
    Check,
    Diagnostics,
    DocumentLoss,
    Evaluation,
    GroupLoss,
    HeldOutSequences,
    LoopDiagnostics,
    Stat,
    Status,
    TrainIdentity,
    TrainRecord,
    TrainResult,
    TrainStep,
    Verdict,
    documents_text,
    metrics_line,
    read_documents,
    read_held_out,
    read_identity,
    read_metrics,
    read_result,
    result_text,
)
from pipeline.results.validation import (
    MODELS_NAME,
    VALIDATION_NAME,
    Comparison,
    GroupScore,
    Speed,
    Unjudged,
    Validation,
    Variant,
    model_name,
    read_validation,
)

__all__ = [
    "DIAGNOSTICS_NAME",
    "DOCUMENTS_NAME",
    "HELD_OUT_NAME",
    "IDENTITY_NAME",
    "METRICS_NAME",
    "MODELS_NAME",
    "NO_ORDER",
    "PROPOSAL_NAME",
    "RESULT_NAME",
    "RUIN",
    "VALIDATION_NAME",
    "Check",
    "Comparison",
    "Diagnostics",
    "DocumentLoss",
    "Evaluation",
    "GroupLoss",
    "GroupProposal",
    "GroupScore",
    "GroupSigns",
    "HeldOutSequences",
    "HurtDocument",
    "Inspection",
    "LoopDiagnostics",
    "MixtureTraining",
    "NoiseOfMixture",
    "Number",
    "Outcome",
    "PredictorScore",
    "Proposal",
    "Purpose",
    "RuinFinding",
    "SharesComparison",
    "Speed",
    "Stat",
    "Status",
    "TrainIdentity",
    "TrainRecord",
    "TrainResult",
    "TrainStep",
    "Unjudged",
    "Validation",
    "Variant",
    "Verdict",
    "documents_text",
    "from_json",
    "metrics_line",
    "model_name",
    "read_documents",
    "read_file",
    "read_held_out",
    "read_identity",
    "read_metrics",
    "read_proposal",
    "read_result",
    "read_validation",
    "result_text",
    "to_json",
]
