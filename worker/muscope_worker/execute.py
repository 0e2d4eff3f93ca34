"""Carry one bundle from its claim to its end: claim, train, record, finish and judge."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import muscope
from muscope.catalogue import MODELS
from muscope.settings import Settings
from muscope.storage import bundles
from muscope.storage.bundles import Claim, LeaseLost, Outcome
from muscope.storage.database import Database
from muscope.storage.measurements import MeasurementConflict
from muscope_worker.heartbeat import Heartbeat
from muscope_worker.judgement import judge_study
from muscope_worker.recorder import Recorder, persist

log = logging.getLogger(__name__)


OUT_OF_MEMORY = "training ran out of memory; take smaller widths or batches, or fewer seeds"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a user reads about a run that failed."""

    code: str
    text: str


class Stopped(RuntimeError):
    """The bundle ends at this step: it was cancelled, or this process is asked to leave."""


@dataclass(frozen=True, slots=True)
class TrainingProcess:
    """The process that trains: who it is, its database, and whether it was asked to stop."""

    settings: Settings
    db: Database
    worker_id: str
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def patience_s(self) -> float:
        """How long a write waits for the database: no longer than the lease can last."""
        return self.settings.lease_s


def next_bundle(process: TrainingProcess) -> bool:
    """Execute the next bundle that is queued, if there is one; say whether there was."""
    process.stop.clear()
    claim = _claim(process)
    if claim is None:
        return False
    log.info("%s: claimed, %d runs", _name(claim), len(claim.members))
    try:
        _execute(process, claim)
    except LeaseLost:
        log.warning("%s: the lease is lost, another worker goes on", _name(claim))
    except DBAPIError as error:
        log.error("%s: the database failed, the lease will expire: %s", _name(claim), error)
    except Exception as error:
        log.exception("%s: failed", _name(claim))
        _fail(process, claim, fault=_fault(error))
    return True


def _claim(process: TrainingProcess) -> Claim | None:
    with process.db.write() as conn:
        return bundles.claim(
            conn,
            worker_id=process.worker_id,
            pid=os.getpid(),
            code_version=muscope.__version__,
            lease_s=process.settings.lease_s,
        )


def _execute(process: TrainingProcess, claim: Claim) -> None:
    recorder = Recorder(process.db, claim, patience_s=process.patience_s)
    heart = Heartbeat(process.db, claim, settings=process.settings)
    try:
        with heart:
            _train(process, claim, recorder, heart)
    except Stopped:
        _stop(process, claim, heart)
    else:
        _finish(process, claim, recorder.outcomes())


def _train(process: TrainingProcess, claim: Claim, recorder: Recorder, heart: Heartbeat) -> None:
    # torch is imported by the process that trains, when it first has something to train
    from muscope.lab import engine

    engine.set_threads(process.settings.threads)
    _describe(process, claim)
    for record in engine.train([member.spec for member in claim.members]):
        recorder.write(record)
        heart.step = record.step
        log.info("%s: step %d recorded", _name(claim), record.step)
        if heart.lost.is_set():
            raise LeaseLost
        if heart.cancelled.is_set() or process.stop.is_set():
            raise Stopped


def _describe(process: TrainingProcess, claim: Claim) -> None:
    from muscope.lab import data, environment  # as above

    here = environment.describe()
    dataset = MODELS[claim.members[0].spec.variant.model.name].dataset
    with process.db.write() as conn:
        bundles.describe_attempt(
            conn,
            claim,
            torch_version=here.torch_version,
            device=here.device,
            data_digest=data.digest(dataset),
        )


def _stop(process: TrainingProcess, claim: Claim, heart: Heartbeat) -> None:
    """The signal does not say why; the database does."""
    if heart.cancelled.is_set() or _is_cancelled(process, claim):
        _end(process, claim, lambda conn: bundles.cancelled(conn, claim))
        log.info("%s: cancelled", _name(claim))
        return
    with process.db.write() as conn:
        bundles.hand_back(conn, claim)
    log.info("%s: handed back", _name(claim))


def _finish(process: TrainingProcess, claim: Claim, outcomes: list[Outcome]) -> None:
    _end(process, claim, lambda conn: bundles.finish(conn, claim, outcomes))
    log.info("%s: finished", _name(claim))


def _fail(process: TrainingProcess, claim: Claim, *, fault: Fault) -> None:
    """First the failure, then the judgement: it may be the judgement that failed."""

    def transaction() -> None:
        with process.db.write() as conn:
            bundles.fail(conn, claim, code=fault.code, text=fault.text)

    persist(transaction, patience_s=process.patience_s)
    with process.db.write() as conn:
        judge_study(conn, claim.study_id)


def _is_cancelled(process: TrainingProcess, claim: Claim) -> bool:
    with process.db.write() as conn:
        return bundles.heartbeat(conn, claim, lease_s=process.settings.lease_s, step=None)


def _end(process: TrainingProcess, claim: Claim, ending: Callable[[Connection], None]) -> None:
    """End the bundle and judge its study in one transaction.

    Repeated after an unknown commit, the fence refuses it: then the first one had succeeded.
    """

    def transaction() -> None:
        with process.db.write() as conn:
            ending(conn)
            judge_study(conn, claim.study_id)

    persist(transaction, patience_s=process.patience_s)


def _fault(error: Exception) -> Fault:
    match error:
        case MeasurementConflict():
            return Fault("E_CONFLICT", str(error))
        case _ if _is_out_of_memory(error):
            return Fault("E_OUT_OF_MEMORY", f"{OUT_OF_MEMORY} ({error})")
        case ValueError():
            return Fault("E_SPEC", str(error))
        case _:
            return Fault("E_LAB", f"{type(error).__name__}: {error}")


def _is_out_of_memory(error: Exception) -> bool:
    """torch says it with a RuntimeError, on the CPU in one of two wordings."""
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(part in str(error) for part in words)


def _name(claim: Claim) -> str:
    return f"study {claim.study_id} bundle {claim.bundle_id} attempt {claim.attempt_no}"
