"""Why runs failed: what their attempts left behind, the same words for many runs."""

from sqlalchemy import Connection, func, select

from muscope.storage.tables import run
from muscope.vocabulary import RunState

_FAULTS = (RunState.FAILED, RunState.OUT_OF_MEMORY)


def commonest(conn: Connection, study_id: str) -> str | None:
    """What most of a study's failed runs say; of equals what the earliest says."""
    found = conn.execute(
        select(run.c.error_text)
        .where(run.c.study_id == study_id, run.c.state.in_(_FAULTS), run.c.error_text.is_not(None))
        .group_by(run.c.error_text)
        .order_by(func.count().desc(), func.min(run.c.ordinal))
        .limit(1)
    )
    return found.scalar()
