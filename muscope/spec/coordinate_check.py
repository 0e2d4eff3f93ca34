"""What a coordinate check may ask."""

from muscope.catalogue.statistics import STATISTICS
from muscope.recording import EVERY_STEP_UP_TO, MOST_RECORDED, recorded_steps
from muscope.recording import STATISTICS as RECORDED
from muscope.spec.check import with_statistics
from muscope.spec.frozen import fill
from muscope.spec.question import OF_SWEEPS, Question


def check(study: Question) -> None:
    """Refuse what only a learning-rate study has, and what cannot be recorded."""
    for name in study.chosen_of(OF_SWEEPS):
        raise ValueError(f"{name} is for studies of kind lr_transfer")
    _check_statistics(study)
    _check_recorded_steps(study)
    with_statistics(study.record)


def _check_statistics(study: Question) -> None:
    """Each statistic of a plugin is of a kind of tensors that the study records."""
    for name in study.statistics:
        of = STATISTICS[name].of
        if not set(of) & set(RECORDED[study.record]):
            kinds = ", ".join(of)
            raise ValueError(
                f"statistic {name!r} is of kind {kinds}, and record {study.record!r} has none "
                "of these; record standard or full"
            )


def _check_recorded_steps(study: Question) -> None:
    """Not too many steps are asked for; every step of a short run is what it records anyway."""
    if study.record_every == 1 and study.steps <= EVERY_STEP_UP_TO:
        fill(study, record_every=None)
    recorded = len(recorded_steps(study.steps, study.record_every))
    if recorded > MOST_RECORDED:
        fewest = -(-study.steps // (MOST_RECORDED - 1))
        raise ValueError(
            f"record_every {study.record_every} of {study.steps} steps are {recorded} recorded "
            f"steps, more than {MOST_RECORDED}; take at least {fewest}"
        )
