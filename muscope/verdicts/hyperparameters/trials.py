"""The runs of a search that have ended, gathered by set, and which of the sets are best."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from muscope.spec import RunSpec
from muscope.tuning import Point, point
from muscope.verdicts.hyperparameters.stability import MOST_GROWTH, Stability, stability
from muscope.verdicts.transfer.losses import final_loss


class SetTrial(NamedTuple):
    """A run of a set: its loss is infinite when it diverged, None when it gave no result at all."""

    variant: str
    width: int
    point: Point
    seed: int
    loss: float | None
    stability: Stability = Stability(0, None)


def trial(
    run: RunSpec,
    losses: Sequence[float],
    norms: Sequence[float],
    held_out: float | None,
) -> SetTrial:
    """That of a run from the loss and the gradient's norm of its steps in order."""
    loss = final_loss(losses, held_out)
    return SetTrial(
        variant=run.variant.key,
        width=run.width,
        point=point(run.octave, run.tuned),
        seed=run.seed,
        loss=loss if all(map(math.isfinite, norms)) else math.inf,
        stability=stability(losses, norms),
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """A set at one width, over its seeds; `loss` is None where a seed diverged or has no result.

    `spikes` are those of all seeds, `growth` is the largest.
    """

    point: Point
    losses: Mapping[int, float]
    loss: float | None
    diverged: int
    spikes: int
    growth: float | None

    @property
    def is_steady(self) -> bool:
        """Whether no seed diverged, spiked, or ended with a gradient that had grown."""
        grown = self.growth is not None and self.growth > MOST_GROWTH
        return not (self.diverged or self.spikes or grown)


def tried(trials: Iterable[SetTrial]) -> dict[int, dict[Point, Tried]]:
    """Of one variant: by width, every set that was asked for, in the order of its runs."""
    found: dict[int, dict[Point, list[SetTrial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        found[trial.width][trial.point].append(trial)
    return {
        width: {point: _tried(point, own) for point, own in sets.items()}
        for width, sets in found.items()
    }


def by_loss(sets: Iterable[Tried]) -> list[Tried]:
    """The sets with a loss, the best first; of equals the one tried first."""
    return sorted((one for one in sets if one.loss is not None), key=_loss)


def by_steadiness(sets: Iterable[Tried]) -> list[Tried]:
    """The steady ones first, each by loss: what the guide advises to choose from."""
    return sorted(by_loss(sets), key=lambda one: not one.is_steady)


def _loss(one: Tried) -> float:
    return math.inf if one.loss is None else one.loss


def _tried(point: Point, trials: Sequence[SetTrial]) -> Tried:
    losses = {trial.seed: trial.loss for trial in trials if trial.loss is not None}
    is_whole = len(losses) == len(trials) and all(map(math.isfinite, losses.values()))
    growths = [one.stability.growth for one in trials if one.stability.growth is not None]
    return Tried(
        point=point,
        losses=losses,
        loss=math.fsum(losses.values()) / len(losses) if is_whole else None,
        diverged=sum(not math.isfinite(loss) for loss in losses.values()),
        spikes=sum(one.stability.spikes for one in trials),
        growth=max(growths, default=None),
    )
