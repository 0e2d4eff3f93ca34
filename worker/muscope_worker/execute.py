"""Carry one bundle from its claim to its end: claim, train, record, finish; then judge."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import muscope
from muscope import plan
from muscope.budget import Budget
from muscope.catalogue import DatasetUnavailable
from muscope.plugins import PluginError
from muscope.recorded import RecordedSpec
from muscope.reports import formats
from muscope.settings import Settings
from muscope.stages import hopeless
from muscope.storage import budgets, bundles, disk, studies, workers
from muscope.storage.bundles import Claim, Counted, LeaseLost, Outcome
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope.storage.measurements import MeasurementConflict
from muscope_worker import checkpoint_note, introduction
from muscope_worker.checkpoint_folder import CheckpointFolder
from muscope_worker.checkpoint_note import Surroundings
from muscope_worker.checkpoints import Checkpoints
from muscope_worker.heartbeat import Heartbeat
from muscope_worker.judgement import catch_up
from muscope_worker.recorder import Recorder, persist

log = logging.getLogger(__name__)

ROOM_AGAIN_S = 15.0
"""After a full disk a bundle waits so long before its next try."""
ROOM_TICK_S = 1.0

TAKE_LESS = "take smaller widths or batches"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a user reads about a run that failed."""

    code: str
    text: str


class OutOfMemory(RuntimeError):
    """Training took more than there is; the message says what was planned and what was free."""


class Stopped(RuntimeError):
    """The bundle ends at this step: it was cancelled, or this process is asked to leave."""


