"""From bytes that a recorder sent to rows, within limits; refusals say what to do."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from muscope import ingest
from muscope.ingest import Batch, Closing, Opening
from muscope.settings import Settings
from muscope.spec_file import explain
from muscope.storage import quota, recordings, studies
from muscope.storage.database import Database
from muscope.storage.recordings import Recording
from muscope_server import json_body
from muscope_server.doorbell import Doorbell
from muscope_server.errors import FieldError, Refusal, not_found, try_later
from muscope_server.limits import RECORDED_ROWS, STUDIES_PER_HOUR

logger = logging.getLogger(__name__)

Sent = TypeVar("Sent", bound=BaseModel)

_MOST_FAULTS = 100
_SHOWN_FAULTS = 20


def begin(database: Database, settings: Settings, body: bytes) -> Recording:
    """Begin a recording, and a study if its key has none."""
    opening = _read(body, Opening)
    with _refusing(), database.write() as conn:
        begun = recordings.begin(conn, opening)
        if not begun.was_known:
            _check_load(conn, begun, settings)
    if not begun.was_known:
        logger.info("study %s: recording %s begins", begun.study_id, begun.id)
    return begun


def add(database: Database, recording_id: str, body: bytes) -> Recording:
    """Store a batch."""
    batch = _read(body, Batch)
    with _refusing(), database.write() as conn:
        added = recordings.add(conn, recording_id, batch, body_digest=ingest.digest(body))
        if not added.was_known and recordings.rows(conn, added.study_id) > RECORDED_ROWS:
            message = (
                f"A recorded study holds at most {RECORDED_ROWS} measurements and losses; record "
                "fewer tensors, or at fewer steps."
            )
            raise Refusal(422, "too_many_rows", message)
    return added


def finish(database: Database, doorbell: Doorbell, recording_id: str, body: bytes) -> Recording:
    """End a recording, and ask a worker for the verdict."""
    closing = _read(body, Closing)
    with _refusing(), database.write() as conn:
        ended = recordings.close(conn, recording_id, closing)
    if not ended.was_known:
        logger.info("study %s: recording %s has ended", ended.study_id, ended.id)
        doorbell.ask_for_judgement(ended.study_id)
    return ended


@contextmanager
def _refusing() -> Iterator[None]:
    """What the storage does not take, as an answer."""
    try:
        yield
    except recordings.Unknown:
        raise not_found("recording") from None
    except recordings.Conflict as error:
        raise Refusal(409, "recording_conflict", _as_sentence(error)) from None
    except recordings.Closed as error:
        raise Refusal(409, "recording_closed", _as_sentence(error)) from None
    except recordings.Incomplete as error:
        raise Refusal(409, "E_INCOMPLETE", _as_sentence(error)) from None


def _as_sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _check_load(conn: Connection, begun: Recording, settings: Settings) -> None:
    """Raise, and so undo the beginning, when it is one too many."""
    load = quota.load(conn)
    if load.recent_studies > STUDIES_PER_HOUR:
        message = f"At most {STUDIES_PER_HOUR} studies can be begun in an hour."
        raise try_later(429, "too_many_studies", message, seconds=load.relief_s)
    runs = len(studies.runs(conn, begun.study_id))
    if runs > settings.max_runs:
        message = f"A study has at most {settings.max_runs} runs; give this one another key."
        raise Refusal(422, "too_many_runs", message)


def _read(body: bytes, model: type[Sent]) -> Sent:
    """400 where the bytes are malformed, 422 where they say what cannot be."""
    try:
        document = json_body.parse(body)
    except Refusal as refusal:
        if "numbers must be finite" not in refusal.message:
            raise
        hint = 'write what is not finite in quotes: "nan", "inf" or "-inf".'
        raise json_body.malformed(f"{refusal.message.rstrip('.')}; {hint}") from None
    try:
        # As JSON again: only there a list is a tuple, while "64" and 64.0 are no whole numbers.
        return model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> Refusal:
    if error.error_count() > _MOST_FAULTS:
        faults = [FieldError(path="", message=f"{error.error_count()} fields are wrong")]
    else:
        found = explain(error)[:_SHOWN_FAULTS]
        faults = [FieldError(path=path, message=message) for path, message in found]
    said = "; ".join(f"{fault.path}: {fault.message}".lstrip(": ") for fault in faults[:3])
    return Refusal(422, "invalid_recording", said, fields=faults)
