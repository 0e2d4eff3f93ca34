"""A recorder and a real server: outages, lost answers, killed processes lose and double nothing."""

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import muscope
from muscope.cli import app
from muscope.client import Client
from muscope.recorder import delivery
from muscope.settings import Settings
from muscope.storage import doctor, measurements, studies
from muscope.storage.database import Database
from muscope.vocabulary import RunState
from tests.server.lossy import lossy
from tests.server.recorded import judge
from tests.server.running import Running, running

KILLED = """
import os, sys
import muscope
url, token, spool = sys.argv[1:]
recorder = muscope.Recorder("killed", url=url, token=token, width=64, spool=spool)
for step in range(100):
    recorder.record(step, {"hidden": {"l1": 1.0 + step}}, loss=2.0)
    if step % 10 == 9:
        recorder.flush(0.05)
print("recorded", flush=True)
sys.stdin.read()
"""


def steps(db: Database, study_id: str) -> list[int]:
    """The steps of every row, as readers see them; the doctor must be content."""
    with db.read() as conn:
        assert doctor.violations(conn) == []
        return [sample.step for sample in measurements.samples(conn, study_id)]


def only_study(db: Database) -> studies.StudyRow:
    with db.read() as conn:
        (found,) = studies.page(conn)
    return found


def recorder(server: Running, tmp_path: Path, **how: object) -> muscope.Recorder:
    options = {"url": server.origin, "token": server.token, "width": 64, "spool": tmp_path / "s"}
    return muscope.Recorder("my run", **(options | how))  # type: ignore[arg-type]


def test_numbers_of_several_recorders_become_a_verdict(server: Running, tmp_path: Path) -> None:
    db = server.app.state.database
    for width in (64, 128, 256, 512):
        for seed in (3, 5):
            with recorder(server, tmp_path, width=width, seed=seed) as recording:
                for step in range(3):
                    values = {"hidden": {"l1": (1 + seed / 100) * width**0.5, "rms": 1.0}}
                    recording.record(step, values, loss=2.0 - step / 10)
            assert recording.page.startswith(server.origin)
    judge(db)
    with server.script() as client:
        (study,) = client.get("/api/v1/studies").json()["studies"]
    assert [entry["verdict"] for entry in study["verdicts"]] == ["grows"]
    assert list((tmp_path / "s").iterdir()) == []


def test_what_is_not_finite_arrives(server: Running, tmp_path: Path) -> None:
    with recorder(server, tmp_path) as recording:
        recording.record(0, {"a": {"l1": math.inf, "rms": math.nan}}, loss=math.nan)
    with server.app.state.database.read() as conn:
        (run,) = studies.runs(conn, only_study(server.app.state.database).id)
    assert (run.state, run.first_nonfinite_tensor) == (RunState.DIVERGED, "a")
    assert math.isnan(run.train_loss or 0.0)


def test_lost_answers_double_nothing(server: Running, tmp_path: Path) -> None:
    with lossy(server.port, lose_every=2) as url:
        recording = recorder(server, tmp_path, url=url)
        for step in range(12):
            recording.record(step, {"hidden": {"l1": 1.0}})
            recording.flush(0.01)
        deadline = time.monotonic() + 30
        while not recording.flush(0.2):
            assert time.monotonic() < deadline
        recording.close()
        delivery.flush(tmp_path / "s", Client(server.origin, server.token))
    db = server.app.state.database
    assert steps(db, only_study(db).id) == list(range(12))


def test_an_outage_is_bridged_and_holds_nobody_up(settings: Settings, tmp_path: Path) -> None:
    with running(settings) as server:
        fixed = server.settings
        recording = recorder(server, tmp_path)
        recording.record(0, {"hidden": {"l1": 1.0}})
        assert recording.flush(20)
    for step in range(1, 200):
        recording.record(step, {"hidden": {"l1": 1.0}})
    assert not recording.flush(0.3)
    with running(fixed) as server:
        assert recording.flush(20)
        recording.close()
        db = server.app.state.database
        assert steps(db, only_study(db).id) == list(range(200))
        assert only_study(db).counts == {RunState.FINISHED: 1}


