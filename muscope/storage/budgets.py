"""What every bundle took: written by the attempt that executed it, read per study."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, and_, func, select, update

from muscope.budget import Budget
from muscope.spec import RunSpec
from muscope.storage import plugins
from muscope.storage.leases import Claim, prove
from muscope.storage.planting import RECORDER_QUEUE
from muscope.storage.tables import attempt, bundle, run
from muscope.vocabulary import BundleState

_TAKEN = (
    "device", "threads", "matmul_precision", "warm_up_s", "train_s", "planned_s", "flops",
    "peak_bytes", "ceiling", "fraction",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BundleBudget:
    """A bundle as its study counts it, with the budget of its latest attempt once it is known.

    One that is `reused` was trained for another study; so many of its runs are this one's too.
    """

    number: int
    bundle_id: int
    state: BundleState
    spec: RunSpec
    runs: int
    planned_bytes: int
    device: str | None
    threads: int | None
    matmul_precision: str | None
    budget: Budget | None
    reused: bool = False


def record(conn: Connection, claim: Claim, budget: Budget) -> None:
    """Write what an attempt took, under its lease."""
    prove(conn, claim)
    conn.execute(
        update(attempt)
        .where(attempt.c.id == claim.attempt_id)
        .values(
            warm_up_s=budget.warm_up_s,
            train_s=budget.train_s,
            planned_s=budget.planned_s,
            flops=budget.flops,
            peak_bytes=budget.peak_bytes,
            ceiling=budget.ceiling,
            fraction=budget.fraction,
        )
    )


def of_study(conn: Connection, study_id: str) -> list[BundleBudget]:
    """Every bundle of a study in the order of its plan; what was recorded elsewhere has none."""
    first = (
        select(run.c.bundle_id, func.min(run.c.id).label("run_id"), func.count().label("runs"))
        .where(run.c.study_id == study_id)
        .group_by(run.c.bundle_id)
        .subquery()
    )
    query = (
        select(
            bundle.c.id.label("bundle_id"),
            bundle.c.state.label("bundle_state"),
            bundle.c.need_memory,
            bundle.c.study_id,
            run.c.spec_json,
            first.c.runs,
            *(attempt.c[name] for name in _TAKEN),
        )
        .join(first, first.c.bundle_id == bundle.c.id)
        .join(run, run.c.id == first.c.run_id)
        .outerjoin(
            attempt,
            and_(attempt.c.bundle_id == bundle.c.id, attempt.c.attempt_no == bundle.c.attempt_no),
        )
        .where(bundle.c.queue != RECORDER_QUEUE)
        .order_by(bundle.c.study_id != study_id, bundle.c.id)
    )
    rows = conn.execute(query).all()
    plugins.teach(conn, *(row.spec_json for row in rows))
    return [
        BundleBudget(
            number=number,
            bundle_id=row.bundle_id,
            state=BundleState(row.bundle_state),
            spec=RunSpec.model_validate_json(row.spec_json),
            runs=row.runs,
            planned_bytes=row.need_memory,
            device=row.device,
            threads=row.threads,
            matmul_precision=row.matmul_precision,
            budget=_budget(row),
            reused=row.study_id != study_id,
        )
        for number, row in enumerate(rows, start=1)
    ]


def _budget(row: Row[*tuple[object, ...]]) -> Budget | None:
    """What the latest attempt of a bundle took, if it got so far."""
    if row.train_s is None:
        return None
    return Budget(
        warm_up_s=row.warm_up_s,
        train_s=row.train_s,
        flops=row.flops,
        peak_bytes=row.peak_bytes,
        planned_s=row.planned_s,
        ceiling=row.ceiling,
        fraction=row.fraction,
    )


def shapes(conn: Connection, study_id: str) -> list[RunSpec]:
    """One run of every variant in every bundle of a study: where in its grid it has begun."""
    first = (
        select(func.min(run.c.id))
        .where(run.c.study_id == study_id)
        .group_by(run.c.bundle_id, run.c.variant)
    )
    found = conn.execute(select(run.c.spec_json).where(run.c.id.in_(first))).scalars().all()
    plugins.teach(conn, *found)
    return [RunSpec.model_validate_json(text) for text in found]
