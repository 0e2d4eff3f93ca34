"""A recorder takes plain numbers of any framework, and says at once what it cannot take."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import muscope
from muscope.client import Client
from muscope.recorder import buffer, delivery
from muscope.recorder.delivery import Flushed
from muscope.recorder.sizes import sizes

WITHOUT_TORCH = """
import sys
import muscope
where = {"url": "http://127.0.0.1:9", "token": "t", "spool": sys.argv[1]}
with muscope.Recorder("plain", width=64, **where) as r:
    r.record(0, {"a": {"l1": 1.0}}, loss=2.0)
    r.close(timeout_s=0)
print(*({"torch", "scipy", "sqlalchemy", "celery", "fastapi", "numpy"} & set(sys.modules)))
"""


def make(tmp_path: Path, **how: object) -> muscope.Recorder:
    options = {"url": "http://127.0.0.1:9", "token": "t", "width": 64, "spool": tmp_path}
    return muscope.Recorder("mine", **(options | how))  # type: ignore[arg-type]


def test_plain_numbers_need_no_framework(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"width": 0}, "width"),
        ({"width": 64.5}, "width"),
        ({"seed": -1}, "seed"),
        ({"study": ""}, "study"),
        ({"variant": "a\nb"}, "control"),
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'; allowed: .*adamw"),
        ({"parametrization": "nope"}, "unknown parametrization 'nope'"),
        ({"roles": {"a.*": "boss"}}, "unknown role 'boss'; allowed: .*hidden"),
        ({"every": 0}, "every must be at least 1"),
        ({"url": "server"}, "say http://name:port"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_made(
    tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    name = str(wrong.pop("study", "mine"))
    options = {"url": "http://127.0.0.1:9", "token": "t", "width": 64, "spool": tmp_path} | wrong
    with pytest.raises((ValueError, RuntimeError), match=said):
        muscope.Recorder(name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (lambda r: r.record(1, {"a": {"l2": 1.0}}), "unknown statistic 'l2'; allowed: l1"),
        (lambda r: r.record(1, {"a": {}}), "'a' has no statistics"),
        (lambda r: r.record(1, {"a": {"l1": "much"}}), "l1 of 'a' must be a number, got 'much'"),
        (lambda r: r.record(2, {"a": {"l1": -1}}), "l1 of 'a' cannot be negative, got -1.0"),
        (lambda r: r.record(1, {"a": {"l1": 1}}, kind="mood"), "unknown kind 'mood'"),
        (lambda r: r.record(1, {"a\u202e": {"l1": 1.0}}), "bidirectional"),
        (lambda r: r.record(1, {"a": {"l1": 1.0}}), "'a' was recorded at step 1 before"),
        (lambda r: r.record(0, {"b": {"l1": 1.0}}), "not go back, got 0 after 1"),
        (lambda r: r.record(1, loss=3.0), "a loss was recorded at step 1 before"),
        (lambda r: r.measure(1, {"c": 3.0}), "an array is needed"),
    ],
)
def test_what_cannot_be_recorded_is_said_at_once(
    tmp_path: Path, record: Callable[[muscope.Recorder], None], said: str
) -> None:
    recorder = make(tmp_path)
    recorder.record(1, {"a": {"l1": 1.0}}, loss=2.0)
    with pytest.raises(ValueError, match=said):
        record(recorder)
    recorder.close(timeout_s=0)


def test_a_recorder_that_is_switched_off_does_nothing(tmp_path: Path) -> None:
    with make(tmp_path / "s", enabled=False) as recorder:
        recorder.record(0, {"a": {"l1": 1.0}})
        recorder.step(1.0)
    assert not (tmp_path / "s").exists()


def test_what_will_not_be_judged_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = make(tmp_path)
    for step in range(3):
        recorder.record(step, {"a": {"rms": 1.0}, "b": {"l1": 1.0}})
    recorder.close(timeout_s=0)
    said = [record.message for record in caplog.records if "not judged" in record.message]
    assert said == ["'a' has neither l1 nor change, so it is shown, not judged"]


def test_sizes_of_an_array_are_the_formulas() -> None:
    rng = np.random.default_rng(0)
    first, array = rng.normal(size=(2, 7, 5)).astype("float32")
    wide, before = array.astype("float64"), first.astype("float64")
    # float32, 35 terms
    assert sizes(array, first) == pytest.approx(
        {
            "l1": np.mean(np.abs(wide)),
            "rms": np.sqrt(np.mean(wide**2)),
            "change": np.mean(np.abs(wide - before)),
        },
        rel=1e-6,
    )


def test_half_precision_does_not_overflow() -> None:
    array = np.full((1000,), 60_000, dtype="float16")
    found = sizes(array)
    assert found["rms"] == pytest.approx(float(array[0]), rel=1e-5)  # float32, 1000 terms


@pytest.mark.parametrize(
    "what", [{"tensors": {str(number): {"l1": 1.0} for number in range(10)}}, {"loss": 2.0}]
)
def test_memory_stays_bounded_where_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: dict[str, Any]
) -> None:
    monkeypatch.setattr(buffer, "MOST_WAITING", 1000)
    file = tmp_path / "s"
    file.write_text("no folder")
    recorder = make(file)
    each = len(what.get("tensors", "1"))
    for step in range(1300 // each):
        recorder.record(step, **what)
    recorder.close(timeout_s=0)
    assert recorder.dropped == 300


class Hasty(muscope.Recorder):
    """Waits for no server when it is closed."""

    def close(self, **how: Any) -> None:
        super().close(**how, timeout_s=0)


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (None, "finished"),
        (SystemExit(0), "finished"),
        (SystemExit(2), "failed"),
        (KeyboardInterrupt(), "cancelled"),
        (ValueError("no"), "failed"),
    ],
)
def test_how_a_loop_was_left_is_how_its_recording_ended(
    tmp_path: Path, error: BaseException | None, ended: str
) -> None:
    recorder = Hasty("mine", url="http://127.0.0.1:9", token="t", width=64, spool=tmp_path)
    with contextlib.suppress(BaseException), recorder:
        recorder.record(0, {"a": {"l1": 1.0}})
        if error is not None:
            raise error
    (file,) = tmp_path.glob("*.jsonl")
    closing = file.read_text().splitlines()[-1]
    assert json.loads(closing.removeprefix("c "))["ended"] == ended


def test_what_lies_in_the_spool_and_is_none_stops_no_flush(tmp_path: Path) -> None:
    (tmp_path / "garbage.jsonl").write_bytes(b"\xff\xfe\n")
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")  # whoever opens it waits
    found = delivery.flush(tmp_path, Client("http://127.0.0.1:9", "t"))
    assert found == Flushed(delivered=0, waiting=1, refused=0)
