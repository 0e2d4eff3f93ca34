"""Adding to a study what is missing: by its own verdict's advice, or by what somebody asks for."""

from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import Connection

from muscope import extension
from muscope.extension import Addition
from muscope.settings import Settings
from muscope.spec import StudySpec
from muscope.storage import reuse, verdicts
from muscope.storage.database import Database
from muscope_server import json_body
from muscope_server.doorbell import Doorbell
from muscope_server.errors import FieldError, Refusal, not_found
from muscope_server.services import submission

NOTHING_ADVISED = (
    "The verdict of this study does not ask for anything that could be added; say what to add: "
    "seeds (how many in all), widths, depths, batch_sizes or octaves."
)


@dataclass(frozen=True, slots=True)
class Extended:
    """A spec that extends a study, what was asked to be added, and what that is in words."""

    spec: StudySpec
    addition: Addition
    words: str
    changed: tuple[str, ...]


def extend(
    database: Database,
    doorbell: Doorbell,
    settings: Settings,
    study_id: str,
    *,
    addition: Addition,
    key: str | None = None,
) -> tuple[str, bool]:
    """Submit what extends a study, by the advice of its verdict if nothing is said."""
    wanted = extended(database, study_id, addition)
    return submission.submit(database, doorbell, settings, wanted.spec, key)


def extended(database: Database, study_id: str, addition: Addition) -> Extended:
    """A study with more in its grid; refused where it cannot be, or would be the same."""
    with database.read() as conn:
        try:
            old = reuse.extendable(conn, study_id)
        except reuse.NoSuchStudy:
            raise not_found("study") from None
        except reuse.CannotExtend as error:
            raise submission.cannot_extend(error) from None
        if addition.is_empty:
            advised = advice(conn, study_id, old)
            if advised is None:
                raise Refusal(422, "nothing_to_add", NOTHING_ADVISED)
            addition = advised
    return _grown(old, study_id, addition)


def advice(conn: Connection, study_id: str, spec: StudySpec) -> Addition | None:
    """What would decide the variants of a study that are open, as far as their verdicts say."""
    checked, swept = verdicts.of_study(conn, study_id), verdicts.of_transfer(conn, study_id)
    return extension.recommended(spec, [*checked, *swept])


def blank(database: Database, study_id: str) -> StudySpec:
    """What the form shows of a study that is to be extended by hand: the same, but that it does."""
    with database.read() as conn:
        try:
            old = reuse.extendable(conn, study_id)
        except reuse.NoSuchStudy:
            raise not_found("study") from None
        except reuse.CannotExtend as error:
            raise submission.cannot_extend(error) from None
    name = extension.extended_name(old.name)
    return old.model_copy(update={"extends": study_id, "name": name})


def read(body: bytes) -> Addition:
    """What the JSON body asks to add; nothing at all asks for what the verdict advises."""
    if not body.strip():
        return Addition()
    try:
        return json_body.read(body, Addition)
    except ValidationError as error:
        allowed = f"unknown field; allowed: {', '.join(Addition.model_fields)}"
        faults = [
            FieldError(path=one.path, message=allowed) if "unknown" in one.message else one
            for one in json_body.faults(error)
        ]
        raise submission.invalid(faults) from None


def _grown(old: StudySpec, study_id: str, addition: Addition) -> Extended:
    try:
        spec = extension.grown(old, study_id, addition)
    except extension.NotGrown as error:
        raise submission.cannot_extend(error) from None
    except ValidationError as error:
        raise submission.invalid(json_body.faults(error)) from None
    return Extended(spec, addition, extension.words(old, spec), extension.changed(old, spec))
