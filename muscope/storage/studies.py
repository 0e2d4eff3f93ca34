"""Studies and their runs: create in one transaction, read with a derived state, cancel."""

import base64
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from muscope import plan
from muscope.plan import Plan
from muscope.recorded import AnySpec, stored
from muscope.spec import StudySpec, canonical_json, digest
from muscope.stages import Results, next_stage
from muscope.storage import endings, events, nonfinite, planting, plugins, reuse
from muscope.storage.database import now
from muscope.storage.events import moment
from muscope.storage.holders import holder
from muscope.storage.leases import lock_study
from muscope.storage.tables import (
    attempt,
    bundle,
    event,
    idempotency,
    progress,
    run,
    study,
)
from muscope.vocabulary import BundleState, RunState, StudyIntent, StudyState

_TRAIN_LOSS = nonfinite.PROGRESS_COLUMNS.index("train_loss")


class IdempotencyConflict(ValueError):
    """The same idempotency key came with another spec."""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study as readers see it; its state is derived from its runs.

    `stage` is the number of its latest stage while another may follow, else None. Of its runs, so
    many are `reused` from the study that it `extends`, or from one that this one extends.
    """

    id: str
    name: str
    kind: str
    spec: AnySpec
    spec_digest: str
    intent: StudyIntent
    state: StudyState
    counts: dict[RunState, int]
    runs: int
    stage: int | None
    event_seq: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    extends: str | None = None
    reused: int = 0


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as readers see it, with what its bundle's latest attempt says.

    One that was `reused_from` another study was trained there.
    """

    id: int
    ordinal: int
    bundle_id: int
    variant: str
    width: int
    depth: int
    octave: float
    seed: int
    stage: int
    state: RunState
    accepted_attempt: int | None
    row_count: int | None
    digest: str | None
    first_nonfinite_step: int | None
    first_nonfinite_tensor: str | None
    error_code: str | None
    error_text: str | None
    device: str | None
    worker_id: str | None
    seconds: float | None
    train_loss: float | None
    attempts: int
    reused_from: str | None = None
    batch_size: int | None = None
    record: str | None = None
    sequence_length: int | None = None
    steps: int | None = None
    resume_note: str | None = None
    """Where that attempt went on, or why it began at the first step."""
    tuned: Mapping[str, float] = field(default_factory=dict)


def create(
    conn: Connection, spec: StudySpec, planned: Plan, *, idempotency_key: str | None = None
) -> tuple[str, bool]:
    """Write a study with its runs and bundles; give its id and whether it is new.

    Of a study with stages these are the runs of the first. The same key with the same spec gives
    the study it made before. One that extends another must be able to (`reuse.check` says why not);
    the runs that it reuses have ended at once. What adds the same to the same study is that study.
    """
    reuse.check(conn, spec)
    same = reuse.equal(conn, spec)
    if same is not None and not _is_taken(conn, idempotency_key):
        return same, False
    known = reuse.of(conn, spec)
    study_id = _insert_study(conn, spec, idempotency_key)
    if study_id is None:
        assert idempotency_key is not None  # nothing else can be in the way
        return _existing(conn, spec, idempotency_key), False
    if idempotency_key is not None:
        conn.execute(
            insert(idempotency).values(
                key=idempotency_key,
                body_digest=digest(spec),
                study_id=study_id,
                created_at=now(),
            )
        )
    first = planned.bundles
    if spec.has_stages:
        first = tuple(plan.bundles(next_stage(spec, Results())))
    plugins.remember(conn, canonical_json(spec))
    planting.bundles(conn, study_id, first, stage=0, sources=known.sources)
    planting.tensors(conn, study_id, planned)
    events.append(conn, study_id, "study_created", data=_created(known.left_of(planned)))
    return study_id, True


def creation(conn: Connection, study_id: str) -> events.Data:
    """What was known when a study was made: `runs`, of an extension also what is `reused`."""
    query = select(event.c.data_json).where(
        event.c.study_id == study_id, event.c.kind == "study_created"
    )
    text = conn.execute(query.limit(1)).scalar()
    return {} if text is None else json.loads(text)


