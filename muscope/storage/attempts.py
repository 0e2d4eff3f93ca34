"""What executes, what executed, and on what: for the pages of workers and the report."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from muscope.storage.planting import RECORDER_QUEUE
from muscope.storage.tables import attempt, bundle, run, study
from muscope.vocabulary import AttemptState, BundleState


@dataclass(frozen=True, slots=True)
class RunningBundle:
    """A bundle that a worker trains now."""

    worker_id: str
    bundle_id: int
    study_id: str
    study_name: str
    step: int | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """On what an attempt ran; an attempt that never got so far says nothing."""

    device: str
    torch_version: str
    code_version: str
    data_digest: str
    threads: int | None
    matmul_precision: str | None


def running(conn: Connection) -> list[RunningBundle]:
    """Every live attempt of a worker, with its study."""
    query = (
        select(attempt, study.c.id.label("study_id"), study.c.name.label("study_name"))
        .join(bundle, bundle.c.id == attempt.c.bundle_id)
        .join(study, study.c.id == bundle.c.study_id)
        .where(attempt.c.state == AttemptState.RUNNING, bundle.c.queue != RECORDER_QUEUE)
        .order_by(attempt.c.id)
    )
    return [
        RunningBundle(row.worker_id, row.bundle_id, row.study_id, row.study_name, row.last_step)
        for row in conn.execute(query)
    ]


def bundle_ids(conn: Connection, study_id: str) -> list[int]:
    """The bundles of a study in the order of its plan, so that each has a position in it."""
    query = select(bundle.c.id).where(bundle.c.study_id == study_id).order_by(bundle.c.id)
    return list(conn.execute(query).scalars())


def waiting(conn: Connection) -> int:
    """How many bundles wait for a worker."""
    query = select(func.count()).select_from(bundle).where(bundle.c.state == BundleState.QUEUED)
    return int(conn.execute(query).scalar_one())


def given_back(conn: Connection, study_id: str) -> str | None:
    """Why the latest attempt at a bundle that waits again has ended."""
    query = (
        select(attempt.c.end_reason)
        .join(bundle, bundle.c.id == attempt.c.bundle_id)
        .where(
            bundle.c.study_id == study_id,
            bundle.c.state == BundleState.QUEUED,
            attempt.c.attempt_no == bundle.c.attempt_no,
        )
        .order_by(attempt.c.ended_at.desc())
        .limit(1)
    )
    return conn.execute(query).scalar()


def surroundings(conn: Connection, study_id: str) -> list[Surroundings]:
    """On what the attempts of a study ran, and those it reuses, each combination once."""
    columns = (
        attempt.c.device, attempt.c.torch_version, attempt.c.code_version, attempt.c.data_digest,
        attempt.c.threads, attempt.c.matmul_precision,
    )  # fmt: skip
    bundles = select(bundle.c.id).where(bundle.c.study_id == study_id)
    kept = select(run.c.accepted_attempt).where(
        run.c.study_id == study_id, run.c.reuses.is_not(None)
    )
    own, reused = attempt.c.bundle_id.in_(bundles), attempt.c.id.in_(kept)
    query = (
        select(*columns)
        .distinct()
        .where(attempt.c.device.is_not(None), or_(own, reused))
        .order_by(*columns)
    )
    return [
        Surroundings(
            device=row.device,
            torch_version=row.torch_version,
            code_version=row.code_version,
            data_digest=row.data_digest,
            threads=row.threads,
            matmul_precision=row.matmul_precision,
        )
        for row in conn.execute(query)
    ]
