"""What recording costs, at every step and at every tenth, beside a training of losses only."""

import statistics
import time
from collections.abc import Iterator, Sequence

from benchmarks import report
from muscope import plan
from muscope.lab import engine
from muscope.recording import STATISTICS, Record
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec

EVERY = 10
WARM = 2
"""Steps that start searches and fill caches, and are not counted."""
STEPS = WARM + 2 * EVERY
"""Of a run that is longer; each step between two records is there twice."""
LENGTH = 1000
"""Steps of a run: short ones read their statistics otherwise (READ_AT_ONCE in lab/stack.py)."""
SIZES = (("mlp", 256, 64), ("mlp", 1024, 64), ("gpt", 128, 8), ("gpt", 256, 8), ("llama", 128, 8))
"""Model, width and batch size."""
CHOICES: tuple[tuple[Record, int], ...] = (
    *((record, 1) for record in STATISTICS),
    *((record, EVERY) for record in STATISTICS if record != "losses"),
)
"""What is recorded, and every how many steps."""


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
        steps=LENGTH,
    )
    return [run for run in plan.runs(spec) if run.width == width]


def seconds(runs: Sequence[RunSpec]) -> dict[tuple[Record, int], list[float]]:
    """CPU time of every step that counts, all choices in turn, so that a busy second hits all."""
    training = {
        (record, every): engine.train(
            [run.model_copy(update={"record": record, "record_every": every}) for run in runs]
        )
        for record, every in CHOICES
    }
    found: dict[tuple[Record, int], list[float]] = {choice: [] for choice in CHOICES}
    for step in range(STEPS):
        for choice, records in training.items():
            before = time.process_time()
            next(records)
            if step >= WARM:
                found[choice].append(time.process_time() - before)
    return found


def per_step(times: Sequence[Sequence[float]], every: int) -> float:
    """The mean over the steps from one record to the next, of medians of those that are alike.

    A record may cost something in the step before it, which keeps weights, and in the one after.
    """
    alike: dict[int, list[float]] = {}
    for one in times:
        for step, taken in enumerate(one, start=WARM):
            place = step % every
            alike.setdefault(place if place in (0, 1, every - 1) else 2, []).append(taken)
    medians = ((len(of), statistics.median(of)) for of in alike.values())
    return sum(count * median for count, median in medians) / sum(map(len, alike.values()))


def rows(repeat: int) -> Iterator[dict[str, str | float]]:
    """How much more than the training alone a step takes, over all steps."""
    for model, width, batch_size in SIZES:
        found = [seconds(members(model, width, batch_size)) for _ in range(repeat)]
        times = {choice: [one[choice] for one in found] for choice in CHOICES}
        alone = {every: per_step(times["losses", 1], every) for every in (1, EVERY)}
        for record in STATISTICS:
            each = per_step(times[record, 1], 1)
            tenth = per_step(times[record, EVERY if record != "losses" else 1], EVERY)
            yield {
                "model": f"{model}, width {width}",
                "record": record,
                "ms_per_step": f"{1000 * each:.1f}",
                "every_step": f"{each / alone[1] - 1:+.0%}",
                "every_tenth": f"{tenth / alone[EVERY] - 1:+.1%}",
            }


def main() -> None:
    """One row for each model, width and choice."""
    options = report.arguments("Milliseconds per step of five seeds.", repeat=1)
    engine.set_threads(1)
    for row in rows(options.repeat):
        report.say(row, as_json=options.json)


if __name__ == "__main__":
    main()