def name_of(conn: Connection, study_id: str) -> str | None:
    """The name of a study, or None."""
    return conn.execute(select(study.c.name).where(study.c.id == study_id)).scalar()


def get(conn: Connection, study_id: str) -> StudyRow | None:
    """A study, or None."""
    found = _study_rows(conn, study.c.id == study_id)
    return found[0] if found else None


def page(conn: Connection, *, limit: int = 200, offset: int = 0) -> list[StudyRow]:
    """Studies, newest first."""
    newest = (
        select(study.c.id)
        .where(study.c.deleted_at.is_(None))
        .order_by(study.c.created_at.desc(), study.c.id)
        .limit(limit)
        .offset(offset)
    )
    return _study_rows(conn, study.c.id.in_(newest.scalar_subquery()))


def count(conn: Connection) -> int:
    """How many studies there are."""
    query = select(func.count()).select_from(study).where(study.c.deleted_at.is_(None))
    return int(conn.execute(query).scalar_one())


def runs(conn: Connection, study_id: str) -> list[RunRow]:
    """The runs of a study in the order of its plan."""
    last_step = (
        select(func.max(progress.c.step))
        .where(progress.c.run_id == holder(), progress.c.attempt_id == attempt.c.id)
        .correlate(run, attempt)
        .scalar_subquery()
    )
    seconds = func.coalesce(attempt.c.ended_at, now()) - attempt.c.started_at
    source = run.alias("source")
    query = (
        select(
            run,
            attempt.c.device,
            attempt.c.worker_id,
            attempt.c.attempt_no,
            attempt.c.resume_note,
            seconds.label("seconds"),
            source.c.study_id.label("reused_from"),
            progress.c.train_loss,
            progress.c.nonfinite,
        )
        .join(bundle, bundle.c.id == run.c.bundle_id)
        .outerjoin(source, source.c.id == run.c.reuses)
        .outerjoin(
            attempt,
            and_(attempt.c.bundle_id == bundle.c.id, attempt.c.attempt_no == bundle.c.attempt_no),
        )
        .outerjoin(
            progress,
            and_(
                progress.c.run_id == holder(),
                progress.c.attempt_id == attempt.c.id,
                progress.c.step == last_step,
            ),
        )
        .where(run.c.study_id == study_id)
        .order_by(run.c.ordinal)
    )
    return [_run_row(row) for row in conn.execute(query)]


def cancel(conn: Connection, study_id: str) -> StudyRow | None:
    """Cancel what has not ended: at once where it waits, at the next heartbeat where it runs."""
    intent = lock_study(conn, study_id)
    if intent == StudyIntent.OPEN and _goes_on(conn, study_id):
        wish = update(study).where(study.c.id == study_id)
        conn.execute(wish.values(intent=StudyIntent.CANCELLED))
        events.append(conn, study_id, "study_cancelled")
        running = and_(bundle.c.study_id == study_id, bundle.c.state == BundleState.RUNNING)
        conn.execute(update(bundle).where(running).values(cancel_requested=1))
        endings.cancel_recordings(conn, study_id)
        for bundle_id in _queued_bundles(conn, study_id):
            endings.cancel_bundle(conn, study_id, bundle_id)
    return get(conn, study_id)


def runs_judged(
    conn: Connection, study_id: str, of: ColumnElement[bool] | None = None
) -> dict[str, int]:
    """How many runs of each variant ended with rows, for variants that have any; or some `of`."""
    query = (
        select(run.c.variant, func.count().label("runs"))
        .where(run.c.study_id == study_id, run.c.accepted_attempt.is_not(None))
        .group_by(run.c.variant)
    )
    query = query if of is None else query.where(of)
    return {row.variant: row.runs for row in conn.execute(query)}


