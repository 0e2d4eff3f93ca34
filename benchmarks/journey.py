"""From `muscope up --demo --exit` on an empty data folder to the printed verdict table."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report

MUSCOPE = Path(sys.executable).with_name("muscope")


def seconds_to_verdict() -> float:
    """Run the demo once; the clock stops at the last line of the verdict table."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(MUSCOPE), "up", "--demo", "--exit", "--port", "0", "--data-dir", folder]
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        verdict_at, lines = started, []
        for line in process.stdout or ():
            lines.append(line)
            verdict_at = time.monotonic()
        if process.wait() != 0:
            sys.exit("the demo did not end as it should:\n" + "".join(lines[-20:]))
    return verdict_at - started


def main() -> None:
    """Print the median."""
    options = report.arguments("Seconds from start to verdict.", repeat=3)
    taken = [seconds_to_verdict() for _ in range(options.repeat)]
    figures: dict[str, str | float] = {
        "runs": options.repeat,
        "start_to_verdict": f"{statistics.median(taken):.1f} s",
    }
    report.say(figures, as_json=options.json)


if __name__ == "__main__":
    main()
