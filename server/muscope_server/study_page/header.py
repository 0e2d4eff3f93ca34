"""The head of a study's page: how far it is, why it waits, and the studies around it."""

from sqlalchemy import Connection

from muscope.recorded import RecordedSpec
from muscope.spec import StudySpec
from muscope.storage import attempts, failures, recordings, reuse, studies
from muscope.storage.attempts import RunningBundle
from muscope.storage.studies import StudyRow
from muscope.vocabulary import StudyState
from muscope_server import left, waiting
from muscope_server.contexts import Header, Related
from muscope_server.study_page.progress import progress


def header(conn: Connection, row: StudyRow) -> Header:
    """The head of the page: how far it is, and why it waits if it does."""
    seconds = None
    if row.started_at and row.ended_at:
        seconds = (row.ended_at - row.started_at).total_seconds()
    return Header(
        id=row.id,
        name=row.name,
        kind=row.spec.kind,
        progress=progress(row),
        event_seq=row.event_seq,
        created_at=row.created_at,
        started_at=row.started_at,
        seconds=seconds,
        waiting=waiting.sentence(conn, row),
        failure=failures.commonest(conn, row.id),
        training=_training(conn, row),
        left=left.words(conn, row),
        extends=_extended(conn, row),
        extended_by=[Related(*one) for one in reuse.extensions(conn, row.id)],
        trained_again=trained_again(conn, row),
        can_grow=isinstance(row.spec, StudySpec) and not progress(row).is_live,
        statistics=getattr(row.spec, "statistics", ()),
    )


def _extended(conn: Connection, row: StudyRow) -> Related | None:
    if row.extends is None:
        return None
    name = studies.name_of(conn, row.extends)
    return Related(row.extends, name or row.extends)


def trained_again(conn: Connection, row: StudyRow) -> str:
    """Why runs of the study that it extends were not reused, with how many."""
    return "" if row.extends is None else str(studies.creation(conn, row.id).get("not_reused", ""))


def _training(conn: Connection, row: StudyRow) -> str:
    """What of this study is trained now, so that nobody takes a long bundle for a hang."""
    if row.state is not StudyState.RUNNING:
        return ""
    if isinstance(row.spec, RecordedSpec):
        return recordings.progress_words(conn, row.id)
    here = [bundle for bundle in attempts.running(conn) if bundle.study_id == row.id]
    if row.spec.check is not None:  # its two parts have different lengths
        return ", ".join(f"{position(conn, one)} at step {one.step or 0}" for one in here)
    steps = row.spec.steps
    return ", ".join(
        f"{position(conn, bundle)} at step {bundle.step or 0} of {steps}" for bundle in here
    )


def position(conn: Connection, bundle: RunningBundle) -> str:
    """A bundle as its study counts it: `bundle 3 of 4`."""
    ids = attempts.bundle_ids(conn, bundle.study_id)
    return f"bundle {ids.index(bundle.bundle_id) + 1} of {len(ids)}"