@dataclass(frozen=True, slots=True)
class TrainingProcess:
    """The process that trains: who it is, its database, and whether it was asked to stop.

    `tell` spreads the word of bundles that it put into the queue; without it the reapers do. It can
    run what needs the `plugins` of these keys.
    """

    settings: Settings
    db: Database
    worker_id: str
    tell: Callable[[list[int]], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    plugins: set[str] = field(default_factory=set)

    @property
    def patience_s(self) -> float:
        """How long a write waits for the database: no longer than the lease can last."""
        return self.settings.lease_s


def next_bundle(process: TrainingProcess) -> bool:
    """Execute the next bundle that is queued, if there is one; say whether there was."""
    process.stop.clear()
    shortage = disk.shortage(process.db.url)
    if shortage is not None:
        log.error("nothing is claimed from %s: %s", process.db.name, shortage)
        return False
    asked_at = time.monotonic()
    claim = _claim(process)
    if claim is None:
        return False
    log.info("%s: claimed, %d runs", _name(claim), len(claim.members))
    try:
        _execute_or_fail(process, claim, held_since=asked_at)
    except LeaseLost:
        log.warning("%s: the lease is lost, another worker goes on", _name(claim))
    except DiskFull as error:
        log.error("%s: %s", _name(claim), error)
        _give_back(process, claim, reason=str(error))
    except DBAPIError as error:
        log.error("%s: the database failed, the lease will expire: %s", _name(claim), error)
    _sweep(process)
    # The bundle has ended: a judgement that fails is told by the log, and asked for again.
    process.tell(catch_up(process.db, claim.study_id, patience_s=process.patience_s))
    return True


def _execute_or_fail(process: TrainingProcess, claim: Claim, *, held_since: float) -> None:
    """What is no matter of the database ends the bundle, or splits it."""
    try:
        _execute(process, claim, held_since=held_since)
    except (LeaseLost, DiskFull, DBAPIError):
        raise
    except OutOfMemory as error:
        log.warning("%s: %s", _name(claim), error)
        _try_fewer(process, claim, str(error))
    except Exception as error:
        log.exception("%s: failed", _name(claim))
        _fail(process, claim, _fault(error))


def _sweep(process: TrainingProcess) -> None:
    """Checkpoints of bundles that have ended go; the supervisor sees to what is left."""
    try:
        CheckpointFolder(process.settings).sweep(process.db)
    except (DBAPIError, OSError) as error:
        log.warning("checkpoints are not looked through: %s", error)


def _claim(process: TrainingProcess) -> Claim | None:
    with process.db.write() as conn:
        return bundles.claim(
            conn,
            worker_id=process.worker_id,
            pid=os.getpid(),
            code_version=muscope.__version__,
            lease_s=process.settings.lease_s,
            have=process.plugins,
        )


def _execute(process: TrainingProcess, claim: Claim, *, held_since: float) -> None:
    # torch is imported by the process that trains, when it first has something to train
    from muscope.lab import ensemble, environment

    free = environment.free_bytes()
    claim = _what_fits(process, claim, free)
    try:
        _carry_out(process, claim, held_since=held_since)
    except (RuntimeError, MemoryError) as error:
        if not ensemble.is_out_of_memory(error):
            raise
        next_try = TAKE_LESS if len(claim.members) == 1 else "fewer are tried together"
        text = f"training ran out of memory: {_needs(claim, free)}; {next_try} ({error})"
        raise OutOfMemory(text) from error


def _what_fits(process: TrainingProcess, claim: Claim, free: int) -> Claim:
    """As many of the runs as the plan says fit; a single one is tried, the plan may be wrong."""
    members = [member.spec for member in claim.members]
    most = plan.fitting(members, free)
    if most == len(members):
        if plan.together(members).memory_bytes > plan.USABLE * free:
            log.warning("%s: tried all the same: %s", _name(claim), _needs(claim, free))
        return claim
    text = f"{_needs(claim, free)}; at most {most} are trained together"
    log.info("%s: %s", _name(claim), text)

    def set_apart() -> None:
        with process.db.write() as conn:
            bundles.set_apart(conn, claim, most=most, text=text)

    persist(set_apart, patience_s=process.patience_s)
    return replace(claim, members=claim.members[:most])


def _needs(claim: Claim, free: int) -> str:
    planned = plan.together([member.spec for member in claim.members])
    runs = f"{len(planned.runs)} runs need" if len(planned.runs) > 1 else "the run needs"
    need = formats.size(planned.memory_bytes)
    return f"{runs} {need} by the plan, {formats.size(free)} were free"


def _carry_out(process: TrainingProcess, claim: Claim, *, held_since: float) -> None:
    recorder = Recorder(process.db, claim, patience_s=process.patience_s)
    heart = Heartbeat(process.db, claim, settings=process.settings, held_since=held_since)
    try:
        with heart, recorder:
            rule = _rule(process, claim)
            budget = _train(process, claim, recorder, heart, rule)
            counted = _count(process, claim, recorder.outcomes(_notes(claim, rule)))
    except Stopped:
        _stop(process, claim, heart)
    else:
        _finish(process, claim, counted, budget)


def _rule(process: TrainingProcess, claim: Claim) -> hopeless.Rule | None:
    """What stops runs of an adaptive search half-way; other studies train all to the end."""
    with process.db.read() as conn:
        study = studies.get(conn, claim.study_id)
    members = [member.spec for member in claim.members]
    if study is None or isinstance(study.spec, RecordedSpec) or study.spec.search != "adaptive":
        return None
    is_of_sweep = members[0].record == "losses"
    return hopeless.Rule(members) if is_of_sweep else None


def _notes(claim: Claim, rule: hopeless.Rule | None) -> dict[int, str]:
    stopped = () if rule is None else rule.stopped
    return {place: hopeless.note(claim.members[place].spec) for place in stopped}


def _train(
    process: TrainingProcess,
    claim: Claim,
    recorder: Recorder,
    heart: Heartbeat,
    rule: hopeless.Rule | None,
) -> Budget:
    from muscope.lab import data  # as above

    introduction.set_threads(process.db, process.worker_id, threads=process.settings.threads)
    data.use(data.Places(process.settings.datasets_folder, process.settings.huggingface_allowed))
    checkpoints = Checkpoints(
        process.settings,
        process.db,
        claim,
        surroundings=_describe(process, claim),
        recorder=recorder,
        rule=rule,
    )
    training, watch = checkpoints.training()
    for record in watch.over(training):
        recorder.write(record)
        heart.step = record.step
        if heart.lost.is_set():
            raise LeaseLost
        if heart.cancelled.is_set():
            raise Stopped
        if process.stop.is_set():
            checkpoints.leave_to_stop(record.step, training, watch)
            raise Stopped
        checkpoints.leave_if_due(record.step, training, watch)
    members = [member.spec for member in claim.members]
    with process.db.read() as conn:
        machine = workers.machine(conn, process.worker_id)
    stopped = () if rule is None else rule.stopped
    return watch.budget(members, machine, hopeless.as_taken(members, stopped))


def _describe(process: TrainingProcess, claim: Claim) -> Surroundings:
    """Write what executes the bundle; with what more there is that decides the numbers."""
    from muscope.lab import data, environment  # as above

    here = environment.describe()
    data_digest = data.digest(claim.members[0].spec.variant.model)
    with process.db.write() as conn:
        bundles.describe_attempt(
            conn,
            claim,
            torch_version=here.torch_version,
            device=here.device,
            data_digest=data_digest,
            threads=here.threads,
            matmul_precision=here.matmul_precision,
        )
    return Surroundings(
        code=checkpoint_note.code(),
        torch=here.torch_version,
        device=here.device,
        processor=environment.processor(),
        matmul_precision=here.matmul_precision,
        data=data_digest,
    )


def _stop(process: TrainingProcess, claim: Claim, heart: Heartbeat) -> None:
    """The signal does not say why; the database does."""
    if heart.cancelled.is_set() or _is_cancelled(process, claim):
        _end(process, lambda conn: bundles.cancelled(conn, claim))
        log.info("%s: cancelled", _name(claim))
        return
    with process.db.write() as conn:
        bundles.hand_back(conn, claim)
    log.info("%s: handed back", _name(claim))


def _count(process: TrainingProcess, claim: Claim, outcomes: list[Outcome]) -> Counted:
    """While the lease is kept: of a long study it takes seconds."""
    with process.db.read() as conn:
        return bundles.count(conn, claim, outcomes)


def _finish(process: TrainingProcess, claim: Claim, counted: Counted, budget: Budget) -> None:
    def finish(conn: Connection) -> None:
        budgets.record(conn, claim, budget)
        bundles.finish(conn, claim, counted)

    _end(process, finish)
    log.info("%s: finished", _name(claim))


def _fail(process: TrainingProcess, claim: Claim, fault: Fault) -> None:
    _end(process, lambda conn: bundles.fail(conn, claim, code=fault.code, text=fault.text))


def _try_fewer(process: TrainingProcess, claim: Claim, text: str) -> None:
    _end(process, lambda conn: bundles.out_of_memory(conn, claim, text=text))


def _give_back(process: TrainingProcess, claim: Claim, *, reason: str) -> None:
    """Back to the queue for later; also this needs room, so it is tried until the lease ends."""

    def hand_back(conn: Connection) -> None:
        bundles.hand_back(conn, claim, reason=reason, back_off_s=ROOM_AGAIN_S)

    until = time.monotonic() + process.patience_s
    while time.monotonic() < until:
        try:
            return _end(process, hand_back)
        except DiskFull:
            process.stop.wait(ROOM_TICK_S)
        except LeaseLost:
            break
    log.warning("%s: not handed back, its lease expires", _name(claim))
    return None


def _is_cancelled(process: TrainingProcess, claim: Claim) -> bool:
    with process.db.write() as conn:
        return bundles.heartbeat(conn, claim, lease_s=process.settings.lease_s, step=None)


def _end(process: TrainingProcess, ending: Callable[[Connection], None]) -> None:
    """End the bundle in a transaction of its own.

    Repeated after an unknown commit, the fence refuses it: then the first one had succeeded.
    """

    def transaction() -> None:
        with process.db.write() as conn:
            ending(conn)

    persist(transaction, patience_s=process.patience_s)


def _fault(error: Exception) -> Fault:
    match error:
        case MeasurementConflict():
            return Fault("E_CONFLICT", str(error))
        case PluginError():
            return Fault("E_PLUGIN", str(error))
        case DatasetUnavailable():
            return Fault("E_DATA", str(error))
        case ValueError():
            return Fault("E_SPEC", str(error))
        case _:
            return Fault("E_LAB", f"{type(error).__name__}: {error}")


def _name(claim: Claim) -> str:
    return f"study {claim.study_id} bundle {claim.bundle_id} attempt {claim.attempt_no}"
