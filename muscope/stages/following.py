"""Which runs come next: the rule that a spec holds, applied to what its stages have given."""

from collections.abc import Sequence
from dataclasses import dataclass

from muscope import plan
from muscope.spec import RunSpec, StudySpec
from muscope.stages import early_stop, search
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.types import VariantVerdict


@dataclass(frozen=True, slots=True)
class Results:
    """What the stages so far have given; `stages` is how many, so the number of the next one.

    A learning-rate study has trials, every run that was asked for; a coordinate check has verdicts.
    """

    stages: int = 0
    trials: Sequence[Trial] = ()
    verdicts: Sequence[VariantVerdict] = ()


def next_stage(spec: StudySpec, results: Results) -> tuple[RunSpec, ...]:
    """The runs of the next stage, always of the grid of the spec; none when the study is over."""
    if spec.search == "adaptive":
        return search.next_runs(spec, results.trials)
    if spec.stop_early:
        return early_stop.next_runs(spec, results.stages, results.verdicts)
    return () if results.stages else tuple(plan.runs(spec))
