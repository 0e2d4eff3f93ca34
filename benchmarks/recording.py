"""What recording weights, gradients and updates costs per step, beside activations alone."""

import statistics
import time
from collections.abc import Iterator

from benchmarks import report
from muscope import plan
from muscope.lab import engine
from muscope.recording import STATISTICS, Record
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec

STEPS = 20
SIZES = {"mlp": (256, 64), "gpt": (128, 8)}
"""Width and batch size of each model."""


def members(model: str, record: Record) -> list[RunSpec]:
    """Five seeds under µP with AdamW, as one bundle."""
    width, batch_size = SIZES[model]
    spec = StudySpec(
        name="recording",
        arms=(
            Arm(
                model=ModelSpec(name=model, batch_size=batch_size),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=3e-3),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(width // 2, width),
        steps=STEPS,
        record=record,
    )
    return [run for run in plan.runs(spec) if run.width == width]


def seconds(runs: list[RunSpec]) -> Iterator[float]:
    """The time of every step after the first, which starts searches and fills caches."""
    records = engine.train(runs)
    next(records)
    before = time.monotonic()
    for _ in records:
        now = time.monotonic()
        yield now - before
        before = now


def main() -> None:
    """Medians of single steps, the choices in turn, so that a busy minute hits all of them."""
    options = report.arguments("Milliseconds per step of five seeds.", repeat=3)
    engine.set_threads(1)
    for model, (width, _) in SIZES.items():
        times: dict[Record, list[float]] = {record: [] for record in STATISTICS}
        for _ in range(options.repeat):
            for record, found in times.items():
                found.extend(seconds(members(model, record)))
        medians = {record: statistics.median(found) for record, found in times.items()}
        for record, median in medians.items():
            report.say(
                {
                    "model": f"{model}, width {width}",
                    "record": record,
                    "ms_per_step": f"{1000 * median:.1f}",
                    "ratio": f"{median / medians['activations']:.2f}",
                },
                as_json=options.json,
            )


if __name__ == "__main__":
    main()
