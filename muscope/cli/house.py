"""What `muscope up` does: look around, open the house, show the demo, close the house."""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from muscope import access, dispatch
from muscope.cli import demo as demo_study
from muscope.cli import preflight, stopping, supervise, terminal
from muscope.cli.preflight import Refusal
from muscope.cli.stopping import Stopping
from muscope.cli.supervise import Part
from muscope.recorded import RecordedSpec
from muscope.reports.verdict_table import verdict_table
from muscope.settings import Settings
from muscope.storage import bundles, schema, studies, verdicts, workers
from muscope.storage.database import Database, open_database
from muscope.storage.disk import DiskFull
from muscope.storage.schema import SchemaError
from muscope.verdicts import acceptance

TICK_S = 0.1
GRACE_S = 20.0
"""Longer than the worker's soft shutdown; an idle house closes in a second or two."""

GREETING_S = 30.0
"""The demo is shown below the address; after this long without an answer, without it."""

PART_NAMES = ("server", "worker")


def run(settings: Settings, *, demo: bool | None, leave: bool) -> int:
    """Keep the house open until a signal, or until the demo has ended; give the exit code."""
    with _data_dir(settings) as settled, stopping.by_signal() as stop, _database(settled) as db:
        preflight.clear_broker(settled.broker_dir)
        wants_demo = _is_empty(db) if demo is None else demo
        with _parts(settled, stop) as parts:
            house = House(settled, db, parts)
            return house.live(stop, demo=wants_demo, leave=leave)


@contextmanager
def _data_dir(settings: Settings) -> Iterator[Settings]:
    """Refuse with one sentence what would fail later; hold the folder and settle on a port.

    The folder first: a port that is taken by a muscope on the same folder is told as that.
    """
    preflight.torch_is_installed()
    preflight.data_dir_is_usable(settings.data_dir)
    with preflight.lock(settings.data_dir) as held:
        port = preflight.free_port(settings.host, settings.port)
        settled = settings.model_copy(update={"port": port})
        preflight.sign(held, _origin(settled))
        yield settled


class House:
    """The running parts, the demo that is followed, and what is told meanwhile."""

    def __init__(self, settings: Settings, db: Database, parts: list[Part]) -> None:
        self._settings, self._db, self._parts = settings, db, parts
        self._console = terminal.console()
        self._opened_at = time.monotonic()
        self._has_greeted = False

    def live(self, stop: Stopping, *, demo: bool, leave: bool) -> int:
        """Tend the parts until told to stop."""
        watch = self._submit_demo() if demo else None
        while not stop.asked.wait(TICK_S):
            for part in self._parts:
                part.tend(self._tell)
            self._greet()
            if watch and self._may_show() and watch.poll():
                code = self._conclude(watch.study_id)
                watch = None
                if leave:
                    return code
                self._tell_address()
        if watch:
            watch.close()
        self._tell(self._goodbye())
        return 1 if leave else 0

    def _greet(self) -> None:
        """Print the address once, when the server answers."""
        if self._has_greeted or not _answers(self._settings):
            return
        self._has_greeted = True
        self._tell_address()
        self._tell(f"data and logs: {self._settings.data_dir} · Ctrl-C stops everything")

    def _may_show(self) -> bool:
        return self._has_greeted or time.monotonic() > self._opened_at + GREETING_S

    def _tell_address(self) -> None:
        self._tell(f"muscope is running: {access.url(self._settings)}")

    def _goodbye(self) -> str:
        """What is waited for, if anything is being trained."""
        with self._db.read() as conn:
            names = [worker.id for worker in workers.all_workers(conn)]
            is_training = any(bundles.live_attempts(conn, name) for name in names)
        if not is_training:
            return "stopping"
        return "stopping: the worker finishes its step; Ctrl-C again stops at once"

    def _submit_demo(self) -> demo_study.Watch:
        study_id = demo_study.submit(self._db, dispatch.celery_app(self._settings))
        return demo_study.Watch(self._db, study_id, self._console)

    def _conclude(self, study_id: str) -> int:
        """Print the verdict table and what is wrong with it, if anything is."""
        with self._db.read() as conn:
            study, judged = studies.get(conn, study_id), verdicts.of_study(conn, study_id)
        if study is None or isinstance(study.spec, RecordedSpec) or not judged:
            self._tell("the demo ended without a verdict")
            return 1
        self._console.print(verdict_table(judged))
        complaints = acceptance.complaints(study.spec, judged)
        for complaint in complaints:
            self._tell(f"not as expected: {complaint}")
        return 1 if complaints else 0

    def _tell(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    db = open_database(settings)
    try:
        schema.upgrade(db)
        yield db
    except SchemaError as error:
        raise Refusal(str(error)) from error
    except DiskFull as error:
        raise Refusal(f"{db.name}: {error}") from error
    finally:
        db.close()


@contextmanager
def _parts(settings: Settings, stop: Stopping) -> Iterator[list[Part]]:
    """Server and worker, started; ended with the block, whatever happened in it."""
    logs = settings.data_dir / "logs"
    logs.mkdir(exist_ok=True, mode=0o700)
    parts = [Part(name, env=_environment(settings), logs=logs) for name in PART_NAMES]
    try:
        for part in parts:
            part.start()
        yield parts
    finally:
        supervise.stop(parts, grace_s=GRACE_S, at_once=stop.at_once)


def _environment(settings: Settings) -> dict[str, str]:
    """The environment of a part: ours, with what the options of `up` have changed."""
    return {
        **os.environ,
        "MUSCOPE_HOST": settings.host,
        "MUSCOPE_PORT": str(settings.port),
        "MUSCOPE_DATA_DIR": str(settings.data_dir),
        "PYTHONUNBUFFERED": "1",
    }


def _is_empty(db: Database) -> bool:
    with db.read() as conn:
        return studies.count(conn) == 0


def _origin(settings: Settings) -> str:
    """Where a browser on this machine finds the server, wherever else it listens."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def _answers(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"{_origin(settings)}/api/v1/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
