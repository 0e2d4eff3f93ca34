"""Two bundles side by side on all cores: with threads that share them, and with all for each."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import report
from muscope.lab import environment

STEPS = 20
PROGRAM = """
import sys
from benchmarks.estimate import Case, members, warm_up
from muscope.lab import engine
engine.set_threads(int(sys.argv[1]))
warm_up()
print("ready", flush=True)
sys.stdin.readline()
for _ in engine.train(members(Case("gpt", 128, 8, members=8, steps=int(sys.argv[2])))):
    pass
print("done", flush=True)
"""


def seconds(threads: Sequence[int]) -> float:
    """From the common start of as many processes until the last of them is done."""
    processes = [_process(count) for count in threads]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "done\n"
    took = time.perf_counter() - started
    for process in processes:
        process.communicate()
    return took


def _process(threads: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(threads), str(STEPS)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


def main() -> None:
    """Medians, the arrangements in turn."""
    options = report.arguments("Seconds until all bundles are done.", repeat=3)
    cores = environment.cores()
    half = max(1, cores // 2)
    arrangements = {
        f"one bundle, {cores} threads": [cores],
        f"one bundle, {half} threads": [half],
        f"two bundles, {half} threads each": [half, half],
        f"two bundles, {cores} threads each": [cores, cores],
    }
    times: dict[str, list[float]] = {name: [] for name in arrangements}
    for _ in range(options.repeat):
        for name, threads in arrangements.items():
            times[name].append(seconds(threads))
    for name, found in times.items():
        report.say(
            {"arrangement": name, "seconds": f"{statistics.median(found):.1f}"},
            as_json=options.json,
        )


if __name__ == "__main__":
    main()