def has_open_runs(conn: Connection, study_id: str, of: ColumnElement[bool]) -> bool:
    """Whether any of some runs of a study has not ended."""
    query = select(run.c.id).where(run.c.study_id == study_id, endings.OPEN_RUN, of)
    return conn.execute(query.limit(1)).first() is not None


def new_id() -> str:
    """An id that no other study has."""
    return base64.b32encode(secrets.token_bytes(10))[:10].decode().lower()


def _insert_study(conn: Connection, spec: StudySpec, key: str | None) -> str | None:
    """The id of the new study, or None when its idempotency key is taken."""
    study_id = new_id()
    values = {
        "id": study_id,
        "name": spec.name,
        "kind": spec.kind,
        "spec_json": canonical_json(spec),
        "spec_digest": digest(spec),
        "intent": StudyIntent.OPEN,
        "extends": spec.extends,
        "stage": 0 if spec.has_stages else None,
        "idempotency_key": key,
        "created_at": now(),
    }
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    # The loser of a race waits here for the winner's commit, then finds its study.
    new = (
        dialect.insert(study)
        .values(values)
        .on_conflict_do_nothing(index_elements=["idempotency_key"])
    )
    return conn.execute(new.returning(study.c.id)).scalar_one_or_none()


def _created(left: Plan) -> events.Data:
    data: dict[str, str | int] = {"runs": left.run_count + left.reused}
    if left.reused or left.not_reused:
        data |= {"reused": left.reused, "not_reused": "; ".join(left.not_reused)}
    return data


def _is_taken(conn: Connection, key: str | None) -> bool:
    query = select(study.c.id).where(study.c.idempotency_key == key)
    return key is not None and conn.execute(query).first() is not None


def _existing(conn: Connection, spec: StudySpec, key: str) -> str:
    query = select(study.c.id, study.c.spec_digest).where(study.c.idempotency_key == key)
    found = conn.execute(query).one()
    if found.spec_digest != digest(spec):
        raise IdempotencyConflict(
            f"the idempotency key {key!r} was used for another study ({found.id}); "
            "take a new key for a new study"
        )
    return str(found.id)


def _goes_on(conn: Connection, study_id: str) -> bool:
    """Whether any run is open, or another stage may follow."""
    open_run = select(run.c.id).where(run.c.study_id == study_id, endings.OPEN_RUN)
    staged = select(study.c.id).where(study.c.id == study_id, study.c.stage.is_not(None))
    return any(conn.execute(query.limit(1)).first() for query in (open_run, staged))


def _queued_bundles(conn: Connection, study_id: str) -> Sequence[int]:
    query = select(bundle.c.id).where(
        bundle.c.study_id == study_id, bundle.c.state == BundleState.QUEUED
    )
    return conn.execute(query.order_by(bundle.c.id)).scalars().all()


def _study_rows(conn: Connection, which: ColumnElement[bool]) -> list[StudyRow]:
    order = (study.c.created_at.desc(), study.c.id)
    rows = conn.execute(select(study).where(which).order_by(*order)).all()
    ids = [row.id for row in rows]
    plugins.teach(conn, *(row.spec_json for row in rows))
    counts, times = _counts(conn, ids), _times(conn, ids)
    return [_study_row(row, *counts[row.id], times.get(row.id, (None, None))) for row in rows]


def _counts(
    conn: Connection, ids: Iterable[str]
) -> dict[str, tuple[dict[RunState, int], dict[RunState, int]]]:
    """How many runs of a study are in each state, and how many of them it trains itself."""
    found: dict[str, tuple[dict[RunState, int], dict[RunState, int]]] = {}
    found |= {study_id: ({}, {}) for study_id in ids}
    is_own = run.c.reuses.is_(None).label("is_own")
    query = select(run.c.study_id, run.c.state, is_own, func.count().label("runs"))
    query = query.where(run.c.study_id.in_(found), endings.not_replaced(found))
    for row in conn.execute(query.group_by(run.c.study_id, run.c.state, is_own)):
        whole, own = found[row.study_id]
        whole[RunState(row.state)] = whole.get(RunState(row.state), 0) + row.runs
        if row.is_own:
            own[RunState(row.state)] = row.runs
    return found


