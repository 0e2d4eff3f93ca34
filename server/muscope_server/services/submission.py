"""From a spec to a stored study whose bundles the workers know of."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from muscope import plan
from muscope.extension import NotGrown
from muscope.plan import Plan
from muscope.settings import Settings
from muscope.spec import StudySpec, canonical_json
from muscope.storage import bundles, plugins, quota, reuse, studies, workers
from muscope.storage.database import Database
from muscope_server.doorbell import Doorbell
from muscope_server.errors import FieldError, Refusal, in_words, not_found, try_later
from muscope_server.limits import (
    CELLS,
    IDEMPOTENCY_KEY_CHARACTERS,
    MEASUREMENT_ROWS,
    MEMORY_SHARE,
    QUEUED_RUNS,
    STUDIES_PER_HOUR,
)

logger = logging.getLogger(__name__)

CANNOT_EXTEND = (reuse.CannotExtend, NotGrown)


def submit(
    database: Database,
    doorbell: Doorbell,
    settings: Settings,
    spec: StudySpec,
    idempotency_key: str | None = None,
) -> tuple[str, bool]:
    """Store a study, then tell the workers: (its id, whether it is new).

    The same key and spec give the same study again. A broker that is away is no error: the
    reaper sends again what stays queued.
    """
    if idempotency_key is not None:
        _check_key(idempotency_key)
    whole, planned = _plans(database, settings, spec)
    try:
        with database.write() as conn:
            study_id, created = studies.create(conn, spec, whole, idempotency_key=idempotency_key)
            if created:
                _check_load(conn)
                bundle_ids = bundles.queued_ids(conn, study_id)
                bundles.mark_sent(conn, bundle_ids)
    except CANNOT_EXTEND as error:
        raise cannot_extend(error) from None
    except plugins.PluginConflict as error:
        raise Refusal(409, "plugin_conflict", f"{error}.") from None
    except studies.IdempotencyConflict as error:
        raise Refusal(409, "idempotency_conflict", f"{error}.".replace("..", ".")) from None
    if created:
        logger.info("study %s created with %d runs", study_id, planned.run_count)
        doorbell.ring(bundle_ids)
    return study_id, created


def cancel(database: Database, study_id: str) -> studies.StudyRow:
    """Cancel a study: what is queued ends now, what runs ends at its next heartbeat."""
    with database.write() as conn:
        row = studies.cancel(conn, study_id)
    if row is None:
        raise not_found("study")
    logger.info("study %s cancelled", study_id)
    return row


def plan_within_limits(database: Database, settings: Settings, spec: StudySpec) -> Plan:
    """The plan of a spec; a 422 that names the limit when it is larger than it may be.

    Of a study that extends another it is what is left to train; the limits are for the whole.
    """
    return _plans(database, settings, spec)[1]


def cannot_extend(error: ValueError) -> Refusal:
    """The refusal of a study that extends another, beside the field of which it is said."""
    if isinstance(error, reuse.StillRuns):
        return Refusal(409, "study_runs", _sentence(error))
    path = error.path if isinstance(error, NotGrown) else "extends"
    return invalid([FieldError(path=path, message=str(error))])


def _plans(database: Database, settings: Settings, spec: StudySpec) -> tuple[Plan, Plan]:
    """The plan of the whole grid, and of what is to be trained of it."""
    try:
        planned = plan.plan(spec, max_runs=settings.max_runs)
    except ValueError as error:
        raise invalid([FieldError(path="", message=str(error))]) from None
    if _rows(planned) > MEASUREMENT_ROWS:
        raise invalid([_too_many_rows(planned)])
    if planned.cells > CELLS:
        raise invalid([_too_many_cells(planned)])
    left = _left(database, spec, planned)
    with database.read() as conn:
        memory = max((row.memory for row in workers.all_workers(conn)), default=0)
    need = max((bundle.memory_bytes for bundle in left.bundles), default=0)
    if memory and need > MEMORY_SHARE * memory:
        raise invalid([_too_large(left, memory)])
    with database.read() as conn:
        lacking = plugins.missing_in_words(conn, canonical_json(spec))
    if lacking:
        left = replace(left, warnings=(*left.warnings, lacking))
    return planned, left


def _left(database: Database, spec: StudySpec, planned: Plan) -> Plan:
    try:
        with database.read() as conn:
            reuse.check(conn, spec)
            return reuse.of(conn, spec).left_of(planned)
    except CANNOT_EXTEND as error:
        raise cannot_extend(error) from None


def invalid(fields: Sequence[FieldError]) -> Refusal:
    """The refusal of a spec: what is wrong, field by field."""
    return Refusal(422, "invalid_spec", in_words(fields), fields=fields)


def _sentence(error: ValueError) -> str:
    text = f"{error}."
    return text[0].upper() + text[1:]


def _check_key(key: str) -> None:
    allowed = key.isascii() and key.isprintable()
    if not allowed or not 1 <= len(key) <= IDEMPOTENCY_KEY_CHARACTERS:
        message = f"must be 1 to {IDEMPOTENCY_KEY_CHARACTERS} printable ASCII characters"
        raise invalid([FieldError(path="Idempotency-Key", message=message)])


def _check_load(conn: Connection) -> None:
    """Raise, and so undo the submission, when it is one too many."""
    load = quota.load(conn)
    if load.recent_studies > STUDIES_PER_HOUR:
        message = f"At most {STUDIES_PER_HOUR} studies can be submitted in an hour."
        raise try_later(429, "too_many_studies", message, seconds=load.relief_s)
    if load.queued_runs > QUEUED_RUNS:
        message = f"With this study {load.queued_runs} runs would wait, at most {QUEUED_RUNS} may."
        raise try_later(429, "too_many_queued_runs", message, seconds=60)


def _too_many_cells(planned: Plan) -> FieldError:
    message = (
        f"the study would judge {planned.cells} slopes (variants, depths, tensors, steps, "
        f"statistics), at most {CELLS} are allowed; take fewer steps, depths or variants, "
        "or a larger record_every"
    )
    return FieldError(path="steps", message=message)


def _rows(planned: Plan) -> int:
    """A long run has few measurements and a loss for every step."""
    return planned.measurement_rows + planned.loss_rows


def _too_many_rows(planned: Plan) -> FieldError:
    message = (
        f"the study would record {_rows(planned)} rows, at most {MEASUREMENT_ROWS} are "
        "allowed; take fewer steps, depths, widths or seeds, or a larger record_every"
    )
    return FieldError(path="steps", message=message)


def _too_large(planned: Plan, memory: int) -> FieldError:
    largest = max(planned.bundles, key=lambda bundle: bundle.memory_bytes)
    run = largest.runs[0]
    message = (
        f"the bundle of width {run.width} and depth {run.depth} needs about "
        f"{largest.memory_bytes / 2**30:.1f} GiB; the largest worker has {memory / 2**30:.1f} GiB, "
        f"of which {MEMORY_SHARE:.0%} may be used; take smaller widths or fewer seeds"
    )
    return FieldError(path="widths", message=message)
