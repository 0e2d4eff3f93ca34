"""What the lab runs on, as it is written beside the results."""

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from muscope.lab import cgroup
from muscope.machine import Machine


@dataclass(frozen=True, slots=True)
class Environment:
    """The version of torch, the device and its memory, what float32 is multiplied in, threads."""

    torch_version: str
    device: str
    memory_bytes: int
    matmul_precision: str
    threads: int

    def is_of(self, machine: Machine) -> bool:
        """Whether a machine was measured here, with these threads and this torch."""
        mine = (self.device, self.threads, self.torch_version, self.matmul_precision)
        its = (machine.device, machine.threads, machine.torch_version, machine.matmul_precision)
        return mine == its


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe() -> Environment:
    """This machine; the thread count is part of the device, as digests depend on it."""
    if device().type == "cuda":
        properties = torch.cuda.get_device_properties(0)
        name, memory = properties.name, properties.total_memory
    else:
        threads = torch.get_num_threads()
        name = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
        memory = psutil.virtual_memory().total
    return Environment(
        torch_version=torch.__version__,
        device=name,
        memory_bytes=memory,
        matmul_precision=_matmul_precision(),
        threads=torch.get_num_threads(),
    )


def free_bytes() -> int:
    """The memory of the device that is free now, and what this process would use again.

    In a container it is no more than its limit leaves.
    """
    if device().type == "cuda":
        kept = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return torch.cuda.mem_get_info()[0] + kept
    _give_back_freed()
    left = cgroup.free_bytes()
    available = psutil.virtual_memory().available
    return available if left is None else min(available, left)


def _matmul_precision() -> str:
    """torch's word for products of float32; on a GPU it chooses for convolutions apart."""
    word = torch.get_float32_matmul_precision()
    in_tf32 = device().type == "cuda" and torch.backends.cudnn.allow_tf32
    return f"{word}, convolutions TF32" if in_tf32 else word


def processor() -> str:
    """The processor and the instructions that torch uses of it: both decide how sums round."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{_model_name() or platform.machine()}, {capability}"


def _model_name() -> str:
    lines = _CPUS.read_text().splitlines() if _CPUS.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_one_interop_thread() -> None:
    """Operations follow each other here, so threads that would run several at once only wait.

    torch allows it once, before anything was computed.
    """
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)


class PeakMemory:
    """How much more memory a piece of work takes at its peak than was taken before it.

    On a GPU torch counts; on Linux the kernel does, which forgets earlier peaks when it is asked,
    and freed memory that was kept (allocator.py) is given back first. Elsewhere nobody knows the
    peak of a part of a process.
    """

    def __init__(self) -> None:
        self._on_gpu = device().type == "cuda"
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before: int | None = torch.cuda.memory_allocated()
        else:
            self._before = _forget_peak()

    def bytes(self) -> int | None:
        """The peak so far, beyond what was there at the start."""
        peak = torch.cuda.max_memory_allocated() if self._on_gpu else _resident("VmHWM")
        return None if peak is None or self._before is None else max(0, peak - self._before)


_CPUS = Path("/proc/cpuinfo")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"  # man 5 proc: writing 5 resets the peak of resident memory


def _give_back_freed() -> None:
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak() -> int | None:
    _give_back_freed()
    try:
        _CLEAR.write_text(_FORGET_PEAK)
    except OSError:
        return None
    return _resident("VmRSS")


def _resident(name: str) -> int | None:
    """A line of /proc/self/status, in bytes."""
    if not _STATUS.exists():
        return None
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return next((1024 * int(words[1]) for words in lines if words[0] == f"{name}:"), None)
