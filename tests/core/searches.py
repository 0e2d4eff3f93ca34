"""Hyperparameter searches in which training is a formula."""

import math
from collections.abc import Callable

from muscope.spec import RunSpec, StudySpec
from muscope.stages import Results, next_stage
from muscope.tuning import RATE, Point, point
from muscope.verdicts.hyperparameters import sampling
from muscope.verdicts.hyperparameters.judge import judge
from muscope.verdicts.hyperparameters.stability import Stability
from muscope.verdicts.hyperparameters.trials import SetTrial
from muscope.verdicts.hyperparameters.types import SearchJudgement

NAMES = ("embedding_multiplier", "readout_multiplier")
STEADY = Stability(0, 0.5)
Landscape = Callable[[int, Point, int], tuple[float, Stability]]
"""Width, set and seed: the loss, and how the training went."""


def bowl(width: int, of: Point, seed: int) -> tuple[float, Stability]:
    """A quadratic bowl around (-1, 2, -2), the same at every width."""
    centre = {RATE: -1.0, NAMES[0]: 2.0, NAMES[1]: -2.0}
    away = math.fsum((of.at(name) - at) ** 2 for name, at in centre.items())
    return 2.0 + 0.05 * away + 0.001 * seed, STEADY


def carried_out(spec: StudySpec, landscape: Landscape) -> tuple[list[RunSpec], SearchJudgement]:
    """The runs of all stages of a search in which training is a formula, and its judgement."""
    trials: list[SetTrial] = []
    runs: list[RunSpec] = []
    while new := next_stage(spec, Results(sets=trials, draw=sampling.points)):
        runs += new
        trials += [trial(run, landscape) for run in new]
    (judged,) = judge(spec, trials, runs_judged={}, final=True)
    return runs, judged


def trial(run: RunSpec, landscape: Landscape) -> SetTrial:
    of = point(run.octave, run.tuned)
    loss, steady = landscape(run.width, of, run.seed)
    return SetTrial(run.variant.key, run.width, of, run.seed, loss, steady)
