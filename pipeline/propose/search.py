"""The search for better shares: train, regress, confirm (`loopmix propose`).

    search    the natural mixture and keyed random ones around it, one training each
    noise     three of them again with other seeds: what a difference must exceed
    confirm   natural and recommended shares on new seeds and documents, only where a gain is predicted

A seed decides first weights, the pieces that are read and their order. Mixtures that are compared share one: all of the
search, and the two of a pair in the confirmation. What the seed does to all alike is then no noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.arrays.keys import stage_key
from pipeline.engine.executor import Executor
from pipeline.plt.durable import write_file
from pipeline.propose.analysis import Recommendation, SearchNoise, compare_shares, noise_of, recommend
from pipeline.propose.frame import (
    N_NOISY,
    NOISE_SEEDS,
    Frame,
    ProposeOptions,
    claim_folder,
    is_same,
    n_trainings,
    prepare,
)
from pipeline.propose.groups import paper_shares
from pipeline.propose.optimum import Bounds
from pipeline.propose.pieces import Floats
from pipeline.propose.surface import Design
from pipeline.propose.training import MixtureSpec, run_training, write_held_out
from pipeline.results import (
    PROPOSAL_NAME,
    GroupProposal,
    MixtureTraining,
    Outcome,
    Proposal,
    Purpose,
    SharesComparison,
    to_json,
)

NATURAL, PROPOSED, OWN_SHARE = "natural", "proposed", "own-share"
OnTraining = Callable[[MixtureTraining, int, int], None]  # the training, how many are done, of how many


def propose(
    data: Path,
    *,
    out: Path,
    options: ProposeOptions,
    executor: Executor,
    on_training: OnTraining = lambda training, done, count: None,
) -> Proposal:
    """Search and judge; writes `out`/proposal.json. The same call again goes on where an earlier one stopped.

    Raises ConfigError for what cannot be searched, CheckpointError if `out` holds another search, and what `train`
    raises.
    """
    frame = prepare(data, out=out, options=options)
    claim_folder(frame)
    write_held_out(frame.plan)
    trainings = _Trainings(frame, executor, on_training)
    searched, noise = _search(trainings)
    found = _recommend(frame, searched, noise=noise)
    comparisons = _confirm(trainings, found) if found.is_promising else ()
    proposal = _conclude(trainings, found, noise=noise, comparisons=comparisons)
    write_file(out / PROPOSAL_NAME, to_json(proposal, indent=1) + "\n")
    return proposal


@dataclass
class _Trainings:
    """All trainings of a search, in the order in which they were asked for."""

    frame: Frame
    executor: Executor
    on_training: OnTraining
    done: list[MixtureTraining] = field(default_factory=list)
    n_parameters: int = 0

    def run(self, wanted: Sequence[tuple[Purpose, MixtureSpec]]) -> list[MixtureTraining]:
        """Train and score these mixtures side by side; results stand in the order of `wanted`."""
        found: dict[int, MixtureTraining] = {}
        items = [(number, spec) for number, (_, spec) in enumerate(wanted)]
        for (number, spec), scores in self.executor.map(partial(run_training, self.frame.plan), items, name="propose"):
            score = float(np.array(scores.bits_per_byte) @ self.frame.weights)
            measured = scores.read_shares, scores.bits_per_byte, score
            found[number] = MixtureTraining(spec.name, wanted[number][0], spec.seed, *measured)
            self.n_parameters = scores.n_parameters
            self.on_training(found[number], len(self.done) + len(found), n_trainings(self.frame))
        ordered = [found[number] for number in range(len(wanted))]
        self.done += ordered
        return ordered

    def spec(self, name: str, shares: Floats, *, seed_of: str, held_out: int = 0) -> MixtureSpec:
        """A training whose seed is a hash of a name; `run.seed` takes 63 bits."""
        seed = int(stage_key(self.frame.options.seed, f"propose/{seed_of}") >> np.uint64(1))
        return MixtureSpec(name, tuple(shares.tolist()), seed, held_out)


def _search(trainings: _Trainings) -> tuple[list[MixtureTraining], SearchNoise]:
    """One training of each mixture, and more of three: the natural one, the farthest from it and one between."""
    mixtures = trainings.frame.mixtures
    names = [f"search-{number:03d}" for number in range(len(mixtures))]
    wanted: list[tuple[Purpose, MixtureSpec]] = [
        ("search", trainings.spec(name, shares, seed_of="search")) for name, shares in zip(names, mixtures, strict=True)
    ]
    distance = (mixtures[0] * np.log(mixtures[0] / mixtures)).sum(axis=1)
    by_distance = np.argsort(distance, kind="stable").tolist()
    noisy = [by_distance[place * (len(by_distance) - 1) // (N_NOISY - 1)] for place in range(N_NOISY)]
    for number in noisy:
        again = [(f"noise-{number:03d}-{seed}", f"noise-{seed}") for seed in range(1, NOISE_SEEDS)]
        wanted += [("noise", trainings.spec(name, mixtures[number], seed_of=seed)) for name, seed in again]
    found = trainings.run(wanted)
    searched, repeated = found[: len(mixtures)], found[len(mixtures) :]
    scores = {}
    for place, number in enumerate(noisy):
        same = repeated[place * (NOISE_SEEDS - 1) : (place + 1) * (NOISE_SEEDS - 1)]
        scores[names[number] if number else NATURAL] = [t.score for t in (searched[number], *same)]
    return searched, noise_of(scores)


def _recommend(frame: Frame, searched: list[MixtureTraining], *, noise: SearchNoise) -> Recommendation:
    """Regress scores on shares. Nothing beyond what the mixtures covered is recommended.

    On those that were asked for: what was read differs by a few sequences, and of a tiny group might be nothing, which
    has no logarithm.
    """
    mixtures = frame.mixtures
    return recommend(
        Design(mixtures, frame.weights),
        np.array([training.score for training in searched]),
        bounds=Bounds(mixtures.min(axis=0), mixtures.max(axis=0), frame.source.groups.pool, mixtures),
        own_share=frame.own_share,
        noise=noise.paired,
        seed=frame.options.seed,
    )


def _confirm(trainings: _Trainings, found: Recommendation) -> tuple[SharesComparison, ...]:
    """Train the recommended shares and what they must beat, with new seeds, each on documents of its own."""
    frame = trainings.frame
    arms = {PROPOSED: found.shares, NATURAL: frame.mixtures[0]}
    if not (frame.is_own_natural or is_same(found.shares, frame.own_share)):
        arms[OWN_SHARE] = frame.own_share
    seeds = range(1, frame.options.n_confirm_seeds + 1)
    wanted: list[tuple[Purpose, MixtureSpec]] = [
        ("confirm", trainings.spec(f"confirm-{arm}-{seed}", shares, seed_of=f"confirm-{seed}", held_out=seed))
        for seed in seeds
        for arm, shares in arms.items()
    ]
    scores = {training.name: training.score for training in trainings.run(wanted)}
    return tuple(
        compare_shares(
            PROPOSED, arm, [(scores[f"confirm-{PROPOSED}-{seed}"], scores[f"confirm-{arm}-{seed}"]) for seed in seeds]
        )
        for arm in arms
        if arm != PROPOSED
    )


def _conclude(
    trainings: _Trainings,
    found: Recommendation,
    *,
    noise: SearchNoise,
    comparisons: tuple[SharesComparison, ...],
) -> Proposal:
    frame = trainings.frame
    options = frame.options
    outcome, message = _outcome(frame, found, comparisons)
    return Proposal(
        mixture=frame.plan.source.data.name,
        outcome=outcome,
        message=message,
        seed=options.seed,
        n_trainings=len(trainings.done),
        n_tokens_each=_tokens_each(frame),
        n_parameters=trainings.n_parameters,
        mixture_tokens=frame.mixture_tokens,
        max_epochs=options.max_epochs,
        groups=_groups(frame, found),
        predictors=found.predictors,
        noise=noise.each,
        paired_noise=noise.paired,
        predicted_gain=found.predicted_gain,
        predicted_half_width=found.half_width,
        comparisons=comparisons,
        trainings=tuple(trainings.done),
    )


def _groups(frame: Frame, found: Recommendation) -> tuple[GroupProposal, ...]:
    groups = frame.source.groups
    n_own = np.array([group.n_tokens for group in groups.each])
    epochs = frame.mixture_tokens * groups.pool_frac * found.shares / n_own
    paper = paper_shares(groups)
    return tuple(
        GroupProposal(
            pool=group.pool,
            group=group.name,
            n_groups=len(group.members),
            n_tokens=group.n_tokens,
            weight=float(frame.weights[i]),
            natural=float(groups.natural[i]),
            proposed=float(found.shares[i]),
            low=float(found.low[i]),
            high=float(found.high[i]),
            own_share=float(frame.own_share[i]),
            paper=paper[i],
            epochs=float(epochs[i]),
        )
        for i, group in enumerate(groups.each)
    )


def _tokens_each(frame: Frame) -> int:
    config = frame.plan.config
    return config.optimiser.n_steps * config.data.sequences_per_step * frame.source.run.seq_len


def _outcome(frame: Frame, found: Recommendation, comparisons: tuple[SharesComparison, ...]) -> tuple[Outcome, str]:
    """What may be said. Every comparison must be a gain: shares that the trivial rule's equal are its merit."""
    if is_same(found.shares, frame.mixtures[0]):
        return (
            "no gain predicted",
            "No gain shown: no regression predicts mixtures that it did not see better than the trivial rule, which "
            "recommends the natural shares. Keep them, or search with a larger budget.",
        )
    gain = f"{found.predicted_gain:.4f} ± {found.half_width:.4f} bits per byte"
    if not comparisons:
        return (
            "no gain predicted",
            f"No gain shown: the best shares are predicted to gain {gain}, within the error of the prediction. "
            "Keep the natural shares, or search with a larger budget.",
        )
    shown = "; ".join(f"{-c.difference:.4f} ± {c.half_width:.4f} over {c.second}" for c in comparisons)
    seeds = f"{comparisons[0].n_seeds} new seeds on documents that no training saw"
    if all(c.is_gain for c in comparisons):
        return "confirmed", f"The proposed shares gain {shown} (bits per byte, {seeds})."
    return (
        "not confirmed",
        f"No gain shown: predicted {gain}, measured {shown} (bits per byte, {seeds}). Keep the natural shares.",
    )
