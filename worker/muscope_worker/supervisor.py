"""One thread in the worker's parent process: watches the training process and the database.

It is the only sender of signals to the training process, and it never imports torch or scipy.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from celery import Celery
from sqlalchemy.exc import DBAPIError

from muscope import dispatch
from muscope.settings import Settings
from muscope.storage import bundles, reap, staging, verdicts, workers
from muscope.storage.bundles import LiveAttempt
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope.storage.workers import WorkerRow
from muscope_worker.checkpoint_folder import CheckpointFolder
from muscope_worker.fork_gate import ForkGate
from muscope_worker.heartbeat import EXIT_FENCED

log = logging.getLogger(__name__)

TICK_S = 1.0
DRAIN_TICK_S = 0.1
JUDGE_AGAIN_S = 60.0
NEVER = float("-inf")
GRACE_S = 5.0
"""From SIGTERM to SIGKILL, of what was cancelled."""
DRAIN_S = 15.0
"""The same, of what is to be handed back: then its next step has to wait for another worker."""


class Supervisor(threading.Thread):
    """Keeps the worker's row, re-sends what is queued, and ends what must end."""

    def __init__(self, app: Celery, db: Database, *, settings: Settings, row: WorkerRow) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._app, self._settings, self._row = app, settings, row
        self._gate = ForkGate(db)
        self._tick_s = min(TICK_S, settings.heartbeat_s)
        self._exits: dict[int, int] = {}
        self._asked_at: dict[int, float] = {}
        self._killed: dict[int, str] = {}
        self._judgement_at: dict[str, float] = {}
        self._reaped_at = NEVER
        self._draining = threading.Event()

    def note_exit(self, pid: int, exitcode: int) -> None:
        """The pool tells that a training process has ended, and how."""
        self._exits[pid] = exitcode

    def drain(self) -> None:
        """Have running bundles handed back at their next step; called by signals, so no waiting."""
        if not self._draining.is_set():
            self._draining.set()

    def run(self) -> None:
        """Tick until the process ends; a database or broker that is away is waited for."""
        with self._tolerance():
            self.forget_the_dead()
        while True:
            with self._tolerance():
                self.tick()
            if self._draining.is_set():
                time.sleep(DRAIN_TICK_S)
            else:
                self._draining.wait(self._tick_s)

    @contextmanager
    def _tolerance(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, DiskFull, *dispatch.BROKER_ERRORS) as error:
            log.warning("the supervisor goes on without database or broker: %s", error)
        except Exception:
            # who supervises must not be the one who dies unseen; the next look may succeed
            log.exception("the supervisor failed, and goes on")

    def tick(self) -> None:
        """Look once at everything that this worker executes, and now and then at the queue."""
        with self._gate.database() as db, db.read() as conn:
            live = bundles.live_attempts(conn, self._row.id)
        for attempt in live:
            self._watch(attempt)
        if time.monotonic() >= self._reaped_at + self._settings.reap_s:
            self._reaped_at = time.monotonic()
            self._reap()

    def forget_the_dead(self) -> None:
        """Attempts of this worker's former life need not wait for their leases."""
        with self._gate.database() as db:
            with db.read() as conn:
                live = bundles.live_attempts(conn, self._row.id)
            for attempt in live:
                if not _is_alive(attempt.pid):
                    self._forget(db, attempt)

    def _forget(self, db: Database, attempt: LiveAttempt) -> None:
        """In a transaction of its own: nobody may hold the locks of two studies."""
        reason = "the worker was started anew; its former process is gone"
        log.warning("bundle %s: %s", attempt.bundle_id, reason)
        with db.write() as conn:
            bundles.lost(conn, attempt.attempt_id, reason=reason, counts_as_loss=False)

    def _watch(self, attempt: LiveAttempt) -> None:
        if attempt.pid in self._exits or not _is_alive(attempt.pid):
            self._bury(attempt)
        elif attempt.cancel_requested:
            self._ask_to_stop(attempt, "it was cancelled")
        elif self._draining.is_set():
            self._ask_to_stop(attempt, "the worker is stopping")
        elif attempt.idle_s > self._settings.stall_s:
            self._kill(attempt, f"no step for {attempt.idle_s:.0f} s")

    def _bury(self, attempt: LiveAttempt) -> None:
        code = self._exits.pop(attempt.pid, None)
        code = _exit_code(attempt.pid) if code is None else code
        how = self._killed.pop(attempt.pid, None) or _how(code)
        reason = f"the training process {attempt.pid} ended: {how}"
        log.error("bundle %s: %s", attempt.bundle_id, reason)
        # who could not renew the lease ended itself, or could not be waited for: that says
        # nothing against the runs
        counts = code != EXIT_FENCED and not self._draining.is_set()
        with self._gate.database() as db, db.write() as conn:
            bundles.lost(conn, attempt.attempt_id, reason=reason, counts_as_loss=counts)
        self._asked_at.pop(attempt.attempt_id, None)

    def _ask_to_stop(self, attempt: LiveAttempt, why: str) -> None:
        asked_at = self._asked_at.setdefault(attempt.attempt_id, time.monotonic())
        grace_s = GRACE_S if attempt.cancel_requested else DRAIN_S
        if time.monotonic() > asked_at + grace_s:
            self._kill(attempt, why)
        else:
            log.info("bundle %s: training is asked to stop: %s", attempt.bundle_id, why)
            _signal(attempt.pid, signal.SIGTERM)

    def _kill(self, attempt: LiveAttempt, why: str) -> None:
        log.error("bundle %s: training is killed: %s", attempt.bundle_id, why)
        self._killed[attempt.pid] = f"killed, {why}"
        _signal(attempt.pid, signal.SIGKILL)

    def _reap(self) -> None:
        with self._gate.database() as db:
            with db.write() as conn:
                if not workers.still_alive(conn, self._row):
                    workers.beat(conn, self._row)
            waiting = reap.reap(db, resend_s=self._settings.resend_s)
            with db.read() as conn:
                lacking = [*verdicts.unjudged(conn), *staging.due(conn)]
        if waiting:
            dispatch.send(self._app, waiting)
        self._ask_for_judgement(list(dict.fromkeys(lacking)))
        with self._gate.database() as db:
            CheckpointFolder(self._settings).sweep(db)

    def _ask_for_judgement(self, unjudged: list[str]) -> None:
        """Now and then: a training process that is busy for long finds one message, not many.

        Whoever judges a study lets its next stage begin too.
        """
        now_s = time.monotonic()
        asked_at = {one: at for one, at in self._judgement_at.items() if one in unjudged}
        due = [one for one in unjudged if now_s > asked_at.get(one, NEVER) + JUDGE_AGAIN_S]
        self._judgement_at = asked_at | dict.fromkeys(due, now_s)
        dispatch.send_judgement(self._app, due)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.info("process %s has ended by itself", pid)


def _exit_code(pid: int) -> int | None:
    """How a child ended that its pool has not fetched yet; it stays there for the pool."""
    try:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _how(exitcode: int | None) -> str:
    if exitcode is None:
        return "nobody saw how"
    if exitcode < 0:
        return signal.Signals(-exitcode).name
    return f"exit code {exitcode}"
