"""Each refusal of `muscope up` is a sentence that says what to do."""

import errno
import os
import shutil
import socket
from pathlib import Path

import pytest

from muscope.cli import preflight
from muscope.cli.preflight import Refusal


def test_a_full_disk_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5))
    with pytest.raises(Refusal, match=r"is full: 0 MiB are free.*--data-dir"):
        preflight.data_dir_is_usable(tmp_path)


def test_a_disk_that_takes_no_more_bytes_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(Refusal, match=r"the disk of .* is full; free some space"):
        preflight.data_dir_is_usable(tmp_path)


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(Refusal, match=r"file/data cannot be written \(Not a directory\)"):
        preflight.data_dir_is_usable(file / "data")


def test_only_one_up_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    told = f"already runs on .*process {os.getpid()}"
    with preflight.lock(tmp_path), pytest.raises(Refusal, match=told):
        preflight.lock(tmp_path)
    preflight.lock(tmp_path).close()


def test_who_is_refused_a_folder_is_told_the_address(tmp_path: Path) -> None:
    told = r"already runs on .* at http://127.0.0.1:8912 \(process "
    with preflight.lock(tmp_path) as held:
        preflight.sign(held, "http://127.0.0.1:8912")
        with pytest.raises(Refusal, match=told):
            preflight.lock(tmp_path)


def test_a_taken_port_is_refused_and_zero_takes_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            Refusal, match=f"{port} of 127.0.0.1 is taken.*PORT={port + 1} make run"
        ):
            preflight.free_port("127.0.0.1", port)
    assert preflight.free_port("127.0.0.1", 0) > 0


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Refusal, match=r"pip install 'muscope\[worker\]'"):
        preflight.torch_is_installed()


def test_the_broker_forgets_what_former_workers_left(tmp_path: Path) -> None:
    for name in ("control/old", "messages/1_x.celery.pidbox.msg", "messages/1_x.muscope.msg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    preflight.clear_broker(tmp_path)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["1_x.muscope.msg"]
