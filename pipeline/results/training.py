"""What training and diagnostics find, and the lines and files that hold it."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.results.codec import TRAIN_AGAIN, Number, Whole, from_json, read_bytes, read_file, to_json

IDENTITY_NAME = "train.json"
HELD_OUT_NAME = "held_out.json"
METRICS_NAME = "metrics.jsonl"
RESULT_NAME = "result.json"
DOCUMENTS_NAME = "documents.jsonl"
DIAGNOSTICS_NAME = "diagnostics.json"
# Of the training curve in result.json: as many points as a chart can show. metrics.jsonl has every step.
_MAX_CURVE_STEPS = 200

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class TrainIdentity:
    """What a model folder is trained from: another one of these is another model."""

    format: Whole  # of the folder
    seq_len: Whole
    config: dict[str, Any]  # the training file
    data: dict[str, str]  # packed shard -> SHA-256
    tokenizer: str = ""  # SHA-256 of tokenizer.json; empty where none is known
    split: str = ""  # SHA-256 of a drawn order and of what it holds out; empty: stream order and its end


@dataclass(frozen=True)
class HeldOutSequences:
    """Sequences of the stream that were drawn and held out, ascending."""

    sequences: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...]


@dataclass(frozen=True)
class TrainStep:
    """One update, numbered from 1. Loss in nats per target; tokens are real ones, summed from the start.

    A pool without a target in this update has no loss: it is NaN.
    """

    step: Whole
    loss: Number
    lr: Number
    grad_norm: Number
    n_code_tokens: Whole
    n_text_tokens: Whole
    code_loss: Number = math.nan
    text_loss: Number = math.nan


@dataclass(frozen=True)
class GroupLoss:
    """Mean loss in nats of a group's held-out targets; `group` is empty for a whole pool."""

    pool: str
    group: str
    n_tokens: Whole
    loss: Number
    n_bytes: Whole = 0  # that the scored targets stand for; 0 where the tokenizer is unknown

    @property
    def bits_per_byte(self) -> float | None:
        """The loss in the only unit that languages and tokenizers share."""
        return self.loss * self.n_tokens / math.log(2) / self.n_bytes if self.n_bytes else None


@dataclass(frozen=True)
class DocumentLoss:
    """The scored pieces of one held-out document under a finished model; nats are sums over its targets.

    `permuted_nats` is the loss of the same tokens in a drawn order, `unigram_nats` that of the token frequencies of the
    pool, as trained on. Bytes are 0 where the tokenizer is unknown.
    """

    doc_id: str
    pool: str
    group: str
    n_tokens: Whole
    n_bytes: Whole
    nats: Number
    permuted_nats: Number
    unigram_nats: Number


@dataclass(frozen=True)
class Evaluation:
    """Held-out loss after `step` updates, over all, per pool and per group."""

    step: Whole
    n_tokens: Whole
    loss: Number
    pools: tuple[GroupLoss, ...]
    groups: tuple[GroupLoss, ...]


@dataclass(frozen=True)
class Stat:
    """A mean over sequences with the half-width of its 95 % confidence interval."""

    mean: Number
    ci95: Number


@dataclass(frozen=True)
class LoopDiagnostics:
    """The LoopCoder-v2 report's measures of loop r. Loop 0 in a difference is the embedding.

    "normed" means after the final norm: the report does not say which side it measures, so both are given. None: not
    defined for this loop. Document starts and padding never enter, except in loss, entropy and rank (padding only).
    """

    loop: Whole
    step_size: Stat  # norm of z(r) - z(r-1)
    step_size_normed: Stat
    alignment: Stat | None  # cosine between this step and the one before; below 0: it turns back
    alignment_normed: Stat | None
    effective_rank: Number  # exp of the entropy of normalised singular values, normed states, n_rank_tokens rows
    fixed_point_gap: Stat  # norm of z(r) - f(z(r)), f in the mode of the loops >= 2 where there are any
    offset_cost: Stat | None  # Omega: norm of z(r-1)_i - z(r-1)_(i-1)
    offset_cost_normed: Stat | None
    gate_mean: Stat | None  # weight of the global branch over heads, layers and tokens
    gate_saturated_frac: Number | None  # gates below 0.02 or above 0.98
    layer_gate_means: tuple[Number, ...]
    output_shift: Stat  # KL(p(r) || p(r-1)) in nats
    output_shift_frac: Number | None  # this loop's part of the sum over loops >= 2
    peak_frac: Number | None  # tokens whose largest output shift among loops >= 2 is here
    output_entropy: Stat  # nats
    loss: Stat  # of the head applied to this loop
    median_target_rank: Number  # 1: the true token is the likeliest
    # From here on: means over sequences of what the fields above pool, and attention (see `plt/probe.py`).
    target_rank: Stat | None = None  # mean over sequences of their medians
    sequence_rank: Stat | None = None  # effective rank within a sequence, n_sequence_rank_tokens rows
    output_shift_share: Stat | None = None
    peak_share: Stat | None = None
    attention_entropy: Stat | None = None  # nats, over keys, of the map that acts
    attention_change: Stat | None = None  # KL(A(r) || A(r-1)) in nats
    attention_change_share: Stat | None = None
    head_rank: Stat | None = None  # effective rank of the heads' maps of a query
    head_similarity: Stat | None = None  # mean cosine between heads


