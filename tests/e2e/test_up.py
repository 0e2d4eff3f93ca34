"""`muscope up`: refuses with a sentence, starts quickly, and leaves nothing behind."""

import signal
import socket
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e import house

pytestmark = pytest.mark.e2e


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        options = ("up", "--port", port, "--data-dir", str(tmp_path))
        with house.command(*options, env={}) as refused:
            assert refused.end(within_s=20) == 2
    assert refused.lines == [
        f"muscope up: port {port} of 127.0.0.1 is taken by another program; stop that program, "
        f"or choose another port: PORT={int(port) + 1} make run, "
        f"or muscope up --port {int(port) + 1}"
    ]


def test_the_address_comes_before_the_demo_and_a_second_ctrl_c_ends_it(tmp_path: Path) -> None:
    with house.up(tmp_path) as running:
        running.line("demo: 0 of 120", within_s=30)
        running.process.send_signal(signal.SIGINT)
        running.line("stopping", within_s=20)
        running.process.send_signal(signal.SIGINT)
        assert running.end(within_s=10) == 0
    assert running.lines[0].startswith("muscope is running: http://")
    assert running.lines[-1].startswith("stopping")


def test_a_second_start_is_quick_refuses_a_third_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with house.up(tmp_path, "--no-demo") as first:
        first.line("muscope is running", within_s=30)
        first.process.send_signal(signal.SIGINT)
        assert first.end(within_s=20) == 0

    started_at = time.monotonic()
    with house.up(tmp_path, "--no-demo") as second:
        greeting = second.line("muscope is running: http://127.0.0.1:.*token=", within_s=30)
        seconds = time.monotonic() - started_at
        with house.up(tmp_path, "--no-demo") as third:
            assert third.end(within_s=20) == 2
        house.until(lambda: len(second.family()) >= 4, within_s=20, what="a training process")
        family = second.family()
        second.process.send_signal(signal.SIGINT)
        asked_at = time.monotonic()
        assert second.end(within_s=20) == 0
        goodbye_s = time.monotonic() - asked_at

    (refusal,) = third.lines
    address = greeting.removeprefix("muscope is running: ").partition("/?")[0]
    assert f"already runs on {tmp_path} at {address} (process {second.process.pid})" in refusal
    assert not [process for process in family if is_running(process)]
    assert seconds < 10  # 5 s on an idle machine; the tests share theirs
    assert goodbye_s < 10


def test_the_parts_end_when_up_is_killed(tmp_path: Path) -> None:
    with house.up(tmp_path, "--no-demo") as running:
        house.until(lambda: len(running.family()) >= 4, within_s=30, what="a training process")
        family = running.family()
        running.process.kill()
        _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []


def is_running(process: psutil.Process) -> bool:
    """Whether a process lives; one that waits to be collected does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
