"""The studies that recordings make: found by a key, and described anew as they grow."""

import secrets
from collections import defaultdict

from sqlalchemy import Connection, and_, func, insert, select, text, update

from muscope import recorded
from muscope.ingest import Batch, Opening
from muscope.recorded import RecordedSpec, RecordedVariant
from muscope.spec import STORED, canonical_json
from muscope.spec import digest as spec_digest
from muscope.storage import endings, events, planting, studies
from muscope.storage.database import now
from muscope.storage.endings import Execution, Reason
from muscope.storage.leases import lock_study
from muscope.storage.planting import RECORDER_QUEUE
from muscope.storage.tables import attempt, bundle, run, study
from muscope.vocabulary import (
    AttemptState,
    BundleState,
    RunState,
    Statistic,
    StudyIntent,
    TensorKind,
)

FOREVER_S = 100 * 365 * 86_400.0
"""A recording holds its bundle until it is closed: its spool may come back after weeks."""
BEGUN_AGAIN = (
    "Another recording of the same study, variant, width, depth and seed began later and is shown "
    "in its place. Where both were to count, give each a seed or a variant of its own; of several "
    "ranks let one record."
)
_ENDED_BADLY = (RunState.FAILED, RunState.CANCELLED)


class Conflict(ValueError):
    """What was sent contradicts what was sent before; nothing of it is stored."""


def lock_key(conn: Connection, key: str) -> None:
    """Two that begin at once with one key make one study; SQLite has one writer at a time."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": key})


def study_for(conn: Connection, opening: Opening) -> str | None:
    """The newest study with the key, if it still takes this place; its place is freed for it."""
    newest = (
        select(study.c.id, study.c.intent, study.c.deleted_at)
        .where(study.c.recording_key == opening.key)
        .order_by(study.c.created_at.desc(), study.c.id)
        .limit(1)
    )
    found = conn.execute(newest).first()
    if found is None or found.intent != StudyIntent.OPEN or found.deleted_at is not None:
        return None
    lock_study(conn, found.id)
    place = and_(
        run.c.study_id == found.id,
        run.c.variant == opening.variant.key,
        run.c.width == opening.width,
        run.c.depth == opening.depth,
        run.c.seed == opening.seed,
    )
    query = select(run.c.id, run.c.state, run.c.bundle_id).where(place)
    there = conn.execute(query.order_by(run.c.ordinal.desc()).limit(1)).first()
    if there is None:
        return str(found.id)
    if RunState(there.state).is_terminal and there.state not in _ENDED_BADLY:
        return None
    return str(found.id)


def new_study(conn: Connection, opening: Opening) -> str:
    spec = RecordedSpec(
        name=opening.study,
        key=opening.key,
        variants=(opening.variant,),
        widths=(opening.width,),
        depths=(opening.depth,),
        seeds=1,
    )
    study_id = studies.new_id()
    conn.execute(
        insert(study).values(
            id=study_id,
            name=spec.name,
            kind=spec.kind,
            spec_json=canonical_json(spec),
            spec_digest=spec_digest(spec),
            intent=StudyIntent.OPEN,
            recording_key=spec.key,
            created_at=now(),
        )
    )
    events.append(conn, study_id, "study_created")
    return study_id


def new_run(conn: Connection, study_id: str, opening: Opening) -> tuple[int, int]:
    """Run and attempt of a recording; whatever had its place before makes room."""
    replaced = _make_room(conn, study_id, opening)
    bundle_id, attempt_id = _execution(conn, study_id, opening)
    run_id = conn.execute(
        insert(run)
        .values(
            study_id=study_id,
            bundle_id=bundle_id,
            ordinal=planting.runs_so_far(conn, study_id),
            variant=opening.variant.key,
            width=opening.width,
            depth=opening.depth,
            seed=opening.seed,
            spec_json=canonical_json(opening),
            spec_digest=spec_digest(opening),
            state=RunState.RUNNING,
            rerun_of=replaced,
        )
        .returning(run.c.id)
    ).scalar_one()
    events.append(conn, study_id, "run_state", run_id=run_id, to_state=RunState.RUNNING)
    return run_id, attempt_id


def _execution(conn: Connection, study_id: str, opening: Opening) -> tuple[int, int]:
    """Bundle and attempt of a recording, which nobody but its recorder executes."""
    host = opening.environment.get("host", "")[:100]
    worker_id = f"recorder@{host}" if host else "recorder"
    bundle_id = conn.execute(
        insert(bundle)
        .values(
            study_id=study_id,
            queue=RECORDER_QUEUE,
            state=BundleState.RUNNING,
            attempt_no=1,
            lease_token=secrets.token_hex(16),
            lease_until=now() + FOREVER_S,
            worker_id=worker_id,
        )
        .returning(bundle.c.id)
    ).scalar_one()
    attempt_id = conn.execute(
        insert(attempt)
        .values(
            bundle_id=bundle_id,
            attempt_no=1,
            worker_id=worker_id,
            pid=0,
            state=AttemptState.RUNNING,
            started_at=now(),
            code_version=opening.environment.get("muscope", "")[:40],
            torch_version=opening.environment.get("torch", "")[:60] or None,
            device=opening.environment.get("device", "")[:120] or None,
        )
        .returning(attempt.c.id)
    ).scalar_one()
    return bundle_id, attempt_id


def _make_room(conn: Connection, study_id: str, opening: Opening) -> int | None:
    """End the recording that has the place, if any, and let nobody read its rows any more."""
    query = (
        select(run.c.id, run.c.bundle_id, attempt.c.id.label("attempt_id"))
        .join(attempt, attempt.c.bundle_id == run.c.bundle_id)
        .where(
            run.c.study_id == study_id,
            run.c.variant == opening.variant.key,
            run.c.width == opening.width,
            run.c.depth == opening.depth,
            run.c.seed == opening.seed,
        )
        .order_by(run.c.ordinal.desc())
        .limit(1)
    )
    old = conn.execute(query).first()
    if old is None:
        return None
    execution = Execution(study_id, old.bundle_id, old.attempt_id)
    if endings.end_attempt(conn, execution, AttemptState.SUPERSEDED, reason=BEGUN_AGAIN):
        endings.end_bundle(conn, old.bundle_id, BundleState.CANCELLED)
        reason = Reason(text=BEGUN_AGAIN)
        endings.end_runs(conn, study_id, old.bundle_id, RunState.CANCELLED, reason)
    hidden = update(run).where(run.c.id == old.id)
    conn.execute(hidden.values(accepted_attempt=None, row_count=0, digest=None))
    return int(old.id)


def describe(conn: Connection, study_id: str, variant: RecordedVariant) -> None:
    """Let the study's spec say what its runs are."""
    spec = _spec(conn, study_id)
    known = {entry.key: entry for entry in spec.variants}
    known[variant.key] = _merged(known.get(variant.key, variant), variant)
    shown = and_(run.c.study_id == study_id, endings.not_replaced([study_id]))
    query = select(run.c.width, run.c.depth, run.c.seed).where(shown).distinct()
    there = conn.execute(query).all()
    counts = _begun(conn, study_id)
    changes = {
        "variants": tuple(_at_least(one, counts.get(key, 0)) for key, one in known.items()),
        "widths": tuple(sorted({row.width for row in there})),
        "depths": tuple(sorted({row.depth for row in there})),
        "seeds": len({row.seed for row in there}),
    }
    _save(conn, study_id, spec, spec.model_copy(update=changes))