def _times(conn: Connection, ids: Iterable[str]) -> dict[str, tuple[float | None, float | None]]:
    """When the first attempt of a study began and its last run ended."""
    ids = list(ids)
    started = (
        select(bundle.c.study_id, func.min(attempt.c.started_at).label("at"))
        .join(attempt, attempt.c.bundle_id == bundle.c.id)
        .where(bundle.c.study_id.in_(ids))
        .group_by(bundle.c.study_id)
    )
    ended = (
        select(run.c.study_id, func.max(run.c.ended_at).label("at"))
        .where(run.c.study_id.in_(ids))
        .group_by(run.c.study_id)
    )
    first = {row.study_id: row.at for row in conn.execute(started)}
    return {row.study_id: (first.get(row.study_id), row.at) for row in conn.execute(ended)}


def _study_row(
    row: Row[*tuple[object, ...]],
    counts: dict[RunState, int],
    own: dict[RunState, int],
    times: tuple[float | None, float | None],
) -> StudyRow:
    started, ended = times
    intent = StudyIntent(row.intent)
    state = derived_state(own, intent, has_stages_left=row.stage is not None)
    has_ended = state not in (StudyState.QUEUED, StudyState.RUNNING)
    return StudyRow(
        id=row.id,
        name=row.name,
        kind=row.kind,
        spec=stored(row.spec_json),
        spec_digest=row.spec_digest,
        intent=intent,
        state=state,
        counts=counts,
        runs=sum(counts.values()),
        stage=row.stage,
        event_seq=row.event_seq,
        created_at=moment(row.created_at),
        started_at=None if started is None else moment(started),
        ended_at=None if ended is None or not has_ended else moment(ended),
        extends=row.extends,
        reused=sum(counts.values()) - sum(own.values()),
    )


def derived_state(
    counts: dict[RunState, int],
    intent: StudyIntent = StudyIntent.OPEN,
    *,
    has_stages_left: bool = False,
) -> StudyState:
    """The state of a study whose runs are in these states.

    A fault shows: one failed run makes the study `failed`, and the counts say how many. Between
    two stages no run is open, and yet an open study runs.
    """
    states = {state for state, number in counts.items() if number}
    if states == {RunState.QUEUED}:
        return StudyState.QUEUED
    if not all(state.is_terminal for state in states):
        return StudyState.RUNNING
    if has_stages_left:
        return StudyState.RUNNING if intent is StudyIntent.OPEN else StudyState.CANCELLED
    if RunState.CANCELLED in states:
        return StudyState.CANCELLED
    if states & {RunState.FAILED, RunState.OUT_OF_MEMORY}:
        return StudyState.FAILED
    return StudyState.FINISHED


def _run_row(row: Row[*tuple[object, ...]]) -> RunRow:
    asked = json.loads(row.spec_json)
    return RunRow(
        id=row.id,
        ordinal=row.ordinal,
        bundle_id=row.bundle_id,
        variant=row.variant,
        width=row.width,
        depth=row.depth,
        octave=row.octave,
        seed=row.seed,
        stage=row.stage,
        state=RunState(row.state),
        accepted_attempt=row.accepted_attempt,
        row_count=row.row_count,
        digest=row.digest,
        first_nonfinite_step=row.first_nonfinite_step,
        first_nonfinite_tensor=row.first_nonfinite_tensor,
        error_code=row.error_code,
        error_text=row.error_text,
        device=row.device,
        worker_id=row.worker_id,
        seconds=row.seconds,
        train_loss=nonfinite.restored(row.train_loss, row.nonfinite or 0, _TRAIN_LOSS),
        attempts=row.attempt_no or 0,
        resume_note=row.resume_note,
        reused_from=row.reused_from,
        batch_size=row.batch_size,
        record=row.record,
        sequence_length=asked.get("sequence_length"),
        steps=asked.get("steps"),
        tuned=asked.get("tuned", {}),
    )
