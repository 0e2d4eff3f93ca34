"""What recorders send, written exactly once: a batch is known by its recording and its number.

A recording is one run with one attempt in a bundle that no worker can claim; its study is found by
a key. Whether a batch has come before is decided in the transaction that writes its rows, so lost
answers, second deliveries and any order of arrival change nothing.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from muscope import ingest
from muscope.ingest import Batch, Closing, Opening
from muscope.recorded import RecordedTensor
from muscope.records import Measurement, Progress, StepRecord
from muscope.spec import digest as spec_digest
from muscope.storage import endings, events, recorded_studies
from muscope.storage.database import now
from muscope.storage.endings import Execution
from muscope.storage.events import NewEvent
from muscope.storage.leases import lock_study
from muscope.storage.measurements import tallies
from muscope.storage.recorded_studies import Conflict
from muscope.storage.tables import (
    attempt,
    measurement,
    progress,
    recorded_batch,
    recording,
    run,
    tensor,
    verdict,
)
from muscope.storage.writing import MeasurementConflict, Writer, store
from muscope.vocabulary import (
    AttemptState,
    BundleState,
    Role,
    RunState,
)

__all__ = [
    "Closed",
    "Conflict",
    "Incomplete",
    "Recording",
    "Unknown",
    "add",
    "begin",
    "close",
    "progress_words",
    "rows",
    "tensor_names",
    "tensors",
]

SHOWN_KEYS = 20


class Unknown(LookupError):
    """No recording has this id."""


class Closed(ValueError):
    """The recording has ended, and takes nothing more."""


class Incomplete(ValueError):
    """What has arrived is not what the recorder says it sent; the recording stays open."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and where it is kept; `was_known`: it, or what was sent, had come before."""

    id: str
    study_id: str
    run_id: int
    was_known: bool


def begin(conn: Connection, opening: Opening) -> Recording:
    """Begin a recording, in the newest study with its key or in a new one.

    A place that was recorded to its end is not overwritten: then a new study begins. One that
    was not, or that ended badly, gives way to this recording.
    """
    opening_digest = spec_digest(opening.model_copy(update={"environment": {}}))
    recorded_studies.lock_key(conn, opening.key)
    known = _find(conn, opening.recording)
    if known is not None:
        if known.opening_digest != opening_digest:
            raise Conflict(f"recording {opening.recording} has begun with another opening")
        return Recording(known.id, known.study_id, known.run_id, was_known=True)
    study_id = recorded_studies.study_for(conn, opening)
    if study_id is None:
        study_id = recorded_studies.new_study(conn, opening)
    run_id, attempt_id = recorded_studies.new_run(conn, study_id, opening)
    conn.execute(
        insert(recording).values(
            id=opening.recording,
            study_id=study_id,
            run_id=run_id,
            attempt_id=attempt_id,
            opening_digest=opening_digest,
            heard_at=now(),
        )
    )
    recorded_studies.describe(conn, study_id, opening.variant)
    _reopen_verdicts(conn, study_id)
    return Recording(opening.recording, study_id, run_id, was_known=False)


def add(conn: Connection, recording_id: str, batch: Batch, *, body_digest: str) -> Recording:
    """Write a batch; the same again changes nothing."""
    known = _get(conn, recording_id)
    lock_study(conn, known.study_id)
    here = and_(recorded_batch.c.recording_id == recording_id, recorded_batch.c.seq == batch.seq)
    before = conn.execute(select(recorded_batch.c.digest).where(here)).scalar_one_or_none()
    if before == body_digest:
        return Recording(known.id, known.study_id, known.run_id, was_known=True)
    if before is not None:
        raise Conflict(f"batch {batch.seq} of this recording came before with other content")
    _prove_open(conn, known)
    _store(conn, known, batch)
    conn.execute(
        insert(recorded_batch).values(
            recording_id=recording_id, seq=batch.seq, digest=body_digest, rows=_size(batch)
        )
    )
    conn.execute(update(recording).where(recording.c.id == recording_id).values(heard_at=now()))
    recorded_studies.widen(conn, known.study_id, batch)
    last = max((row.step for row in batch.rows), default=0)
    events.append(conn, known.study_id, "step", run_id=known.run_id, data={"step": last})
    return Recording(known.id, known.study_id, known.run_id, was_known=False)


