"""What every benchmark says: on which machine, and the figures as a table row or as JSON."""

import argparse
import json
import platform
from pathlib import Path

import psutil

MIB = 2**20


def arguments(description: str, *, repeat: int) -> argparse.Namespace:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeat", type=int, default=repeat, help="take the median of so many")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table row")
    return parser.parse_args()


def machine() -> str:
    """The facts that a figure means nothing without."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} × {_processor()}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def say(figures: dict[str, str | float], *, as_json: bool) -> None:
    """Print one result."""
    if as_json:
        print(json.dumps({"machine": machine(), **figures}, ensure_ascii=False))
    else:
        cells = (f"{v:,.2f}" if isinstance(v, float) else str(v) for v in figures.values())
        print(f"| {' | '.join((machine(), *cells))} |")


def rss_mib(process: psutil.Process) -> float:
    """Resident memory, shared pages included."""
    return float(process.memory_info().rss / MIB)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
