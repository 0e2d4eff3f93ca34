"""A worker stops soon, whatever its main thread was doing when the signal came."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from muscope.settings import Settings
from muscope.storage import doctor, schema, studies
from muscope.storage.database import open_database
from muscope.vocabulary import RunState
from tests.e2e import house
from tests.worker.studies import tiny

pytestmark = pytest.mark.e2e

INTERRUPTED_WHILE_IT_LOGS = """
import logging, os, signal, sys, time
from muscope.settings import Settings
from muscope.storage import bundles
from muscope.storage.database import Database
from muscope_worker import app

settings, received = Settings(), []

def wait_for_training():
    db = Database(settings.database)
    while True:
        with db.read() as conn:
            live = bundles.live_attempts(conn, sys.argv[1])
        if live and live[0].last_step_at:
            return
        time.sleep(0.05)

class Interrupted(logging.StreamHandler):
    def emit(self, record):  # the main thread holds the lock of the log in here
        super().emit(record)
        if record.name == "celery.worker.strategy":
            received.append(record)
            if len(received) == 2:
                wait_for_training()
                print("asked to stop", time.monotonic(), flush=True)
                os.kill(os.getpid(), signal.SIGTERM)

logging.basicConfig(level=logging.INFO, handlers=[Interrupted(sys.stdout)])
code = app.run(settings, name=sys.argv[1].partition("@")[0])
print("stopped", time.monotonic(), flush=True)
raise SystemExit(code)
"""


def test_a_signal_in_the_middle_of_a_log_line_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCOPE_DATA_DIR", str(tmp_path))
    settings = Settings()
    db = open_database(settings)
    schema.upgrade(db)
    study_id = house.submit(db, settings, tiny(steps=5_000))  # two bundles, long enough

    name = f"test@{platform.node()}"
    worker = [sys.executable, "-c", INTERRUPTED_WHILE_IT_LOGS, name]
    done = subprocess.run(worker, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stdout
    asked, stopped = (
        float(line.split()[-1])
        for line in done.stdout.splitlines()
        if line.startswith(("asked to stop", "stopped"))
    )
    assert stopped - asked < 12  # 4 s on an idle machine; 19 s when two threads wait for each other
    with db.read() as conn:
        assert {run.state for run in studies.runs(conn, study_id)} == {RunState.QUEUED}
        assert doctor.violations(conn) == []
    db.close()
