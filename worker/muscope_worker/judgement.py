"""Judge a study from what the database holds, and let its next stage begin.

Read, compute, save; only the saving locks. A worker that dies before it has judged, or before the
next stage has begun, leaves nothing wrong behind, only something missing: the supervisors ask for
it (`muscope.storage.verdicts.unjudged`, `muscope.storage.staging.due`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from muscope.recorded import AnySpec, RecordedSpec
from muscope.spec import StudySpec
from muscope.storage import losses, measurements, recordings, sets, staging, studies, verdicts
from muscope.storage.database import Database
from muscope.tuning import Method
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import StudyState
from muscope_worker.recorder import persist

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a study has given at one moment; `final` when nothing will be added."""

    spec: AnySpec
    runs_judged: Mapping[str, int]
    final: bool


def judge_study(db: Database, study_id: str, *, patience_s: float) -> None:
    """Save the verdicts of a study: provisional while runs are open, final when none is.

    Others write while the slopes are fitted; a judgement on more runs that came in between stays.
    """
    with db.read() as conn:
        basis = _basis(conn, study_id)
        judging = None if basis is None else _judging(conn, study_id, basis)
    if basis is None or judging is None:
        return
    judged = judging()

    def save() -> None:
        with db.write() as conn:
            verdicts.save(conn, study_id, judged)

    persist(save, patience_s=patience_s)
    log.info("study %s: judged %s", study_id, "finally" if basis.final else "provisionally")


def catch_up(db: Database, study_id: str, *, patience_s: float) -> list[int]:
    """Judge a study, unless that has been done since it was asked for, and let it go on.

    Gives the bundles of the stage that begins, if one does.
    """
    _judge_if_missing(db, study_id, patience_s=patience_s)
    begun: list[int] = []

    def advance() -> None:
        while (following := staging.advance(db, study_id, _drawn)) == []:
            # that was the last stage, so the verdict can be final; or all of the next was reused
            _judge_if_missing(db, study_id, patience_s=patience_s)
        begun.extend(following or ())

    persist(advance, patience_s=patience_s)
    if begun:
        log.info("study %s: another stage begins, %d bundles", study_id, len(begun))
    return begun


def _drawn(method: Method, dimensions: int, count: int, start: int) -> Sequence[Sequence[float]]:
    """The points of a sampler, which is loaded when a search needs one."""
    from muscope.verdicts.hyperparameters import sampling  # as below

    return sampling.points(method, dimensions, count, start)


def _judge_if_missing(db: Database, study_id: str, *, patience_s: float) -> None:
    with db.read() as conn:
        is_missing = study_id in verdicts.unjudged(conn)
    if is_missing:
        judge_study(db, study_id, patience_s=patience_s)


def _basis(conn: Connection, study_id: str) -> Basis | None:
    study = studies.get(conn, study_id)
    runs_judged = studies.runs_judged(conn, study_id)
    if study is None:
        return None
    # what is recorded may go on for days, and is judged meanwhile
    if not any(runs_judged.values()) and not isinstance(study.spec, RecordedSpec):
        return None
    return Basis(
        spec=study.spec,
        runs_judged=runs_judged,
        final=study.state not in (StudyState.QUEUED, StudyState.RUNNING),
    )


def _judging(
    conn: Connection, study_id: str, basis: Basis
) -> Callable[[], Sequence[VariantVerdict | TransferJudgement | SearchJudgement]]:
    """Read what the study has given; what is returned takes longer, and needs no database."""
    # the parent of the pool imports this module, and is to stay free of scipy
    from muscope.verdicts import judge, recorded
    from muscope.verdicts.hyperparameters import judge as hyperparameters
    from muscope.verdicts.transfer import judge as transfer

    spec, runs_judged, final = basis.spec, basis.runs_judged, basis.final
    if isinstance(spec, RecordedSpec):
        samples, tensors = measurements.samples(conn, study_id), recordings.tensors(conn, study_id)
        return lambda: recorded.judge(spec, tensors, samples, runs_judged=runs_judged, final=final)
    if spec.tuning is not None:
        ended = sets.trials(conn, study_id)
        return lambda: hyperparameters.judge(spec, ended, runs_judged=runs_judged, final=final)
    check, sweep = spec.coordinate_check, spec.sweep
    if check is not None and sweep is not None:
        return _both(conn, study_id, check, sweep, final=final)
    if sweep is not None:
        trials = losses.trials(conn, study_id)
        return lambda: transfer.judge(sweep, trials, runs_judged=runs_judged, final=final)
    samples = measurements.samples(conn, study_id)
    return lambda: judge.judge(spec, samples, runs_judged=runs_judged, final=final)


def _both(
    conn: Connection, study_id: str, check: StudySpec, sweep: StudySpec, *, final: bool
) -> Callable[[], Sequence[VariantVerdict | TransferJudgement]]:
    """The two parts of a study; the check is final as soon as its own runs have ended."""
    from muscope.verdicts import judge  # as above
    from muscope.verdicts.transfer import judge as transfer

    swept, checked = losses.is_of_sweep(), ~losses.is_of_sweep()
    is_checked = final or not studies.has_open_runs(conn, study_id, checked)
    of_check = studies.runs_judged(conn, study_id, checked)
    of_sweep = studies.runs_judged(conn, study_id, swept)
    samples, trials = measurements.samples(conn, study_id), losses.trials(conn, study_id)
    return lambda: (
        *judge.judge(check, samples, runs_judged=of_check, final=is_checked),
        *transfer.judge(sweep, trials, runs_judged=of_sweep, final=final),
    )
