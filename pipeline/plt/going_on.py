"""What a training says when it goes on otherwise than it began: more steps, steps of another size, uneven shares."""

from collections.abc import Iterator, Mapping

from pipeline.plt.checkpoint import TrainProgress
from pipeline.plt.config import TrainConfig
from pipeline.plt.distributed import Ranks
from pipeline.plt.identity import N_STEPS, STEP_SIZE
from pipeline.plt.optimiser import learning_rate
from pipeline.plt.prepare import idle_rows


def change_lines(changes: Mapping[str, tuple[int, int]], *, config: TrainConfig, done: TrainProgress) -> Iterator[str]:
    """A sentence for each setting that differs from those the model folder was begun with."""
    if N_STEPS in changes:
        was, now = changes[N_STEPS]
        longer, step = config.optimiser, min(done.step, now - 1)
        shorter = longer.model_copy(update={"n_steps": was})
        before, after = (learning_rate(step, config=of) for of in (shorter, longer))
        yield (
            f"optimiser.n_steps {was} -> {now}: warmup and cosine are stretched over {now} steps, so from step "
            f"{step + 1} on the learning rate is {after:.3g} where the shorter run had {before:.3g}"
        )
    if STEP_SIZE in changes:
        was, now = changes[STEP_SIZE]
        yield (
            f"data.sequences_per_step {was} -> {now}: step {done.step + 1} goes on behind the {done.n_sequences:,} "
            f"sequences read so far; n_steps and the learning rate still count steps"
        )


def uneven_lines(config: TrainConfig, *, ranks: Ranks) -> Iterator[str]:
    """A sentence where the processes cannot divide a step evenly."""
    if idle := idle_rows(config, ranks=ranks):
        n = config.data.sequences_per_step
        yield (
            f"data.sequences_per_step {n} is no multiple of {ranks.size} processes: in each step the room of {idle} "
            f"sequences stays empty ({idle / (n + idle):.0%} of the work)"
        )