def widen(conn: Connection, study_id: str, batch: Batch) -> None:
    """Let the study's spec say which statistics it holds."""
    seen: defaultdict[TensorKind, set[Statistic]] = defaultdict(set)
    for row in batch.rows:
        seen[batch.tensors[row.tensor].kind].update(row.values)
    spec = _spec(conn, study_id)
    record = recorded.record_of(seen, spec.record)
    _save(conn, study_id, spec, spec.model_copy(update={"record": record}))


def _at_least(variant: RecordedVariant, runs: int) -> RecordedVariant:
    return variant.model_copy(update={"planned_runs": max(variant.planned_runs, runs)})


def _merged(known: RecordedVariant, new: RecordedVariant) -> RecordedVariant:
    """The variant with the larger plan; Conflict where it is described in two ways."""
    if known.model_copy(update={"planned_runs": new.planned_runs}) != new:
        raise Conflict(
            f"the variant {new.label!r} of this study was recorded with other facts (optimizers, "
            "parametrization, heads, ties): give this one another name, or the study another key"
        )
    return _at_least(known, new.planned_runs)


def _begun(conn: Connection, study_id: str) -> dict[str, int]:
    """How many runs of each variant have begun; what was replaced does not count."""
    query = (
        select(run.c.variant, func.count().label("runs"))
        .where(run.c.study_id == study_id, endings.not_replaced([study_id]))
        .group_by(run.c.variant)
    )
    return {row.variant: row.runs for row in conn.execute(query)}


def _spec(conn: Connection, study_id: str) -> RecordedSpec:
    found = conn.execute(select(study.c.spec_json).where(study.c.id == study_id)).scalar_one()
    return RecordedSpec.model_validate_json(found, context=STORED)


def _save(conn: Connection, study_id: str, before: RecordedSpec, spec: RecordedSpec) -> None:
    if spec != before:
        values = {"spec_json": canonical_json(spec), "spec_digest": spec_digest(spec)}
        conn.execute(update(study).where(study.c.id == study_id).values(values))
