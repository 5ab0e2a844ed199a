"""What a training settles before its first step: whose model it is, what it reads, says and keeps of the run."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.plt.checkpoint import TrainProgress
from pipeline.plt.config import LOOP_OPTIONS, TrainConfig
from pipeline.plt.data import PackedRun, Split, split_run
from pipeline.plt.distributed import Ranks
from pipeline.plt.durable import write_file
from pipeline.plt.ratio import with_ratio
from pipeline.plt.shards import MANIFEST_NAME
from pipeline.plt.vocabulary import file_hash
from pipeline.results import HELD_OUT_NAME, HeldOutSequences, TrainIdentity, to_json
from pipeline.schema import TOKENIZER_FILE

_FORMAT = 3  # of the model folder; raise it when an older folder can no longer be resumed
# Settings of `run` that may be others in each life of a run; it says so where they move the last digits.
_OF_NO_MODEL = {"device", "n_threads", "tensorboard", "keep_checkpoints"}


def identity_of(config: TrainConfig, packed: PackedRun, *, tokenizer: Path | None, drawn: str) -> TrainIdentity:
    """What another training would differ in."""
    named = config.model_dump(mode="json", exclude={"run": _OF_NO_MODEL})
    spelled_by = file_hash(tokenizer) if tokenizer is not None else ""
    return TrainIdentity(_FORMAT, packed.seq_len, named, packed.hashes, tokenizer=spelled_by, split=drawn)


def opening_notes(config: TrainConfig, packed: PackedRun) -> Iterator[str]:
    """What is odd about a training before it starts."""
    if not packed.in_manifest:
        yield f"{packed.folder.parent} has no {MANIFEST_NAME}: its packed shards are taken as they are, unverified"
    unused = sorted(LOOP_OPTIONS & config.model.model_fields_set) if config.model.n_loops == 1 else []
    if unused:
        yield f"model.n_loops is 1: {', '.join(unused)} have no effect"
    contradiction = with_ratio(config, data=packed.folder.parent)[1]
    if contradiction:
        yield contradiction


def tail_split(
    config: TrainConfig, packed: PackedRun, *, done: TrainProgress, ranks: Ranks, known: Split | None = None
) -> Split:
    """Stream order, its end held out; documents read by `done` and by the steps still to do are not scored.

    That is another set than `known`'s only where steps of another size were done before.
    """
    n_read = done.n_sequences + (config.optimiser.n_steps - done.step) * config.data.sequences_per_step
    if known is not None and n_read == config.n_read_sequences:
        return known
    return split_run(packed, n_held_out=config.data.n_held_out_sequences, n_read=n_read, ranks=ranks)


def keep_beside(out: Path, *, tokenizer: Path | None, drawn: Split | None) -> None:
    """Put into the model folder what `diagnose` and `export` need of the run."""
    if drawn is not None:
        sequences = HeldOutSequences(tuple(map(int, drawn.held_out)))
        write_file(out / HELD_OUT_NAME, to_json(sequences) + "\n")
    if tokenizer is not None:
        write_file(out / TOKENIZER_FILE, tokenizer.read_text(encoding="utf-8"))
