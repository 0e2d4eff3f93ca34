"""Judge a study from what the database holds: read, compute, save; only the saving locks.

A worker that dies before it has judged leaves nothing wrong behind, only something missing: the
supervisors ask for it (`muscope.storage.verdicts.unjudged`).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from muscope.records import Sample
from muscope.spec import StudySpec
from muscope.storage import measurements, studies, verdicts
from muscope.storage.database import Database
from muscope_worker.recorder import persist

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a study has given at one moment; `final` when nothing will be added."""

    spec: StudySpec
    samples: Sequence[Sample]
    runs_judged: Mapping[str, int]
    final: bool


def judge_study(db: Database, study_id: str, *, patience_s: float) -> None:
    """Save the verdicts of a study: provisional while runs are open, final when none is.

    Others write while the slopes are fitted; a judgement on more runs that came in between stays.
    """
    # the parent of the pool imports this module, and is to stay free of scipy
    from muscope.verdicts import judge

    with db.read() as conn:
        basis = _basis(conn, study_id)
    if basis is None:
        return
    judged = judge.judge(
        basis.spec, basis.samples, runs_judged=basis.runs_judged, final=basis.final
    )

    def save() -> None:
        with db.write() as conn:
            verdicts.save(conn, study_id, judged)

    persist(save, patience_s=patience_s)
    log.info("study %s: judged %s", study_id, "finally" if basis.final else "provisionally")


def catch_up(db: Database, study_id: str, *, patience_s: float) -> None:
    """Judge a study, unless that has been done since it was asked for."""
    with db.read() as conn:
        is_missing = study_id in verdicts.unjudged(conn)
    if is_missing:
        judge_study(db, study_id, patience_s=patience_s)


def _basis(conn: Connection, study_id: str) -> Basis | None:
    study = studies.get(conn, study_id)
    runs_judged = studies.runs_judged(conn, study_id)
    if study is None or not any(runs_judged.values()):
        return None
    return Basis(
        spec=study.spec,
        samples=measurements.samples(conn, study_id),
        runs_judged=runs_judged,
        final=all(state.is_terminal for state, count in study.counts.items() if count),
    )