@dataclass(frozen=True)
class Diagnostics:
    """Loop diagnostics of one model over held-out sequences."""

    n_sequences: Whole
    n_tokens: Whole
    n_rank_tokens: Whole
    n_sequence_rank_tokens: Whole
    loops: tuple[LoopDiagnostics, ...]


@dataclass(frozen=True)
class Check:
    """One named test of the verdict with the numbers it judged."""

    name: str
    status: Status
    message: str
    numbers: dict[str, Number]


@dataclass(frozen=True)
class Verdict:
    """The worst status of its checks, in one sentence, and the checks."""

    status: Status
    message: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class TrainRecord:
    """What the verdict judges: everything measured in a training run."""

    n_parameters: Whole
    n_loops: Whole
    seq_len: Whole
    n_steps: Whole  # updates done
    n_wanted_steps: Whole
    n_epochs: Number  # passes over the training part of the stream
    n_tokens: dict[str, Whole]  # real tokens trained on, per pool
    parts: dict[str, Whole]  # ratio that the training file expects between them
    min_group_tokens: Whole
    n_masked_pieces: Whole  # held-out pieces left unscored because their document also trains
    unigram_entropies: dict[str, Number]  # nats, of the tokens trained on, per pool
    unigram_losses: tuple[GroupLoss, ...]  # held-out loss of those frequencies (add-one), per pool and group
    steps: tuple[TrainStep, ...]  # thinned in result.json
    evaluations: tuple[Evaluation, ...]
    diagnostics: Diagnostics
    # Of the trained model on the same tokens in a drawn order; empty in folders of older versions.
    permuted_losses: tuple[GroupLoss, ...] = ()


@dataclass(frozen=True)
class TrainResult:
    """A finished training. result.json holds verdict and record side by side, documents.jsonl the documents."""

    folder: Path
    record: TrainRecord
    verdict: Verdict
    documents: tuple[DocumentLoss, ...] = ()  # by document id


def read_identity(folder: Path) -> TrainIdentity:
    """MODEL/train.json."""
    return read_file(TrainIdentity, folder / IDENTITY_NAME)


def read_held_out(folder: Path) -> tuple[int, ...] | None:
    """MODEL/held_out.json; None where the end of the stream is held out."""
    path = folder / HELD_OUT_NAME
    return read_file(HeldOutSequences, path).sequences if path.exists() else None


def metrics_line(entry: TrainStep | Evaluation) -> str:
    """One line for metrics.jsonl; `kind` says which of the two it is."""
    kind = "step" if isinstance(entry, TrainStep) else "evaluation"
    return to_json({"kind": kind} | dataclasses.asdict(entry))


@dataclass(frozen=True)
class _MetricsLine:
    kind: Literal["step", "evaluation"]


def read_metrics(folder: Path, *, n_bytes: int | None = None) -> tuple[list[TrainStep], list[Evaluation]]:
    """All steps and evaluations in (the first `n_bytes` of) MODEL/metrics.jsonl.

    A last line without its end is still being written and is left out.
    """
    path = folder / METRICS_NAME
    steps: list[TrainStep] = []
    evaluations: list[Evaluation] = []
    for number, line in enumerate(read_bytes(path, remedy=TRAIN_AGAIN)[:n_bytes].split(b"\n")[:-1], start=1):
        where = f"{path}: line {number}"
        if from_json(_MetricsLine, line, where=where, remedy=TRAIN_AGAIN).kind == "step":
            steps.append(from_json(TrainStep, line, where=where, remedy=TRAIN_AGAIN))
        else:
            evaluations.append(from_json(Evaluation, line, where=where, remedy=TRAIN_AGAIN))
    return steps, evaluations


def result_text(result: TrainResult) -> str:
    """The text of result.json: verdict, evaluations, diagnostics and a thinned training curve."""
    steps = result.record.steps
    stride = max(1, -(-len(steps) // _MAX_CURVE_STEPS))
    curve = [s for i, s in enumerate(steps) if i % stride == 0 or i == len(steps) - 1]
    record = dataclasses.replace(result.record, steps=tuple(curve))
    return to_json({"verdict": dataclasses.asdict(result.verdict)} | dataclasses.asdict(record), indent=2) + "\n"


def documents_text(documents: tuple[DocumentLoss, ...]) -> str:
    """The text of documents.jsonl, a line for each."""
    return "".join(to_json(document) + "\n" for document in documents)


def read_documents(folder: Path) -> tuple[DocumentLoss, ...]:
    """MODEL/documents.jsonl."""
    path = folder / DOCUMENTS_NAME
    lines = read_bytes(path, remedy=TRAIN_AGAIN).splitlines()
    return tuple(
        from_json(DocumentLoss, line, where=f"{path}: line {number}", remedy=TRAIN_AGAIN)
        for number, line in enumerate(lines, start=1)
    )


@dataclass(frozen=True)
class _Judged:
    verdict: Verdict


def read_result(folder: Path) -> TrainResult:
    """MODEL/result.json."""
    path = folder / RESULT_NAME
    verdict = read_file(_Judged, path).verdict
    documents = read_documents(folder) if (folder / DOCUMENTS_NAME).exists() else ()
    return TrainResult(folder, read_file(TrainRecord, path), verdict, documents)
