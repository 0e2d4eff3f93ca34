"""What the supervisor does about a training process that dies, hangs or will not stop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from muscope import dispatch
from muscope.settings import Settings
from muscope.storage import bundles, events, studies, tables, verdicts, workers
from muscope.storage.database import Database
from muscope.storage.doctor import violations
from muscope.storage.studies import RunRow
from muscope.vocabulary import RunState
from muscope_worker import introduction, supervisor
from muscope_worker.heartbeat import EXIT_FENCED
from muscope_worker.supervisor import Supervisor

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A supervisor that reaps at every look."""
    return Settings(data_dir=tmp_path, reap_s=0.001, lease_s=60.0, stall_s=0.2)


@pytest.fixture
def watcher(db: Database, settings: Settings) -> Supervisor:
    """A supervisor whose looks the test asks for."""
    row = introduction.of_parent("test@here")
    return Supervisor(dispatch.celery_app(settings), db, settings=settings, row=row)


@pytest.fixture
def training(db: Database, study_id: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ignores SIGTERM and holds the first bundle."""
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with db.write() as conn:
        bundles.claim(conn, worker_id="test@here", pid=process.pid, code_version="0", lease_s=60)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def run(db: Database, study_id: str) -> RunRow:
    """The first run of the study, after the doctor has found nothing wrong."""
    with db.read() as conn:
        assert violations(conn) == []
        return studies.runs(conn, study_id)[0]


def end_reason(db: Database, study_id: str) -> str:
    """Why the last attempt of the study ended."""
    with db.read() as conn:
        ended = [e for e in events.since(conn, study_id, 0) if e.kind == "attempt_ended"]
    assert ended[-1].data is not None
    return str(ended[-1].data["reason"])


def test_a_death_is_seen_at_once_with_its_signal(
    db: Database, watcher: Supervisor, training: subprocess.Popen[str], study_id: str
) -> None:
    watcher.tick()
    assert run(db, study_id).state is RunState.RUNNING

    training.kill()
    training.wait()
    watcher.note_exit(training.pid, -signal.SIGKILL)
    watcher.tick()

    assert run(db, study_id).state is RunState.QUEUED
    assert "SIGKILL" in end_reason(db, study_id)


def test_a_checkpoint_of_nothing_is_removed_while_the_worker_idles(
    settings: Settings, watcher: Supervisor, study_id: str
) -> None:
    folder = settings.checkpoints_folder
    folder.mkdir()
    kept, gone = (folder / f"{name}-1.safetensors" for name in (study_id, "other"))
    kept.touch()
    gone.touch()
    watcher.tick()
    assert list(folder.iterdir()) == [kept]


def test_training_that_could_not_renew_its_lease_is_not_counted_as_a_death(
    db: Database, watcher: Supervisor, study_id: str
) -> None:
    """It ends itself with EXIT_FENCED; three of those must not condemn the runs."""
    ended = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({EXIT_FENCED})"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    with db.write() as conn:
        bundles.claim(conn, worker_id="test@here", pid=ended.pid, code_version="0", lease_s=60)
    watcher.tick()
    assert ended.wait() == EXIT_FENCED
    with db.read() as conn:
        row = conn.execute(select(tables.bundle.c.losses, tables.bundle.c.vanishings)).first()
    assert row == (0, 1)
    assert f"exit code {EXIT_FENCED}" in end_reason(db, study_id)


def test_a_cancelled_study_ends_though_training_ignores_sigterm(
    db: Database,
    watcher: Supervisor,
    training: subprocess.Popen[str],
    study_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with db.write() as conn:
        studies.cancel(conn, study_id)
    watcher.tick()
    assert training.poll() is None

    monkeypatch.setattr(supervisor, "GRACE_S", 0.0)
    watcher.tick()

    assert training.wait(5.0) == -signal.SIGKILL
    watcher.tick()
    assert run(db, study_id).state is RunState.CANCELLED


def test_training_that_cannot_be_handed_back_is_killed_and_not_counted(
    db: Database,
    watcher: Supervisor,
    training: subprocess.Popen[str],
    study_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watcher.drain()
    watcher.tick()
    assert training.poll() is None

    monkeypatch.setattr(supervisor, "DRAIN_S", 0.0)
    watcher.tick()

    assert training.wait(5.0) == -signal.SIGKILL
    watcher.tick()
    assert run(db, study_id).state is RunState.QUEUED
    with db.read() as conn:
        assert conn.execute(select(tables.bundle.c.losses)).scalars().first() == 0


def test_training_without_progress_is_killed_and_said_to_be_stalled(
    db: Database, watcher: Supervisor, training: subprocess.Popen[str], study_id: str
) -> None:
    while training.poll() is None:
        watcher.tick()
    watcher.tick()

    assert run(db, study_id).state is RunState.QUEUED
    assert "no step for" in end_reason(db, study_id)


def test_attempts_of_a_former_life_do_not_wait_for_their_lease(
    db: Database, watcher: Supervisor, training: subprocess.Popen[str], study_id: str
) -> None:
    training.kill()
    training.wait()

    watcher.forget_the_dead()

    assert run(db, study_id).state is RunState.QUEUED
    assert "started anew" in end_reason(db, study_id)


def test_what_is_queued_is_sent_again(
    watcher: Supervisor, settings: Settings, study_id: str
) -> None:
    watcher.tick()

    messages = list((settings.broker_dir / "messages").iterdir())
    assert len(messages) == 2  # one for each bundle of the tiny study


def test_a_missing_judgement_is_asked_for_once(
    db: Database, watcher: Supervisor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "unjudged", lambda _: ["study"])

    for _ in range(5):
        watcher.tick()

    (message,) = (settings.broker_dir / "messages").iterdir()
    assert dispatch.JUDGE_STUDY in message.read_text()


def test_what_the_training_process_wrote_of_the_device_is_kept(
    db: Database, watcher: Supervisor
) -> None:
    here = introduction.of_parent("test@here")
    with db.write() as conn:
        workers.beat(conn, introduction.with_device(here, "H200", memory=7, torch_version="2"))

    watcher.tick()

    with db.read() as conn:
        (row,) = workers.all_workers(conn)
    assert (row.device, row.memory, row.pid) == ("H200", 7, os.getpid())