def close(conn: Connection, recording_id: str, closing: Closing) -> Recording:
    """Let a recording end, after every batch and every row of it was counted."""
    known = _get(conn, recording_id)
    lock_study(conn, known.study_id)
    closing_digest = spec_digest(closing)
    if known.closing_digest is not None:
        if known.closing_digest != closing_digest:
            raise Conflict("this recording was closed before, with other counts")
        return Recording(known.id, known.study_id, known.run_id, was_known=True)
    bundle_id = _prove_open(conn, known)
    _count(conn, known, closing)
    conn.execute(
        update(recording)
        .where(recording.c.id == recording_id)
        .values(closing_digest=closing_digest, heard_at=now())
    )
    _end(conn, known, bundle_id, closing)
    _reopen_verdicts(conn, known.study_id)
    return Recording(known.id, known.study_id, known.run_id, was_known=False)


def _size(batch: Batch) -> int:
    """How many rows keep a batch; one that is empty takes one too."""
    return max(1, len(batch.rows) + len(batch.losses))


def rows(conn: Connection, study_id: str) -> int:
    """How many measurements and losses recorders have sent for a study."""
    query = (
        select(func.coalesce(func.sum(recorded_batch.c.rows), 0))
        .join(recording, recording.c.id == recorded_batch.c.recording_id)
        .where(recording.c.study_id == study_id)
    )
    return int(conn.execute(query).scalar_one())


def progress_words(conn: Connection, study_id: str) -> str:
    """What is being recorded now: `2 recordings at steps 3 and 17`."""
    query = (
        select(attempt.c.last_step)
        .join(recording, recording.c.attempt_id == attempt.c.id)
        .where(recording.c.study_id == study_id, attempt.c.state == AttemptState.RUNNING)
        .order_by(attempt.c.last_step)
    )
    steps = [step or 0 for step in conn.execute(query).scalars()]
    if not steps:
        return ""
    if len(steps) == 1:
        return f"1 recording at step {steps[0]}"
    return f"{len(steps)} recordings at steps {steps[0]} to {steps[-1]}"


def tensor_names(conn: Connection, study_id: str) -> list[str]:
    """Every tensor of a recorded study, in the order in which they came."""
    query = select(tensor.c.name).where(tensor.c.study_id == study_id).order_by(tensor.c.ordinal)
    return list(conn.execute(query).scalars())


def tensors(conn: Connection, study_id: str) -> list[RecordedTensor]:
    """The same with their roles, and whether they are judged."""
    query = select(tensor).where(tensor.c.study_id == study_id).order_by(tensor.c.ordinal)
    return [
        RecordedTensor(row.name, Role(row.role), bool(row.is_judged)) for row in conn.execute(query)
    ]


def _find(conn: Connection, recording_id: str) -> Row[*tuple[object, ...]] | None:
    return conn.execute(select(recording).where(recording.c.id == recording_id)).first()


def _get(conn: Connection, recording_id: str) -> Row[*tuple[object, ...]]:
    found = _find(conn, recording_id)
    if found is None:
        raise Unknown("no recording has this id")
    return found


def _reopen_verdicts(conn: Connection, study_id: str) -> None:
    """There is more to judge than the verdicts that stand know of."""
    conn.execute(update(verdict).where(verdict.c.study_id == study_id).values(final=0))


def _prove_open(conn: Connection, known: Row[*tuple[object, ...]]) -> int:
    """The bundle of a recording that goes on."""
    query = select(attempt.c.bundle_id, attempt.c.state, attempt.c.end_reason)
    found = conn.execute(query.where(attempt.c.id == known.attempt_id)).one()
    if found.state != AttemptState.RUNNING:
        reason = found.end_reason or {
            AttemptState.CANCELLED: "Its study was cancelled.",
            AttemptState.FINISHED: "It was closed before.",
        }.get(AttemptState(found.state), f"It is {found.state}.")
        raise Closed(f"this recording takes nothing more. {reason}")
    return int(found.bundle_id)


def _store(conn: Connection, known: Row[*tuple[object, ...]], batch: Batch) -> None:
    records = _records(batch)
    if not records:
        return
    writer = Writer(known.attempt_id, (known.run_id,), _tensor_ids(conn, known.study_id, batch))
    try:
        store(conn, writer, records)
    except MeasurementConflict as error:
        raise Conflict(str(error)) from error


def _records(batch: Batch) -> list[StepRecord]:
    """The batch, step by step."""
    measured: defaultdict[int, list[Measurement]] = defaultdict(list)
    for row in batch.rows:
        line = batch.tensors[row.tensor]
        measured[row.step].append(Measurement(0, line.name, line.kind, row.measured))
    losses = {loss.step: Progress(0, loss.train, loss.held_out) for loss in batch.losses}
    return [
        StepRecord(step, tuple(measured[step]), (losses[step],) if step in losses else ())
        for step in sorted({*measured, *losses})
    ]


