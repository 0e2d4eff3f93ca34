"""What one run of a learning-rate study gives: one loss, at one place of the grid."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from muscope.spec import RunSpec, StudySpec
from muscope.verdicts.transfer.places import Place
from muscope.vocabulary import RunState

LAST_SHARE = 10
"""Without held-out data a run's loss is the mean over the last tenth of its steps,"""
FEWEST_LAST = 4
"""and over four of them at least."""


class Trial(NamedTuple):
    """A run with its loss: infinite when it diverged, None when it gave no result at all.

    `start` is its training loss before the first update, where that is known, `train_loss` the mean
    of its last ones: what `loss` is too where nothing was held out. What was `stopped` early as
    hopeless has an infinite loss by a rule, and has not diverged. `step` is the last one that it
    took, `at_step` its training loss there; `ended` is how it ended, where that is known.
    """

    variant: str
    width: int
    depth: int
    octave: float
    seed: int
    loss: float | None
    start: float | None = None
    train_loss: float | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    steps: int | None = None
    stopped: bool = False
    step: int | None = None
    at_step: float | None = None
    ended: RunState | None = None

    @property
    def state(self) -> RunState:
        """How the run ended: as is known, or as its loss says."""
        if self.ended is not None:
            return self.ended
        if self.stopped:
            return RunState.SKIPPED
        if self.loss is None:
            return RunState.FAILED
        return RunState.FINISHED if math.isfinite(self.loss) else RunState.DIVERGED

    @property
    def place(self) -> Place:
        """Where the run stands in the grid, but for its rate and seed."""
        return Place(
            self.variant, self.width, self.depth, self.batch_size, self.sequence_length, self.steps
        )


Curve: TypeAlias = Mapping[float, float]
"""The loss at each octave that was tried, in ascending order; infinite where it diverged."""


def last_steps(steps: int) -> int:
    """Of how many of its last training losses a run's loss is the mean."""
    return min(steps + 1, max(FEWEST_LAST, steps // LAST_SHARE))


def final_loss(train: Sequence[float], held_out: float | None) -> float:
    """The loss of a run from its training losses in order: held out where that was evaluated.

    What was not finite once has diverged: infinite.
    """
    if not train or not all(map(math.isfinite, train)):
        return math.inf
    if held_out is not None:
        return held_out if math.isfinite(held_out) else math.inf
    last = train[-last_steps(len(train) - 1) :]
    return math.fsum(last) / len(last)


def of_run(
    run: RunSpec,
    loss: float | None,
    *,
    start: float | None,
    train_loss: float | None,
    stopped: bool = False,
    step: int | None = None,
    at_step: float | None = None,
) -> Trial:
    """What a run has given."""
    return Trial(
        run.variant.key,
        run.width,
        run.depth,
        run.octave,
        run.seed,
        loss,
        start,
        train_loss,
        run.batch_size,
        run.sequence_length,
        run.steps,
        stopped,
        step,
        at_step,
    )


def placed(spec: StudySpec, trials: Iterable[Trial]) -> Iterator[Trial]:
    """The trials of a study where its grid has them: what it has not several of is no place."""
    for one in trials:
        yield one._replace(
            batch_size=one.batch_size if spec.batch_sizes else None,
            sequence_length=one.sequence_length if spec.sequence_lengths else None,
            steps=one.steps if spec.step_counts else None,
        )


def curves(trials: Iterable[Trial]) -> dict[Place, dict[int, Curve]]:
    """The curve of every seed at every place; runs without a result are left out."""
    found: dict[Place, dict[int, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    for trial in sorted(trials, key=lambda trial: trial.octave):
        if trial.loss is not None:
            found[trial.place][trial.seed][trial.octave] = trial.loss
    return {place: dict(seeds) for place, seeds in found.items()}


def train_losses(trials: Iterable[Trial]) -> dict[Place, dict[float, float]]:
    """The mean over seeds of the last training losses, where every seed has one that is finite."""
    found: dict[Place, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        if trial.loss is not None:
            value = math.nan if trial.train_loss is None else trial.train_loss
            found[trial.place][trial.octave].append(
                value if math.isfinite(trial.loss) else math.nan
            )
    means = {
        place: {octave: math.fsum(values) / len(values) for octave, values in own.items()}
        for place, own in found.items()
    }
    return {
        place: {octave: mean for octave, mean in own.items() if math.isfinite(mean)}
        for place, own in means.items()
    }


def stops(trials: Iterable[Trial]) -> Counter[tuple[Place, float]]:
    """How many seeds were stopped early, at every place and octave."""
    return Counter((trial.place, trial.octave) for trial in trials if trial.stopped)


def starts(trials: Iterable[Trial]) -> dict[Place, float]:
    """What an untrained model loses at every place: the mean over its runs, rates and seeds."""
    found: dict[Place, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.start is not None and math.isfinite(trial.start):
            found[trial.place].append(trial.start)
    return {place: math.fsum(values) / len(values) for place, values in found.items()}


def mean_curve(seeds: Mapping[int, Curve]) -> Curve:
    """The mean over seeds at every octave that each seed has, so that all means are alike."""
    common = [
        octave
        for octave in sorted({octave for curve in seeds.values() for octave in curve})
        if all(octave in curve for curve in seeds.values())
    ]
    return {
        octave: math.fsum(curve[octave] / len(seeds) for curve in seeds.values())
        for octave in common
    }
