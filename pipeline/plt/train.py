"""Train a PLT on a packed run, so that the mixture is proven by training; killed at any moment, it goes on.

One update: the next sequences of the stream, mean loss over all their targets, clip, AdamW. After it, in this order:
a line in the metrics, an evaluation if due, a checkpoint if due. Nothing is random after the first weights, so a
checkpoint holds all state there is, and on one machine a resumed run writes the bytes of an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.plt import checkpoint
from pipeline.plt.checkpoint import ModelFolder
from pipeline.plt.config import TrainConfig
from pipeline.plt.data import (
    NO_TARGET,
    PackedRun,
    Split,
    make_batch,
    open_packed,
    read_sequence,
    split_run,
    step_indexes,
    unigram_entropies,
)
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.evaluate import build_held_out, evaluate
from pipeline.plt.events import (
    Evaluated,
    Evaluation,
    Noted,
    OnEvent,
    Saved,
    Started,
    Step,
    Stepped,
    TrainRecord,
    TrainResult,
    ignore,
)
from pipeline.plt.loss import Machine, choose_machine, token_losses
from pipeline.plt.metrics import metrics_line, read_metrics, result_text
from pipeline.plt.model import build_model
from pipeline.plt.optimiser import build_optimiser, learning_rate, pack_state, unpack_state
from pipeline.plt.verdict import judge
from pipeline.schema import POOLS

_FORMAT = 1  # of the model folder; raise it when an older folder can no longer be resumed
_LOOP_OPTIONS = {"embedding_scale", "hidden_scale", "normalize_per_loop", "gate", "window"}


def train(config: TrainConfig, *, data: Path, out: Path, on_event: OnEvent = ignore) -> TrainResult:
    """Train on `data`/packed into the folder `out`; an unfinished or finished `out` is taken up where it stands."""
    machine = choose_machine(config.run)
    n_held_out, n_read = config.data.n_held_out_sequences, config.n_read_sequences
    split = split_run(open_packed(data), n_held_out=n_held_out, n_read=n_read)
    unused = sorted(_LOOP_OPTIONS & config.model.model_fields_set) if config.model.n_loops == 1 else []
    if unused:
        on_event(Noted(f"model.n_loops is 1: {', '.join(unused)} have no effect"))
    config = fit_to_data(config, run=split.run)
    identity = {
        "format": _FORMAT,
        "seq_len": split.run.seq_len,
        # Device and threads may change between two lives of a run; it says so when that moves the last digits.
        "config": config.model_dump(mode="json", exclude={"run": {"device", "n_threads"}}),
        "data": split.run.hashes,
    }
    with checkpoint.open_folder(out, identity=identity) as folder:
        trainer = _Trainer(config, split=split, folder=folder, machine=machine, on_event=on_event)
        trainer.run()
        record = trainer.record()
        result = TrainResult(folder=out, record=record, verdict=judge(record))
        checkpoint.write_file(out / checkpoint.RESULT_NAME, result_text(result))
    return result


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
        self, config: TrainConfig, *, split: Split, folder: ModelFolder, machine: Machine, on_event: OnEvent
    ) -> None:
        self.config, self.split, self.folder, self.machine, self.on_event = config, split, folder, machine, on_event
        self.n_rows = config.data.sequences_per_step // config.data.grad_accumulation  # of one forward pass
        self.model = build_model(config.model, seed=config.run.seed).to(machine.device)
        self.model.model.recompute_layers = config.run.activation_checkpointing
        self.losses: Callable[..., Tensor] = torch.compile(token_losses) if config.run.compile else token_losses
        self.optimiser = build_optimiser(self.model, config=config.optimiser)
        self.held_out = build_held_out(split, batch_size=self.n_rows)
        self.n_done = 0  # updates
        self.n_tokens = dict.fromkeys(POOLS, 0)
        self.steps: list[Step] = []
        self.evaluations: list[Evaluation] = []
        self._resume()
        self._announce()

    def run(self) -> None:
        """Train to the last step, or to the first loss or gradient that is no finite number."""
        n_steps, every = self.config.optimiser.n_steps, self.config.eval.every_steps
        if self.n_done == 0:
            self._evaluate()
        while self.n_done < n_steps:
            started, n_before = time.perf_counter(), sum(self.n_tokens.values())
            step = self._update()
            if self.n_done < step.step:  # not applied: the weights are still good, so keep them before it ends
                self._evaluate()
                if self.n_done:
                    self._save()
                self._log(step)
                return
            self._log(step)
            n_new = sum(self.n_tokens.values()) - n_before
            self.on_event(Stepped(step, tokens_per_second=n_new / (time.perf_counter() - started)))
            last = self.n_done == n_steps
            if last or self.n_done % every == 0:
                self._evaluate()
            if last or self.n_done % self.config.run.checkpoint_every_steps == 0:
                self._save()

    def record(self) -> TrainRecord:
        """Everything measured, the diagnostics included."""
        config, n_seen = self.config, self.n_done * self.config.data.sequences_per_step
        return TrainRecord(
            n_parameters=self._n_parameters(),
            n_loops=config.model.n_loops,
            seq_len=self.split.run.seq_len,
            n_steps=self.n_done,
            n_wanted_steps=config.optimiser.n_steps,
            n_epochs=n_seen / self.split.n_train,
            n_tokens=dict(self.n_tokens),
            parts={"code": config.data.code_parts, "text": config.data.text_parts},
            min_group_tokens=config.eval.min_group_tokens,
            n_masked_pieces=self.held_out.n_masked_pieces,
            unigram_entropies=unigram_entropies(self.split, n_sequences=n_seen, vocab_size=config.model.vocab_size),
            steps=tuple(self.steps),
            evaluations=tuple(self.evaluations),
            diagnostics=diagnose_split(
                self.model, self.split, n_sequences=config.eval.n_diagnose_sequences, machine=self.machine
            ),
        )

    def _update(self) -> Step:
        """Compute one update; apply it only if loss and gradient are finite numbers."""
        config, number = self.config, self.n_done
        indexes = step_indexes(self.split, step=number, n_sequences=config.data.sequences_per_step)
        sequences = [read_sequence(self.split.run, i) for i in indexes]
        parts = [make_batch(sequences[i : i + self.n_rows]) for i in range(0, len(sequences), self.n_rows)]
        n_targets = max(1, sum(int((part.targets_BT != NO_TARGET).sum()) for part in parts))
        self.optimiser.zero_grad()
        total = 0.0
        for part in parts:
            there = part.to(self.machine.device)
            with self.machine.autocast():
                losses_BT = self.losses(
                    self.model, there.tokens_BT, doc_index_BT=there.doc_index_BT, targets_BT=there.targets_BT
                )
            loss = losses_BT.sum() / n_targets
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        grad_norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), config.optimiser.clip_norm))
        lr = learning_rate(number, config=config.optimiser)
        if math.isfinite(total) and math.isfinite(grad_norm):
            for group in self.optimiser.param_groups:
                group["lr"] = lr
            self.optimiser.step()
            self.n_done += 1
            for sequence in sequences:
                self.n_tokens[sequence.pool] += sequence.n_real
        return Step(number + 1, total, lr, grad_norm, self.n_tokens["code"], self.n_tokens["text"])

    def _log(self, step: Step) -> None:
        self.steps.append(step)
        self.folder.log(metrics_line(step))

    def _evaluate(self) -> None:
        if self.evaluations and self.evaluations[-1].step == self.n_done:  # resumed just after it
            return
        started = time.perf_counter()
        evaluation = evaluate(self.model, self.held_out, step=self.n_done, machine=self.machine)
        self.evaluations.append(evaluation)
        self.folder.log(metrics_line(evaluation))
        self.on_event(Evaluated(evaluation, seconds=time.perf_counter() - started))

    def _save(self) -> None:
        path = self.folder.save(
            model=self.model,
            optimiser_state=pack_state(self.optimiser, model=self.model),
            step=self.n_done,
            n_tokens=self.n_tokens,
            machine=self.machine.describe(),
        )
        self.on_event(Saved(step=self.n_done, folder=path))

    def _resume(self) -> None:
        counters, newest = self.folder.resume, checkpoint.newest_checkpoint(self.folder.path)
        if counters is None or newest is None:
            return
        tensors = checkpoint.restore_weights(newest, model=self.model)
        unpack_state(tensors, optimiser=self.optimiser, model=self.model, step=counters.step)
        self.n_done, self.n_tokens = counters.step, dict(counters.n_tokens)
        self.steps, self.evaluations = read_metrics(self.folder.path / checkpoint.METRICS_NAME)
        machine = self.machine.describe()
        changed = [
            f"{key} {was} -> {machine.get(key)}" for key, was in counters.machine.items() if was != machine.get(key)
        ]
        if changed:
            self.on_event(Noted(f"resumed on another machine ({'; '.join(changed)}): the last digits will differ"))

    def _announce(self) -> None:
        self.on_event(
            Started(
                n_parameters=self._n_parameters(),
                n_steps=self.config.optimiser.n_steps,
                first_step=self.n_done,
                seq_len=self.split.run.seq_len,
                n_train_sequences=self.split.n_train,
                n_held_out_sequences=len(self.split.held_out),
                n_held_out_tokens=self.held_out.n_tokens,
                n_masked_pieces=self.held_out.n_masked_pieces,
                device=str(self.machine.device),
                dtype=str(self.machine.dtype).removeprefix("torch."),
            )
        )

    def _n_parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())
