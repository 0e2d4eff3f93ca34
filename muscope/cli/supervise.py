"""The parts of `muscope up`: subprocesses in sessions of their own, started again when they die."""

import ctypes
import logging.handlers
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
STEADY_S = 60.0
"""A part that lived this long starts from the shortest pause again."""

TICK_S = 0.05
LOG_BYTES = 5 * 2**20
LAST_LINES = 12


class Part:
    """One subprocess, its log file of bounded size, and its restarts."""

    def __init__(self, name: str, *, env: dict[str, str], logs: Path) -> None:
        self.name = name
        self._env = env
        self._log = logging.handlers.RotatingFileHandler(
            logs / f"{name}.log", maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8"
        )
        self._tail: deque[str] = deque(maxlen=LAST_LINES)
        self._pause_s = FIRST_PAUSE_S
        self._start_at = 0.0
        self._started_at = 0.0
        self._process: subprocess.Popen[str] | None = None
        self._pump: threading.Thread | None = None

    def start(self) -> None:
        """Start the part in a session of its own, so that Ctrl-C reaches it only through us."""
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "muscope", self.name],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509  # it only calls prctl
        )
        self._pump = threading.Thread(target=self._copy_log, args=(self._process,), daemon=True)
        self._pump.start()

    def tend(self, tell: Callable[[str], None]) -> None:
        """Start the part again when it has died and its pause is over."""
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return
        code = self._process.poll()
        if code is not None:
            self._mourn(code, tell)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if the part is running."""
        if self._process and self.is_running:
            self._process.terminate()

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Kill what is left of the part and its session."""
        if self._process is None:
            return
        _kill_session(self._process.pid)
        self._process.wait()
        self._finish_log()
        self._log.close()

    def _mourn(self, code: int, tell: Callable[[str], None]) -> None:
        assert self._process is not None
        _kill_session(self._process.pid)
        self._finish_log()
        self._process = None
        if time.monotonic() - self._started_at > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        self._start_at = time.monotonic() + self._pause_s
        tell(f"the {self.name} ended ({_how(code)}); it is started again in {self._pause_s:.0f} s")
        if code > 0:
            for line in self._tail:
                tell(f"  {self.name}: {line}")
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _copy_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            text = line.rstrip("\n")
            self._tail.append(text)
            self._log.emit(logging.makeLogRecord({"msg": text}))
        process.stdout.close()

    def _finish_log(self) -> None:
        if self._pump is not None:
            self._pump.join(1.0)


def stop(parts: Sequence[Part], *, grace_s: float, at_once: threading.Event) -> None:
    """End all parts together: SIGTERM; SIGKILL for what is left after the grace, or `at_once`."""
    for part in parts:
        part.ask_to_stop()
    until = time.monotonic() + grace_s
    while any(part.is_running for part in parts) and time.monotonic() < until:
        if at_once.wait(TICK_S):
            break
    for part in parts:
        part.end()


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError):  # nobody is left, as it should be
        os.killpg(leader, signal.SIGKILL)


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux, a part is asked to stop when `up` itself is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork
    pr_set_pdeathsig = 1
    return lambda: prctl(pr_set_pdeathsig, signal.SIGTERM)


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
