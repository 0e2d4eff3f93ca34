"""The stages of a study: when one has ended, whoever sees it inserts the next.

The results of a stage that has ended do not change, so they are read and thought about outside any
lock; the insertion is guarded by the number of the stage, so that of two workers only one inserts.
"""

from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, exists, select, update

from muscope import plan
from muscope.spec import RunSpec, StudySpec, stored
from muscope.stages import Draw, Results, next_stage
from muscope.storage import endings, events, losses, planting, plugins, reuse, sets, verdicts
from muscope.storage.database import Database
from muscope.storage.leases import lock_study
from muscope.storage.tables import run, study
from muscope.vocabulary import StudyIntent


def due(conn: Connection) -> list[str]:
    """Open studies whose latest stage has ended, and for which another may follow."""
    query = select(study.c.id).where(_is_due()).order_by(study.c.created_at)
    return list(conn.execute(query).scalars())


def advance(db: Database, study_id: str, draw: Draw | None = None) -> list[int] | None:
    """Insert the next stage of a study and give its bundles; none when there is no next stage, or
    when nothing of it needs training.

    Nothing happens to a study whose stage has not ended, or that somebody else has advanced: None.
    A hyperparameter search may need a sampler to `draw` its sets.
    """
    with db.read() as conn:
        ended = _ended_stage(conn, study_id)
        if ended is None:
            return None
        text = select(study.c.spec_json).where(study.c.id == study_id)
        spec_json = conn.execute(text).scalar_one()
        plugins.teach(conn, spec_json)
        spec = stored(spec_json)
        results = replace(_results(conn, study_id, spec, ended), draw=draw)
    following = next_stage(spec, results)
    with db.write() as conn:
        lock_study(conn, study_id)
        if _ended_stage(conn, study_id) != ended:
            return None
        return _begin(conn, study_id, spec, following, stage=ended + 1)


def _is_due() -> ColumnElement[bool]:
    open_run = exists().where(run.c.study_id == study.c.id, endings.OPEN_RUN)
    return and_(study.c.stage.is_not(None), study.c.intent == StudyIntent.OPEN, ~open_run)


def _ended_stage(conn: Connection, study_id: str) -> int | None:
    """The number of the stage that has ended and waits for the next one."""
    query = select(study.c.stage).where(study.c.id == study_id, _is_due())
    return conn.execute(query).scalar_one_or_none()


def _results(conn: Connection, study_id: str, spec: StudySpec, ended: int) -> Results:
    if spec.tuning is not None:
        return Results(ended + 1, sets=sets.trials(conn, study_id))
    if spec.kind == "lr_transfer":
        return Results(ended + 1, trials=losses.trials(conn, study_id))
    return Results(ended + 1, verdicts=verdicts.of_study(conn, study_id))


def _begin(
    conn: Connection,
    study_id: str,
    spec: StudySpec,
    following: tuple[RunSpec, ...],
    *,
    stage: int,
) -> list[int]:
    left = stage if following else None
    conn.execute(update(study).where(study.c.id == study_id).values(stage=left))
    events.append(conn, study_id, "stage", data={"stage": left, "runs": len(following)})
    if not following:
        return []
    return planting.bundles(
        conn,
        study_id,
        tuple(plan.bundles(following)),
        stage=stage,
        sources=reuse.of(conn, spec).sources,
    )