def _tensor_ids(conn: Connection, study_id: str, batch: Batch) -> dict[str, int]:
    """The tensors of a batch by name; those that are new to the study are added to it."""
    query = select(tensor.c.id, tensor.c.name, tensor.c.role).where(tensor.c.study_id == study_id)
    known = {row.name: row for row in conn.execute(query)}
    wrong = [
        f"{line.name} (was {known[line.name].role}, now {line.role.value})"
        for line in batch.tensors
        if line.name in known and known[line.name].role != line.role
    ]
    if wrong:
        named = ", ".join(wrong[:SHOWN_KEYS])
        raise Conflict(f"tensors of this study came before with another role: {named}")
    new = {line.name: line for line in batch.tensors if line.name not in known}
    if len(known) + len(new) > ingest.MOST_TENSORS:
        raise Conflict(f"a recorded study holds at most {ingest.MOST_TENSORS} tensors")
    ids = {name: row.id for name, row in known.items()}
    rows = [
        {
            "study_id": study_id,
            "name": line.name,
            "role": line.role,
            "ordinal": ordinal,
            "is_judged": int(line.is_judged),
        }
        for ordinal, line in enumerate(new.values(), len(known))
    ]
    if rows:
        added = insert(tensor).returning(tensor.c.id, sort_by_parameter_order=True)
        ids |= zip(new, conn.execute(added, rows).scalars(), strict=True)
    return ids


def _count(conn: Connection, known: Row[*tuple[object, ...]], closing: Closing) -> None:
    """Success is counted, not believed."""
    query = select(recorded_batch.c.seq).where(recorded_batch.c.recording_id == known.id)
    arrived = set(conn.execute(query).scalars())
    missing = closing.batches - sum(seq < closing.batches for seq in arrived)
    if missing:
        # never all numbers at once: the count is what somebody sent
        lacking = (seq for seq in range(closing.batches) if seq not in arrived)
        named = ", ".join(map(str, islice(lacking, SHOWN_KEYS)))
        raise Incomplete(f"{missing} of {closing.batches} batches have not arrived: {named}")
    if len(arrived) > closing.batches:
        raise Incomplete(f"{len(arrived)} batches have arrived, not {closing.batches}")
    held = select(func.count()).where(measurement.c.attempt_id == known.attempt_id)
    found = conn.execute(held).scalar_one()
    if found != closing.rows:
        raise Incomplete(f"{found} measurements are stored, {closing.rows} were sent")


def _end(
    conn: Connection, known: Row[*tuple[object, ...]], bundle_id: int, closing: Closing
) -> None:
    first = _first_nonfinite(conn, known)
    state = RunState(closing.ended)
    if state is RunState.FINISHED and first is not None:
        state = RunState.DIVERGED
    tally = tallies(conn, known.attempt_id, [known.run_id])[known.run_id]
    execution = Execution(known.study_id, bundle_id, known.attempt_id)
    is_result = state in (RunState.FINISHED, RunState.DIVERGED)
    ended = BundleState.FINISHED if is_result else BundleState(state.value)
    reason = closing.reason or None
    conn.execute(
        update(run)
        .where(run.c.id == known.run_id)
        .values(
            state=state,
            accepted_attempt=known.attempt_id,
            row_count=tally.count,
            digest=tally.hex(),
            first_nonfinite_step=first[0] if first else None,
            first_nonfinite_tensor=first[1] if first else None,
            error_text=reason,
            ended_at=now(),
        )
    )
    moved = NewEvent("run_state", known.run_id, RunState.RUNNING, state)
    events.append_all(conn, known.study_id, [moved])
    endings.end_attempt(conn, execution, AttemptState(ended.value), reason=reason)
    endings.end_bundle(conn, bundle_id, ended)


def _first_nonfinite(
    conn: Connection, known: Row[*tuple[object, ...]]
) -> tuple[int, str | None] | None:
    """Step and tensor of the first value that is not finite; a loss has no tensor."""
    query = (
        select(measurement.c.step, tensor.c.name)
        .join(tensor, tensor.c.id == measurement.c.tensor_id)
        .where(measurement.c.attempt_id == known.attempt_id, measurement.c.nonfinite != 0)
        .order_by(measurement.c.step, tensor.c.ordinal)
        .limit(1)
    )
    found = conn.execute(query).first()
    if found is not None:
        return found.step, found.name
    losses = select(func.min(progress.c.step)).where(
        progress.c.attempt_id == known.attempt_id, progress.c.nonfinite != 0
    )
    step = conn.execute(losses).scalar()
    return None if step is None else (step, None)
