"""Why a study does not go on, in a sentence that says what to do."""

from sqlalchemy import Connection

from muscope.spec import canonical_json
from muscope.storage import attempts, disk, plugins, verdicts, workers
from muscope.storage.studies import StudyRow
from muscope.vocabulary import StudyState

NO_WORKER = (
    "No worker is there, so nothing runs yet; the study starts by itself when one comes. "
    "Start one with `muscope worker`, or everything with `muscope up`."
)
NOT_JUDGED = (
    "Every run has ended, and a worker computes the verdict. If it does not come within a minute, "
    "look whether a worker is there, and into its log."
)


def sentence(conn: Connection, row: StudyRow) -> str | None:
    """What a study waits for; nothing while it runs, and after it is judged."""
    match row.state:
        case StudyState.QUEUED:
            return _for_room(conn, row) or _for_a_worker(conn, row) or _for_plugins(conn, row)
        case StudyState.RUNNING:
            return _for_room(conn, row) or _for_plugins(conn, row)
        case StudyState.FINISHED | StudyState.FAILED | StudyState.CANCELLED:
            unjudged = NOT_JUDGED if row.id in verdicts.unjudged(conn) else None
            return unjudged or _without_plugins(conn, row)


def _for_room(conn: Connection, row: StudyRow) -> str | None:
    """The disk is full as far as one can see from here, or was when a worker last tried."""
    reason = attempts.given_back(conn, row.id) or ""
    return reason if disk.CODE in reason else disk.shortage(conn.engine.url)


def _for_plugins(conn: Connection, row: StudyRow) -> str | None:
    lacking = plugins.missing_in_words(conn, canonical_json(row.spec))
    return lacking and f"{lacking}; what needs it waits until then."


def _without_plugins(conn: Connection, row: StudyRow) -> str | None:
    """What is measured stands; nobody could measure it again now."""
    lacking = plugins.missing_in_words(conn, canonical_json(row.spec))
    return lacking and f"{lacking} to train more of this study; what is measured stands."


def _for_a_worker(conn: Connection, row: StudyRow) -> str | None:
    if not workers.alive(conn, within_s=workers.ALIVE_S):
        return NO_WORKER
    others = [bundle for bundle in attempts.running(conn) if bundle.study_id != row.id]
    if others:
        return f"Every worker is busy with {others[0].study_name!r}; this study is next in line."
    return None