@pytest.mark.parametrize("is_away", [False, True], ids=["sending", "server away"])
def test_a_killed_process_loses_and_doubles_nothing(
    settings: Settings, tmp_path: Path, is_away: bool
) -> None:
    spool = tmp_path / "s"
    with running(settings) as server:
        fixed, token = server.settings, server.token
        url = "http://127.0.0.1:9" if is_away else server.origin
        command = [sys.executable, "-c", KILLED, url, token, str(spool)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"recorded\n"
        (file,) = spool.glob("*.jsonl")
        assert file.stat().st_mode & 0o777 == 0o600
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    if is_away:
        file.write_text(file.read_text().replace(url, f"http://127.0.0.1:{fixed.port}"))
    with file.open("ab") as torn:
        torn.write(b'b {"seq": 99, "rows": [[')
    with running(fixed) as server:
        for _ in range(2):
            delivery.flush(spool, Client(server.origin, server.token))
        db = server.app.state.database
        assert steps(db, only_study(db).id) == list(range(100))
        with db.read() as conn:
            (run,) = studies.runs(conn, only_study(db).id)
        assert run.state is RunState.FAILED
        assert "killed" in (run.error_text or "")
        assert list(spool.iterdir()) == []


def test_a_loop_that_raises_leaves_a_failed_run_with_its_rows(
    server: Running, tmp_path: Path
) -> None:
    def loop() -> None:
        with recorder(server, tmp_path) as recording:
            recording.record(0, {"hidden": {"l1": 1.0}})
            raise RuntimeError("the disk\nburns")

    with pytest.raises(RuntimeError):
        loop()
    db = server.app.state.database
    with db.read() as conn:
        (run,) = studies.runs(conn, only_study(db).id)
    assert (run.state, run.error_text) == (RunState.FAILED, "RuntimeError: the disk burns")
    assert steps(db, only_study(db).id) == [0]


def test_a_refused_recording_is_kept_and_said_once(
    server: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = recorder(server, tmp_path)
    recording.record(0, {"hidden": {"l1": 1.0}})
    assert recording.flush(20)
    with server.script() as client:
        client.post(f"/api/v1/studies/{only_study(server.app.state.database).id}/cancel", json={})
    with caplog.at_level(logging.WARNING, logger="muscope.recorder"):
        for step in range(1, 4):
            recording.record(step, {"hidden": {"l1": 1.0}})
            recording.flush(5)
        recording.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "cancelled" in caplog.text
    assert recording.dropped == 2
    assert [path.suffix for path in (tmp_path / "s").iterdir()] == [".refused"]


def test_a_wrong_token_is_said_once_and_what_was_recorded_waits(
    server: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording = recorder(server, tmp_path, token="wrong")
    recording.record(0, {"hidden": {"l1": 1.0}})
    assert not recording.flush(1)
    recording.close()
    assert sum("not the access token" in record.message for record in caplog.records) == 1
    delivery.flush(tmp_path / "s", Client(server.origin, server.token))
    assert steps(server.app.state.database, only_study(server.app.state.database).id) == [0]


def test_a_server_that_lost_its_database_is_told_everything_again(
    settings: Settings, template_dir: Path, tmp_path: Path
) -> None:
    with running(settings) as server:
        fixed = server.settings
        recording = recorder(server, tmp_path)
        recording.record(0, {"hidden": {"l1": 1.0}})
        assert recording.flush(20)
    for name in ("muscope.db", "muscope.db-wal", "muscope.db-shm"):
        (settings.data_dir / name).unlink(missing_ok=True)
    (settings.data_dir / "muscope.db").write_bytes((template_dir / "muscope.db").read_bytes())
    with running(fixed) as server:
        recording.record(1, {"hidden": {"l1": 1.0}})
        assert recording.flush(20)
        recording.close()
        db = server.app.state.database
        assert steps(db, only_study(db).id) == [0, 1]


def test_threads_may_record_for_one_recorder(server: Running, tmp_path: Path) -> None:
    with recorder(server, tmp_path) as recording:
        threads = [
            threading.Thread(target=recording.record, args=(0, {f"t{n}": {"l1": 1.0}}))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    db = server.app.state.database
    assert steps(db, only_study(db).id) == [0] * 8


def test_the_command_line_delivers_what_was_left(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorder(server, tmp_path, token="wrong")
    recording.record(0, {"hidden": {"l1": 1.0}})
    recording.close(timeout_s=1)
    monkeypatch.setenv("MUSCOPE_TOKEN", server.token)
    command = ["recorder", "flush", "--url", server.origin, "--spool", str(tmp_path / "s")]
    runner = CliRunner()
    first, second = (runner.invoke(app, command) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert first.output.startswith("1 delivered, 0 waiting, 0 refused")
    assert second.output.startswith("0 delivered")
    assert steps(server.app.state.database, only_study(server.app.state.database).id) == [0]
