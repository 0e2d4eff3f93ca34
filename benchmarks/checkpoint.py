"""What a checkpoint costs: writing and reading the largest bundles of both demos, after a step."""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import report
from muscope import plan, presets
from muscope.lab import checkpoint, engine
from muscope.lab.checkpoint import Checkpoint
from muscope.plan import PlannedBundle
from muscope.presets.demo import demo
from muscope.spec import RunSpec


def main() -> None:
    """Print a row per bundle."""
    wanted = report.arguments(__doc__ or "", repeat=5)
    for title, members in bundles():
        say(title, members, repeat=wanted.repeat, as_json=wanted.json)


def bundles() -> Iterator[tuple[str, Sequence[RunSpec]]]:
    """The largest of the demo, and of the learning-rate study that a page offers."""
    (sweep,) = presets.preset("transfer-demo").studies("laptop")
    for title, study in (("demo", demo()), ("transfer demo", sweep)):
        largest = max(plan.plan(study).bundles, key=_parameters)
        yield title, largest.runs


def say(title: str, members: Sequence[RunSpec], *, repeat: int, as_json: bool) -> None:
    """Size, seconds of a step, and of writing and reading what it left."""
    training = engine.train(members)
    next(training)
    began_at = time.monotonic()
    next(training)
    step_s = time.monotonic() - began_at
    write_s, read_s = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.safetensors"
        for _ in range(repeat):
            began_at = time.monotonic()
            kept = Checkpoint(training.snapshot())
            kept.write(path, "")
            write_s.append(time.monotonic() - began_at)
            began_at = time.monotonic()
            checkpoint.read(path)
            read_s.append(time.monotonic() - began_at)
    figures: dict[str, str | float] = {
        "bundle": f"{title}: {len(members)} × {members[0].model.name} width {members[0].width}",
        "size (MB)": kept.size_bytes / 1e6,
        "step (s)": step_s,
        "write (s)": statistics.median(write_s),
        "read (s)": statistics.median(read_s),
    }
    report.say(figures, as_json=as_json)


def _parameters(bundle: PlannedBundle) -> int:
    return len(bundle.runs) * sum(weight.parameters for weight in plan.weights(bundle.runs[0]))


if __name__ == "__main__":
    main()
