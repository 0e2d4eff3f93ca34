"""Which runs come next: the rule that a spec holds, applied to what its stages have given."""

from collections.abc import Sequence
from dataclasses import dataclass

from muscope import plan
from muscope.spec import RunSpec, StudySpec
from muscope.stages import early_stop, extended, hyperparameters, search
from muscope.stages.hyperparameters import Draw
from muscope.verdicts.hyperparameters.trials import SetTrial
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.types import VariantVerdict


@dataclass(frozen=True, slots=True)
class Results:
    """What the stages so far have given; `stages` is how many, so the number of the next one.

    A learning-rate study has trials, every run that was asked for; a coordinate check has verdicts;
    a hyperparameter search has trials of sets, and may need a sampler to `draw` more.
    """

    stages: int = 0
    trials: Sequence[Trial] = ()
    verdicts: Sequence[VariantVerdict] = ()
    sets: Sequence[SetTrial] = ()
    draw: Draw | None = None


def next_stage(spec: StudySpec, results: Results) -> tuple[RunSpec, ...]:
    """The runs of the next stage, always of the grid of the spec; none when the study is over.

    A coordinate check beside a sweep is in the first, before the sweep's own.
    """
    if spec.check is not None and spec.coordinate_check and spec.sweep:
        check = () if results.stages else tuple(plan.runs(spec.coordinate_check))
        return (*check, *next_stage(spec.sweep, results))
    if spec.tuning is not None:
        return hyperparameters.next_runs(spec, results.sets, results.draw)
    if spec.search == "adaptive":
        return search.next_runs(spec, results.trials)
    if spec.extend_octaves:
        return extended.next_runs(spec, results.trials)
    if spec.stop_early:
        return early_stop.next_runs(spec, results.stages, results.verdicts)
    return () if results.stages else tuple(plan.runs(spec))
