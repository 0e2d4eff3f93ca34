"""Judge a study from what the database holds, in the transaction of the caller."""

import logging

from sqlalchemy import Connection

from muscope.storage import measurements, studies, verdicts

log = logging.getLogger(__name__)


def judge_study(conn: Connection, study_id: str) -> None:
    """Save the verdicts of a study: provisional while runs are open, final when none is."""
    # the parent of the pool imports this module, and is to stay free of scipy
    from muscope.verdicts import judge

    study = studies.get(conn, study_id)
    runs_judged = studies.runs_judged(conn, study_id)
    if study is None or not any(runs_judged.values()):
        return
    final = all(state.is_terminal for state, count in study.counts.items() if count)
    samples = measurements.samples(conn, study_id)
    judged = judge.judge(study.spec, samples, runs_judged=runs_judged, final=final)
    verdicts.save(conn, study_id, judged)
    log.info("study %s: judged %s", study_id, "finally" if final else "provisionally")
