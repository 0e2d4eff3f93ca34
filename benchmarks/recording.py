"""What recording costs per recorded step, beside a training that records losses only."""

import statistics
import time
from collections.abc import Iterator

from benchmarks import report
from muscope import plan
from muscope.lab import engine
from muscope.recording import STATISTICS, Record
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec

STEPS = 12
WARM = 2
"""Steps that start searches and fill caches, and are not counted."""
SIZES = (("mlp", 256, 64), ("mlp", 1024, 64), ("gpt", 128, 8), ("gpt", 256, 8), ("llama", 128, 8))
"""Model, width and batch size."""


def members(model: str, width: int, batch_size: int) -> list[RunSpec]:
    """Five seeds under µP with AdamW, as one bundle."""
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
    )
    return [run for run in plan.runs(spec) if run.width == width]


def seconds(runs: list[RunSpec]) -> dict[Record, list[float]]:
    """CPU time of every step that counts, all choices in turn, so that a busy second hits all."""
    training = {
        record: engine.train([run.model_copy(update={"record": record}) for run in runs])
        for record in STATISTICS
    }
    found: dict[Record, list[float]] = {record: [] for record in STATISTICS}
    for step in range(STEPS):  # the last does not update
        for record, records in training.items():
            before = time.process_time()
            next(records)
            if step >= WARM:
                found[record].append(time.process_time() - before)
    return found


def rows(repeat: int) -> Iterator[dict[str, str | float]]:
    """Medians, and how much more than the training alone: of a recorded step, and of all steps
    when every tenth is recorded, where the others cost what a training without records does."""
    for model, width, batch_size in SIZES:
        times: dict[Record, list[float]] = {record: [] for record in STATISTICS}
        for _ in range(repeat):
            for record, found in seconds(members(model, width, batch_size)).items():
                times[record].extend(found)
        medians = {record: statistics.median(found) for record, found in times.items()}
        for record, median in medians.items():
            more = median / medians["losses"] - 1
            yield {
                "model": f"{model}, width {width}",
                "record": record,
                "ms_per_step": f"{1000 * median:.1f}",
                "every_step": f"{more:+.0%}",
                "every_tenth": f"{more / 10:+.1%}",
            }


def main() -> None:
    """One row for each model, width and choice."""
    options = report.arguments("Milliseconds per recorded step of five seeds.", repeat=1)
    engine.set_threads(1)
    for row in rows(options.repeat):
        report.say(row, as_json=options.json)


if __name__ == "__main__":
    main()
