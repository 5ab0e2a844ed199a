"""Train a PLT on a packed run, so that the mixture is proven by training; killed at any moment, it goes on.

One update: the next sequences of the stream, mean loss over all their targets, clip, AdamW. After it, in this order:
a line in the metrics, an evaluation if due, a checkpoint if due. Nothing is random after the first weights, so a
checkpoint holds all state there is, and on one machine a resumed run writes the bytes of an undisturbed one.

Under `torchrun` or Ray Train every process runs this file on its own rows (see `distributed.py`); the first one writes.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from signal import Signals
from typing import NamedTuple

from pipeline.errors import StoppedError
from pipeline.plt import checkpoint
from pipeline.plt.begin import identity_of, keep_beside, opening_notes, tail_split
from pipeline.plt.checkpoint import ModelFolder, TrainProgress
from pipeline.plt.config import TrainConfig
from pipeline.plt.data import Split, open_packed, unigram_entropies
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.distributed import join_ranks
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
from pipeline.plt.fit import fit_to_data
from pipeline.plt.flops import count_parameters, flops_per_token, peak_flops
from pipeline.plt.going_on import change_lines, uneven_lines
from pipeline.plt.loader import Loader, StepBatch, read_step, token_counts
from pipeline.plt.machine import choose_machine
from pipeline.plt.optimiser import build_optimiser
from pipeline.plt.prepare import Place, prepare_model, rows_of
from pipeline.plt.ratio import refuse_ratios
from pipeline.plt.saving import Saver
from pipeline.plt.stopping import hold_signals
from pipeline.plt.tensorboard import AddScalars, check_tensorboard, open_event_file
from pipeline.plt.update import update
from pipeline.plt.verdict import judge
from pipeline.plt.vocabulary import check_covers, read_token_bytes, run_tokenizer
from pipeline.plt.warm_start import warm_start
from pipeline.plt.weights import read_model
from pipeline.results import (
    DOCUMENTS_NAME,
    RESULT_NAME,
    Diagnostics,
    DocumentLoss,
    Evaluation,
    TrainRecord,
    TrainResult,
    TrainStep,
    documents_text,
    metrics_line,
    read_metrics,
    read_result,
    result_text,
)
from pipeline.schema import POOLS
from pipeline.sequences import Ints

BOARD_NAME = "tensorboard"


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
        split = split or tail_split(config, packed, done=TrainProgress(), ranks=ranks)
        for note in opening_notes(config, packed):
            on_event(Noted(note))
        config = fit_to_data(config, run=packed)
        if not drawn:
            refuse_ratios(data)
        tokenizer = run_tokenizer(data, given=tokenizer)
        check_covers(tokenizer, run=packed)
        token_bytes = read_token_bytes(tokenizer, vocab_size=config.model.vocab_size)
        identity = identity_of(config, packed, tokenizer=tokenizer, drawn=drawn)
        with checkpoint.open_folder(out, identity=identity, ranks=ranks, keep=config.run.keep_checkpoints) as folder:
            if ranks.leads:
                keep_beside(out, tokenizer=tokenizer, drawn=split if drawn else None)
            if folder.resume is not None and not drawn:
                split = tail_split(config, packed, done=folder.resume.progress, ranks=ranks, known=split)
            held_out = build_held_out(split, batch_size=rows_of(config, ranks=ranks), token_bytes=token_bytes)
            place = Place(machine, ranks, held_out, prepare_model(config, machine=machine, ranks=ranks))
            if folder.resume is None and config.run.warm_start is not None:
                on_event(Noted(warm_start(place.model, Path(config.run.warm_start), tokenizer=tokenizer)))
            trainer = _Trainer(config, split=split, folder=folder, place=place, on_event=on_event)
            try:
                trainer.run()
            finally:
                trainer.saver.settle()
            result = trainer.result()
            ranks.wait()
            return result or read_result(out)


def _write_result(result: TrainResult) -> None:
    """documents.jsonl first: where result.json stands, training is done."""
    write_file(result.folder / DOCUMENTS_NAME, documents_text(result.documents))
    write_file(result.folder / RESULT_NAME, result_text(result))


class _Final(NamedTuple):
    """What is known of a finished training before its loops are looked at."""

    counts: dict[str, Ints]  # of the ids trained on, per pool
    permuted: Floats  # loss of each held-out piece with its tokens permuted
    documents: tuple[DocumentLoss, ...]


class _Trainer:
    """One training run, from its first or resumed step to its last."""

    def __init__(
        self, config: TrainConfig, *, split: Split, folder: ModelFolder, place: Place, on_event: OnEvent
    ) -> None:
        self.config, self.split, self.folder, self.on_event = config, split, folder, on_event
        self.place, self.model = place, place.model
        self.machine, self.ranks, self.held_out = place.machine, place.ranks, place.held_out
        self.optimiser = build_optimiser(self.model, config=config.optimiser)
        self.saver = Saver(folder, model=self.model, optimiser=self.optimiser, ranks=place.ranks)
        self.unsaid: int | None = None  # step of a checkpoint that is being written
        self.start = self.progress = TrainProgress()  # of this life of the run, and now
        self.steps: list[TrainStep] = []
        self.evaluations: list[Evaluation] = []
        self.losses: Floats | None = None  # of the newest evaluation, per held-out piece; unknown after a resume
        self.add_scalars: AddScalars = lambda step, scalars: None
        self._resume()
        self._announce()

    def run(self) -> None:
        """Train to the last step, or to the first loss or gradient that is no finite number."""
        n_steps = self.config.optimiser.n_steps
        if self.n_done == 0:
            self._evaluate()
        if self.n_done < n_steps:
            self._train(n_steps)
        self._saved()

    def _train(self, n_steps: int) -> None:
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
                    self._saved()
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

    def result(self) -> TrainResult | None:
        """What was found, on the disk too; None in all processes but the first, which looks at the loops."""
        final = self._measure()
        if not self.ranks.leads:
            return None
        record = self._record(final)
        result = TrainResult(self.folder.path, record, judge(record), final.documents)
        _write_result(result)
        return result

    def _measure(self) -> _Final:
        """What all processes find out together when training has ended."""
        config, n_seen = self.config, self.progress.n_sequences
        counts = token_counts(self.split, n_sequences=n_seen, vocab_size=config.model.vocab_size, ranks=self.ranks)
        permuted = self._piece_losses(permuted=True)
        documents = document_losses(
            self.held_out,
            losses=self._piece_losses() if self.losses is None else self.losses,
            permuted=permuted,
            unigram=unigram_piece_losses(self.held_out, counts),
        )
        return _Final(counts, permuted, documents)

    def _record(self, final: _Final) -> TrainRecord:
        """Everything measured, and the diagnostics, which one process makes."""
        config, n_seen, counts = self.config, self.progress.n_sequences, final.counts
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
            permuted_losses=tuple(of for each in group_losses(self.held_out, final.permuted) for of in each),
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
        self._saved()
        self.saver.save(self.progress, config=self.config.model, machine=self._described())
        self.unsaid = self.n_done
        if self.ranks.group is None:
            self._saved()

    def _saved(self) -> None:
        """Wait for the checkpoint that is being written, and say that it stands."""
        self.saver.wait()
        if self.unsaid is not None:
            self.on_event(Saved(step=self.unsaid, folder=checkpoint.checkpoint_of(self.folder.path, step=self.unsaid)))
            self.unsaid = None

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
        self.saver.restore(counters.progress)
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
