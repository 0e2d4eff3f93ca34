"""`muscope up` and `muscope worker` as real processes, and what a test wants to know of them."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from muscope import dispatch
from muscope.lab import engine
from muscope.plan import PlannedBundle, plan
from muscope.settings import Settings
from muscope.spec import StudySpec
from muscope.storage import bundles, doctor, studies, verdicts, workers
from muscope.storage.bundles import LiveAttempt
from muscope.storage.database import Database
from muscope.storage.measurements import RunDigest
from muscope.storage.studies import RunRow

Found = TypeVar("Found")

IMPATIENT = {
    "MUSCOPE_LEASE_S": "15",
    "MUSCOPE_HEARTBEAT_S": "0.3",
    "MUSCOPE_REAP_S": "0.3",
    "MUSCOPE_RESEND_S": "1",
    "MUSCOPE_THREADS": "1",
}
"""Quick to look, slow to give up on a busy machine; one thread, as the reference has."""


def until(look: Callable[[], Found | None], *, within_s: float, what: str) -> Found:
    """Look until there is something to see; fail when the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s:.0f} s: {what}")


class Command:
    """A muscope command as a subprocess whose lines can be read as they come."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "muscope", *arguments],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, pattern: str, *, within_s: float) -> str:
        """The first line that matches, printed already or soon."""

        def matching() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        try:
            return until(matching, within_s=within_s, what=f"a line like {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it printed:\n" + "\n".join(self.lines)) from None

    def end(self, *, within_s: float) -> int:
        """Wait for the end; give the exit code."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{error}; it printed:\n" + "\n".join(self.lines)) from None
        self._reader.join(5.0)
        return code

    def family(self) -> list[psutil.Process]:
        """The process and everything that it has started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def close(self) -> None:
        """End whatever is left, by the ids of what this command started."""
        if self.process.poll() is None:
            family = self.family()
            self.process.send_signal(signal.SIGTERM)
            _, alive = psutil.wait_procs(family, timeout=10)
            for process in alive:
                process.kill()
        self.end(within_s=5)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))


@contextmanager
def command(*arguments: str, env: dict[str, str]) -> Iterator[Command]:
    """A muscope command that is ended with the block."""
    running = Command(*arguments, env=env)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def up(data_dir: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Command]:
    """`muscope up` on a free port."""
    options = ("up", "--port", "0", "--data-dir", str(data_dir), *arguments)
    with command(*options, env={**IMPATIENT, **(env or {})}) as running:
        yield running


def submit(db: Database, settings: Settings, spec: StudySpec) -> str:
    """Store a study, then send its bundles, as the server does."""
    with db.write() as conn:
        study_id, _ = studies.create(conn, spec, plan(spec))
    with db.write() as conn:
        waiting = bundles.queued_ids(conn, study_id)
        bundles.mark_sent(conn, waiting)
    dispatch.send(dispatch.celery_app(settings), waiting)
    return study_id


def finished(db: Database, study_id: str, *, within_s: float) -> list[RunRow]:
    """The runs of a study when all have ended and it is judged; the doctor must be content."""

    def look() -> list[RunRow] | None:
        with db.read() as conn:
            study = studies.get(conn, study_id)
            over = study is not None and all(state.is_terminal for state in study.counts)
            if not over or study_id in verdicts.unjudged(conn):
                return None
            assert doctor.violations(conn) == []
            return studies.runs(conn, study_id)

    return until(look, within_s=within_s, what=f"the end of study {study_id}")


def training(db: Database) -> LiveAttempt | None:
    """What is being trained now, once it has recorded a step."""
    with db.read() as conn:
        for worker in workers.all_workers(conn):
            for attempt in bundles.live_attempts(conn, worker.id):
                if attempt.last_step_at is not None:
                    return attempt
    return None


def reference(spec: StudySpec) -> list[str]:
    """The digests of an undisturbed execution, in the order of the runs."""
    engine.set_threads(1)
    return [digest.hex() for bundle in plan(spec).bundles for digest in _digests(bundle)]


def _digests(bundle: PlannedBundle) -> list[RunDigest]:
    digests = [RunDigest() for _ in bundle.runs]
    for record in engine.train(bundle.runs):
        for row in record.measurements:
            digests[row.member].add(record.step, row.tensor, row.kind, row.values)
    return digests
