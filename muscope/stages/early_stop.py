"""The stages of a coordinate check that may stop early: each brings the seeds of one look.

The seeds and the confidence of a look are in `muscope.verdicts.looks`, what is enough in
`muscope.verdicts.stopping`; here are only the runs that follow from the verdicts.
"""

from collections.abc import Sequence

from muscope import plan
from muscope.spec import RunSpec, StudySpec
from muscope.verdicts.looks import looks
from muscope.verdicts.types import VariantVerdict


def next_runs(
    spec: StudySpec, stage: int, verdicts: Sequence[VariantVerdict]
) -> tuple[RunSpec, ...]:
    """The runs of a stage, counted from 0, given the verdicts on all stages before it.

    These are the next seeds, at every width and depth, of every variant that did not stop; none
    when the study is done. Without verdicts nothing stopped: so begins stage 0.
    """
    planned = looks(spec)
    if stage >= len(planned):
        return ()
    first = planned[stage - 1] if stage else 0
    stopped = {verdict.variant for verdict in verdicts if verdict.stopped_early}
    return tuple(
        run
        for run in plan.runs(spec)
        if first <= run.seed < planned[stage] and run.variant.key not in stopped
    )
