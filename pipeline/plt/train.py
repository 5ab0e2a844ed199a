"""Train a PLT on a packed run, so that the mixture is proven by training; killed at any moment, it goes on.

One update: the next sequences of the stream, mean loss over all their targets, clip, AdamW. After it, in this order:
a line in the metrics, an evaluation if due, a checkpoint if due. Nothing is random after the first weights, so a
checkpoint holds all state there is, and on one machine a resumed run writes the bytes of an undisturbed one.

Under `torchrun` or Ray Train every process runs this file on its own rows (see `distributed.py`); the first one writes.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import Signals

from pipeline.errors import ConfigError, StoppedError
from pipeline.plt import checkpoint
from pipeline.plt.checkpoint import ModelFolder, TrainProgress
from pipeline.plt.config import LOOP_OPTIONS, TrainConfig
from pipeline.plt.data import PackedRun, Split, open_packed, split_run, unigram_entropies
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.distributed import Ranks, join_ranks
from pipeline.plt.durable import write_file
from pipeline.plt.evaluate import (
    Floats,
    build_held_out,
    document_losses,
    evaluation_of,
    group_losses,
    piece_losses,
    unigram_losses,
    unigram_piece_losses,
)
from pipeline.plt.events import Evaluated, Noted, OnEvent, Saved, Started, Stepped, ignore
from pipeline.plt.flops import cost_lines, count_parameters, flops_per_token, peak_flops
from pipeline.plt.going_on import change_lines, uneven_lines
from pipeline.plt.loader import Loader, StepBatch, read_step, token_counts
from pipeline.plt.machine import choose_machine
from pipeline.plt.optimiser import build_optimiser, pack_state, unpack_state
from pipeline.plt.prepare import Place, prepare_model, rows_of
from pipeline.plt.shards import MANIFEST_NAME
from pipeline.plt.stopping import hold_signals
from pipeline.plt.tensorboard import AddScalars, check_tensorboard, open_event_file
from pipeline.plt.update import update
from pipeline.plt.verdict import judge
from pipeline.plt.vocabulary import check_covers, file_hash, read_token_bytes, run_tokenizer
from pipeline.plt.warm_start import warm_start
from pipeline.plt.weights import gather, read_model
from pipeline.results import (
    DOCUMENTS_NAME,
    HELD_OUT_NAME,
    RESULT_NAME,
    Diagnostics,
    DocumentLoss,
    Evaluation,
    HeldOutSequences,
    TrainIdentity,
    TrainRecord,
    TrainResult,
    TrainStep,
    documents_text,
    metrics_line,
    read_metrics,
    result_text,
    to_json,
)
from pipeline.schema import POOLS, TOKENIZER_FILE

BOARD_NAME = "tensorboard"
_FORMAT = 3  # of the model folder; raise it when an older folder can no longer be resumed
# Settings of `run` that may be others in each life of a run; it says so where they move the last digits.
_OF_NO_MODEL = {"device", "n_threads", "tensorboard", "keep_checkpoints"}


def train(
    config: TrainConfig,
    *,
    data: Path,
    out: Path,
    on_event: OnEvent = ignore,
    tokenizer: Path | None = None,
    split: Split | None = None,
) -> TrainResult:
    """Train on `data`/packed into the folder `out`; an unfinished or finished `out` is taken up where it stands.

    A drawn `split` of the run replaces stream order and tail. The run's tokenizer goes into `out` and gives losses in
    bits per byte; shards without a manifest have none: there `tokenizer` may name it, or losses stay in nats.
    Every process gets the result; only the first one writes and says anything.
    """
    check_tensorboard(config.run.tensorboard)
    machine = choose_machine(config.run)
    with join_ranks(machine.device) as ranks:
        if not ranks.leads:
            on_event = ignore
        drawn = split.digest() if split is not None else ""
        packed = split.run if split is not None else open_packed(data, ranks=ranks)
        split = split or _tail_split(config, packed, done=TrainProgress())
        for note in _notes(config, packed):
            on_event(Noted(note))
        config = fit_to_data(config, run=packed)
        tokenizer = run_tokenizer(data, given=tokenizer)
        check_covers(tokenizer, run=packed)
        token_bytes = read_token_bytes(tokenizer, vocab_size=config.model.vocab_size)
        named = config.model_dump(mode="json", exclude={"run": _OF_NO_MODEL})
        spelled_by = file_hash(tokenizer) if tokenizer is not None else ""
        identity = TrainIdentity(_FORMAT, packed.seq_len, named, packed.hashes, tokenizer=spelled_by, split=drawn)
        keep = config.run.keep_checkpoints
        with checkpoint.open_folder(out, identity=identity, ranks=ranks, keep=keep) as folder:
            if ranks.leads:
                _keep(out, tokenizer=tokenizer, drawn=split if drawn else None)
            if folder.resume is not None and not drawn:
                split = _tail_split(config, packed, done=folder.resume.progress, known=split)
            held_out = build_held_out(split, batch_size=rows_of(config, ranks=ranks), token_bytes=token_bytes)
            place = Place(machine, ranks, held_out, prepare_model(config, machine=machine, ranks=ranks))
            if folder.resume is None and config.run.warm_start is not None:
                on_event(Noted(warm_start(place.model, Path(config.run.warm_start), tokenizer=tokenizer)))
            trainer = _Trainer(config, split=split, folder=folder, place=place, on_event=on_event)
            trainer.run()
            record = trainer.record()
            result = TrainResult(out, record, judge(record), trainer.documents)
            if ranks.leads:
                _write_result(result)
            ranks.wait()
            return result


def _notes(config: TrainConfig, packed: PackedRun) -> Iterator[str]:
    """What is odd about a training before it starts."""
    if not packed.in_manifest:
        yield f"{packed.folder.parent} has no {MANIFEST_NAME}: its packed shards are taken as they are, unverified"
    unused = sorted(LOOP_OPTIONS & config.model.model_fields_set) if config.model.n_loops == 1 else []
    if unused:
        yield f"model.n_loops is 1: {', '.join(unused)} have no effect"


def _tail_split(config: TrainConfig, packed: PackedRun, *, done: TrainProgress, known: Split | None = None) -> Split:
    """Stream order, its end held out; documents read by `done` and by the steps still to do are not scored.

    That is another set than `known`'s only where steps of another size were done before.
    """
    n_read = done.n_sequences + (config.optimiser.n_steps - done.step) * config.data.sequences_per_step
    if known is not None and n_read == config.n_read_sequences:
        return known
    return split_run(packed, n_held_out=config.data.n_held_out_sequences, n_read=n_read)


def _keep(out: Path, *, tokenizer: Path | None, drawn: Split | None) -> None:
    """Put into the model folder what `diagnose` and `export` need of the run."""
    if drawn is not None:
        sequences = HeldOutSequences(tuple(map(int, drawn.held_out)))
        write_file(out / HELD_OUT_NAME, to_json(sequences) + "\n")
    if tokenizer is not None:
        write_file(out / TOKENIZER_FILE, tokenizer.read_text(encoding="utf-8"))


def _write_result(result: TrainResult) -> None:
    """documents.jsonl first: where result.json stands, training is done."""
    write_file(result.folder / DOCUMENTS_NAME, documents_text(result.documents))
    write_file(result.folder / RESULT_NAME, result_text(result))


def dry_run(config: TrainConfig, *, data: Path, n_processes: int = 1) -> list[str]:
    """What `train` would cost, as lines: parameters, FLOPs per token, memory, hours. Trains nothing."""
    run = open_packed(data)
    config = fit_to_data(config, run=run)
    machine = choose_machine(config.run)
    n_epochs = config.n_read_sequences / max(1, run.n_sequences - config.data.n_held_out_sequences)
    lines = cost_lines(config, seq_len=run.seq_len, device_name=machine.name(), n_processes=n_processes)
    lines += uneven_lines(config, ranks=Ranks(size=n_processes))
    return [*lines, f"{n_epochs:.2f} passes over {run.n_sequences:,} sequences of {run.folder}"]


def fit_to_data(config: TrainConfig, *, run: PackedRun) -> TrainConfig:
    """Fill in what the data decide, and refuse a vocabulary that is too small for them."""
    model = config.model
    check_vocabulary(run, vocab_size=model.vocab_size)
    if model.max_positions is not None and model.max_positions < run.seq_len:
        raise ConfigError(
            f"model.max_positions is {model.max_positions}, sequences have {run.seq_len} tokens; raise it"
        )
    model = model.model_copy(update={"max_positions": model.max_positions or run.seq_len})
    return config.model_copy(update={"model": model})


def check_vocabulary(run: PackedRun, *, vocab_size: int) -> None:
    """Raise ConfigError if the data hold an id that the model has no embedding for."""
    if run.max_token_id >= vocab_size:
        raise ConfigError(
            f"model.vocab_size is {vocab_size} but {run.folder} holds token id {run.max_token_id}; "
            f"set it to the tokenizer's size, at least {run.max_token_id + 1}"
        )


class _Trainer:
    """One training run, from its first or resumed step to its last."""

    def __init__(
        self, config: TrainConfig, *, split: Split, folder: ModelFolder, place: Place, on_event: OnEvent
    ) -> None:
        self.config, self.split, self.folder, self.on_event = config, split, folder, on_event
        self.place, self.model = place, place.model
        self.machine, self.ranks, self.held_out = place.machine, place.ranks, place.held_out
        self.optimiser = build_optimiser(self.model, config=config.optimiser)
        self.start = self.progress = TrainProgress()  # of this life of the run, and now
        self.steps: list[TrainStep] = []
        self.evaluations: list[Evaluation] = []
        self.losses: Floats | None = None  # of the newest evaluation, per held-out piece; unknown after a resume
        self.documents: tuple[DocumentLoss, ...] = ()  # known once `record` was made
        self.add_scalars: AddScalars = lambda step, scalars: None
        self._resume()
        self._announce()

    def run(self) -> None:
        """Train to the last step, or to the first loss or gradient that is no finite number."""
        n_steps = self.config.optimiser.n_steps
        if self.n_done == 0:
            self._evaluate()
        if self.n_done == n_steps:
            return
        with ExitStack() as stack:
            request = stack.enter_context(hold_signals())
            loader = stack.enter_context(Loader(self._read, first_step=self.n_done, n_steps=n_steps))
            if check_tensorboard(self.config.run.tensorboard) and self.ranks.leads:
                self.add_scalars = stack.enter_context(open_event_file(self.folder.path / BOARD_NAME))
            while self.n_done < n_steps:
                if not self._advance(loader):
                    return
                last = self.n_done == n_steps
                if last or self.n_done % self.config.eval.every_steps == 0:
                    self._evaluate()
                signal_number = request.agreed(self.ranks)
                if last or signal_number or self.n_done % self.config.run.checkpoint_every_steps == 0:
                    self._save()
                if signal_number:
                    raise self._stopped(signal_number)

    def _stopped(self, signal_number: int) -> StoppedError:
        done = f"{Signals(signal_number).name}: stopped after step {self.n_done} of {self.config.optimiser.n_steps}"
        saved = checkpoint.checkpoint_of(self.folder.path, step=self.n_done)
        message = f"{done}; {saved} is saved, run the same line again to go on"
        return StoppedError(message, signal_number=signal_number)

    @property
    def n_done(self) -> int:
        """Updates."""
        return self.progress.step

    def record(self) -> TrainRecord:
        """Everything measured, the diagnostics included."""
        config, n_seen = self.config, self.progress.n_sequences
        counts = token_counts(self.split, n_sequences=n_seen, vocab_size=config.model.vocab_size)
        permuted = self._piece_losses(permuted=True)
        self.documents = document_losses(
            self.held_out,
            losses=self._piece_losses() if self.losses is None else self.losses,
            permuted=permuted,
            unigram=unigram_piece_losses(self.held_out, counts),
        )
        return TrainRecord(
            n_parameters=count_parameters(config.model),
            n_loops=config.model.n_loops,
            seq_len=self.split.run.seq_len,
            n_steps=self.n_done,
            n_wanted_steps=config.optimiser.n_steps,
            n_epochs=n_seen / self.split.n_train,
            n_tokens=dict(self.progress.n_tokens),
            parts={"code": config.data.code_parts, "text": config.data.text_parts},
            min_group_tokens=config.eval.min_group_tokens,
            n_masked_pieces=self.held_out.n_masked_pieces,
            unigram_entropies=unigram_entropies(counts),
            unigram_losses=unigram_losses(self.held_out, counts),
            steps=tuple(self.steps),
            evaluations=tuple(self.evaluations),
            diagnostics=self._diagnose(),
            permuted_losses=tuple(of for each in group_losses(self.held_out, permuted) for of in each),
        )

    def _piece_losses(self, *, permuted: bool = False) -> Floats:
        return piece_losses(self.model, self.held_out, machine=self.machine, ranks=self.ranks, permuted=permuted)

    def _read(self, step: int) -> StepBatch:
        n_sequences, n_rows = self.config.data.sequences_per_step, rows_of(self.config, ranks=self.ranks)
        start = self.start.n_sequences + (step - self.start.step) * n_sequences
        batch = read_step(self.split, start=start, n_sequences=n_sequences, n_rows=n_rows, ranks=self.ranks)
        return batch.pinned() if self.machine.device.type == "cuda" else batch

    def _advance(self, loader: Loader) -> bool:
        """One update and all that is said of it. False: it was not applied, so training ends."""
        started = time.perf_counter()
        batch, waited = loader.next()
        done = update(self.place, batch, optimiser=self.optimiser, step=self.n_done, config=self.config)
        if done.applied:
            before = self.progress
            n_tokens = {pool: n + batch.n_tokens[pool] for pool, n in before.n_tokens.items()}
            n_sequences = before.n_sequences + self.config.data.sequences_per_step
            self.progress = TrainProgress(before.step + 1, n_sequences, n_tokens)
        number = self.n_done if done.applied else self.n_done + 1
        counted, of_pool = (self.progress.n_tokens[pool] for pool in POOLS), (done.pool_losses[pool] for pool in POOLS)
        step = TrainStep(number, done.loss, done.lr, done.grad_norm, *counted, *of_pool)
        if not done.applied:  # the weights are still good, so keep them before it ends
            self._evaluate()
            if self.n_done:
                self._save()
        self.steps.append(step)
        self.folder.log(metrics_line(step))
        if done.applied:
            self._say(step, batch=batch, seconds=time.perf_counter() - started, waited=waited)
        return done.applied

    def _say(self, step: TrainStep, *, batch: StepBatch, seconds: float, waited: float) -> None:
        """Tell the step to who listens and to TensorBoard. MFU counts attention as masked, and real tokens only."""
        n_new = sum(batch.n_tokens.values())
        flops = 3 * flops_per_token(self.config.model, mean_context=batch.mean_context) * n_new
        peak = peak_flops(self.machine.name())
        mfu = flops / (seconds * peak * self.ranks.size) if peak else None
        self.on_event(Stepped(step, n_new / seconds, seconds, waited, mfu))
        scalars = {
            "train/loss": step.loss,
            "train/loss_code": step.code_loss,
            "train/loss_text": step.text_loss,
            "train/grad_norm": step.grad_norm,
            "train/lr": step.lr,
            "speed/tokens_per_second": n_new / seconds,
            "speed/step_seconds": seconds,
            "speed/loader_wait_seconds": waited,
        }
        self.add_scalars(step.step, scalars | ({"speed/mfu": mfu} if mfu is not None else {}))

    def _evaluate(self) -> None:
        if self.evaluations and self.evaluations[-1].step == self.n_done:  # resumed just after it
            return
        started = time.perf_counter()
        self.losses = self._piece_losses()
        evaluation = evaluation_of(self.held_out, self.losses, step=self.n_done)
        self.evaluations.append(evaluation)
        self.folder.log(metrics_line(evaluation))
        losses = {f"held_out/{g.pool}/{g.group or 'all'}": g.loss for g in (*evaluation.pools, *evaluation.groups)}
        self.add_scalars(self.n_done, {"held_out/all": evaluation.loss} | losses)
        self.on_event(Evaluated(evaluation, seconds=time.perf_counter() - started))

    def _save(self) -> None:
        path = self.folder.save(
            config=self.config.model,
            weights=gather(self.model),
            optimiser_state=pack_state(self.optimiser, model=self.model),
            progress=self.progress,
            machine=self._described(),
        )
        self.ranks.wait()
        self.on_event(Saved(step=self.n_done, folder=path))

    def _described(self) -> dict[str, str]:
        return self.machine.describe() | {"n_processes": str(self.ranks.size)}

    def _diagnose(self) -> Diagnostics:
        """Loop diagnostics of the model as it stands; a sharded or compiled one is read back from its checkpoint."""
        model, newest = self.model, checkpoint.newest_checkpoint(self.folder.path)
        if (self.ranks.size > 1 or self.config.run.compile) and newest is not None:
            model = read_model(newest).to(self.machine.device)
        n_sequences = self.config.eval.n_diagnose_sequences
        return diagnose_split(model, self.split, n_sequences=n_sequences, machine=self.machine)

    def _resume(self) -> None:
        for note in (*self.folder.notes, *uneven_lines(self.config, ranks=self.ranks)):
            self.on_event(Noted(note))
        counters = self.folder.resume
        if counters is None:
            return
        newest = checkpoint.checkpoint_of(self.folder.path, step=counters.progress.step)
        tensors = checkpoint.restore_weights(newest, model=self.model)
        unpack_state(tensors, optimiser=self.optimiser, model=self.model, step=counters.progress.step)
        self.start = self.progress = counters.progress
        self.steps, self.evaluations = read_metrics(self.folder.path, n_bytes=counters.metrics_bytes)
        machine = self._described()
        changed = [
            f"{key} {was} -> {machine.get(key)}" for key, was in counters.machine.items() if was != machine.get(key)
        ]
        if changed:
            self.on_event(Noted(f"resumed on another machine ({'; '.join(changed)}): the last digits will differ"))
        for line in change_lines(self.folder.changes, config=self.config, done=self.progress):
            self.on_event(Noted(line))

    def _announce(self) -> None:
        self.on_event(
            Started(
                n_parameters=count_parameters(self.config.model),
                n_steps=self.config.optimiser.n_steps,
                first_step=self.n_done,
                seq_len=self.split.run.seq_len,
                n_train_sequences=self.split.n_train,
                n_held_out_sequences=len(self.split.held_out),
                n_held_out_tokens=self.held_out.n_tokens,
                n_masked_pieces=self.held_out.n_masked_pieces,
                device=self.machine.name(),
                dtype=str(self.machine.dtype).removeprefix("torch."),
                n_processes=self.ranks.size,
                backend=self.model.model.backend,
            )
        )
