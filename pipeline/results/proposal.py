"""What `loopmix propose` finds: one definition, which the search writes as DIR/proposal.json and the report reads.

Shares are of a pool's tokens and add up to one in each pool. Scores are held-out bits per byte, lower is better.
Nothing here depends on the clock, so an interrupted search leaves the same bytes as an undisturbed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.results.codec import Number, Whole, read_file

PROPOSAL_NAME = "proposal.json"

# confirmed: new trainings show the gain. not confirmed: they do not. no gain predicted: there was nothing to confirm.
Outcome = Literal["confirmed", "not confirmed", "no gain predicted"]
Purpose = Literal["search", "noise", "confirm"]


@dataclass(frozen=True)
class GroupProposal:
    """One group of the mixture, or `others`: all groups of its pool that are not listed."""

    pool: str
    group: str
    n_groups: Whole  # that stand behind it
    n_tokens: Whole  # that the run holds of it, each piece counted once
    weight: Number  # of its held-out loss in the target; all weights add up to one
    natural: Number  # its share in the run
    proposed: Number
    low: Number  # 95 % interval of the proposed share, from resampled trainings
    high: Number
    own_share: Number  # what the trivial rule would give it
    paper: Number | None  # what the paper's shares would give it; None in a pool for which it tells none
    epochs: Number  # how often its tokens are read in a mixture of `mixture_tokens` with the proposed shares


@dataclass(frozen=True)
class PredictorScore:
    """One way to predict the score of a mixture from its shares, judged on trainings that it did not see."""

    name: str
    error: Number  # root mean square of its leave-one-out predictions, bits per byte
    rank_correlation: Number  # Spearman, of those predictions and the measured scores
    is_chosen: bool


@dataclass(frozen=True)
class NoiseOfMixture:
    """How much the score of one mixture varies when only the seed changes (weights, sample and order)."""

    name: str
    mean: Number
    deviation: Number
    n_trainings: Whole


@dataclass(frozen=True)
class MixtureTraining:
    """One training: a mixture, a seed, and what its held-out groups came to."""

    name: str
    purpose: Purpose
    seed: Whole
    shares: tuple[Number, ...]  # of the tokens it read, in the order of `Proposal.groups`
    bits_per_byte: tuple[Number, ...]  # in the same order
    score: Number  # their mean by the target's weights


@dataclass(frozen=True)
class SharesComparison:
    """Two mixtures on new seeds and new held-out documents. `difference` is first minus second: below 0 is a gain."""

    first: str
    second: str
    difference: Number
    half_width: Number  # of the 95 % interval of the mean over seeds, Student's t
    n_seeds: Whole
    is_gain: bool  # the whole interval lies below zero
    message: str


@dataclass(frozen=True)
class Proposal:
    """The recommended shares and everything they rest on."""

    mixture: str
    outcome: Outcome
    message: str
    seed: Whole
    n_trainings: Whole
    n_tokens_each: Whole
    n_parameters: Whole
    mixture_tokens: Whole  # size of the mixture for which repetition is bounded
    max_epochs: Number
    groups: tuple[GroupProposal, ...]
    predictors: tuple[PredictorScore, ...]
    noise: tuple[NoiseOfMixture, ...]
    paired_noise: (
        Number  # deviation of one training of those mixtures when what a seed does to all of them is taken off
    )
    predicted_gain: Number  # over natural shares, bits per byte
    predicted_half_width: Number
    comparisons: tuple[SharesComparison, ...]
    trainings: tuple[MixtureTraining, ...]


def read_proposal(folder: Path) -> Proposal:
    """DIR/proposal.json. Raises CheckpointError where it is missing or damaged."""
    return read_file(Proposal, folder / PROPOSAL_NAME, remedy="run `loopmix propose` again")
