"""What must be true before `muscope up` starts anything; each refusal is one sentence."""

import errno
import fcntl
import importlib.util
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import IO

FREE_BYTES = 200 * 2**20
"""Below this a study could fill the disk."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Refusal(RuntimeError):
    """The message is a sentence for the user: what is wrong and what to do."""


def torch_is_installed() -> None:
    """Refuse where the worker could not train."""
    if importlib.util.find_spec("torch") is None:
        raise Refusal(
            "torch is not installed, so nothing can be trained here; "
            "install it with: pip install 'muscope[worker]'"
        )


def data_dir_is_usable(folder: Path) -> None:
    """Make the folder, and refuse where it cannot be written or the disk is full."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(2**20))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise Refusal(_unusable(folder, error)) from error
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise Refusal(
            f"the disk of {folder} is full: {free / 2**20:.0f} MiB are free, muscope needs "
            f"{FREE_BYTES / 2**20:.0f}; free some space, or choose another folder with --data-dir"
        )


def _unusable(folder: Path, error: OSError) -> str:
    if error.errno in NO_SPACE:
        return (
            f"the disk of {folder} is full; free some space, "
            "or choose another folder with --data-dir"
        )
    return (
        f"the data folder {folder} cannot be written ({error.strerror}); "
        "choose another one with --data-dir"
    )


def lock(folder: Path) -> IO[str]:
    """Hold the folder for this process, or refuse while another one does."""
    file = (folder / "up.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        with file:
            raise Refusal(_held(folder, file)) from error
    file.truncate(0)
    sign(file, str(os.getpid()))
    return file


def sign(held: IO[str], line: str) -> None:
    """Add a line to the lock: first the process, then the address, for whoever is refused."""
    held.write(f"{line}\n")
    held.flush()


def _held(folder: Path, file: IO[str]) -> str:
    file.seek(0)
    process, address, *_ = [*file.read().split(), "unknown", ""]
    where = f" at {address}" if address.startswith("http") else ""
    return (
        f"muscope already runs on {folder}{where} (process {process}); "
        "use that one, stop it, or choose another folder with --data-dir"
    )


def free_port(host: str, port: int) -> int:
    """The port, once it is known to be free; 0 takes any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refusal(_refused(host, port, error)) from error
        return int(probe.getsockname()[1])


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 0
        return (
            f"port {port} of {host} is taken by another program; stop that program, "
            f"or choose another port: PORT={other} make run, or muscope up --port {other}"
        )
    return (
        f"cannot listen on {host}, port {port} ({error.strerror}); "
        "choose others with --host and --port"
    )


def clear_broker(folder: Path) -> None:
    """Remove what former workers left in the embedded broker's control folder."""
    for pattern in ("control/*", "messages/*.pidbox.msg"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
