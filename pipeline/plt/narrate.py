"""Training events and verdicts as plain lines for a terminal or a log."""

from collections.abc import Iterator

from pipeline.plt.events import Evaluated, Noted, Saved, Started, Stepped, TrainEvent
from pipeline.results import Verdict

STEP_EVERY = 25  # updates between two lines; a plain choice: some ten lines a minute on two cores
_MARKS = {"pass": "ok  ", "warn": "WARN", "fail": "FAIL"}


def event_lines(event: TrainEvent) -> Iterator[str]:
    """What to print for one event; nothing for most updates and for checkpoints."""
    match event:
        case Started():
            where = event.device if event.n_processes == 1 else f"{event.n_processes} x {event.device}"
            where += f" ({event.dtype}, {event.backend})"
            start = f", going on after step {event.first_step}" if event.first_step else ""
            yield (
                f"{event.n_parameters:,} parameters, {event.n_steps} steps on {where}; "
                f"{event.n_train_sequences:,} sequences of {event.seq_len}, "
                f"{event.n_held_out_sequences} held out{start}"
            )
        case Stepped(step=step):
            if step.step == 1 or step.step % STEP_EVERY == 0:
                mfu = f"  MFU {event.mfu:.1%}" if event.mfu is not None else ""
                losses = f"loss {step.loss:7.4f}  code {step.code_loss:7.4f}  text {step.text_loss:7.4f}"
                speed = f"{event.tokens_per_second:8,.0f} tokens/s  {event.seconds * 1e3:6,.0f} ms"
                waited = f"wait {event.wait_seconds / event.seconds:.1%}"
                yield f"step {step.step:>5}  {losses}  grad {step.grad_norm:6.2f}  {speed}  {waited}{mfu}"
        case Evaluated(evaluation=found):
            pools = "  ".join(f"{pool.pool} {pool.loss:.4f}" for pool in found.pools)
            yield f"step {found.step:>5}  held-out loss {found.loss:.4f}  {pools}  ({event.seconds:.1f} s)"
        case Noted():
            yield f"note: {event.message}"
        case Saved():
            return


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The verdict's checks and its sentence."""
    for check in verdict.checks:
        yield f"  {_MARKS[check.status]}  {check.name:<20} {check.message}"
    yield f"verdict: {verdict.status.upper()}: {verdict.message}"
