"""From bytes that a recorder sent to rows, within limits; refusals say what to do."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from muscope import ingest
from muscope.ingest import Batch, Closing, Opening
from muscope.settings import Settings
from muscope.storage import planting, quota, recordings
from muscope.storage.database import Database
from muscope.storage.recordings import Recording
from muscope_server import json_body
from muscope_server.doorbell import Doorbell
from muscope_server.errors import Refusal, in_words, not_found, try_later
from muscope_server.limits import RECORDED_ROWS, STUDIES_PER_HOUR

logger = logging.getLogger(__name__)

Sent = TypeVar("Sent", bound=BaseModel)


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
    if planting.runs_so_far(conn, begun.study_id) > settings.max_runs:
        message = f"A study has at most {settings.max_runs} runs; give this one another key."
        raise Refusal(422, "too_many_runs", message)


def _read(body: bytes, model: type[Sent]) -> Sent:
    """400 where the bytes are malformed, 422 where they say what cannot be."""
    try:
        return json_body.read(body, model)
    except Refusal as refusal:
        if "numbers must be finite" not in refusal.message:
            raise
        hint = 'write what is not finite in quotes: "nan", "inf" or "-inf".'
        raise json_body.malformed(f"{refusal.message.rstrip('.')}; {hint}") from None
    except ValidationError as error:
        fields = json_body.faults(error)
        raise Refusal(422, "invalid_recording", in_words(fields), fields=fields) from None
