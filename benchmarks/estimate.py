"""What a plan says a bundle takes, after one calibration of this machine, beside what it took.

`--fit` prints the FACTORS of muscope/timing.py that suit these measurements best.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.optimize import nnls

from benchmarks import report
from muscope import timing
from muscope.catalogue import Options
from muscope.lab import calibration, engine
from muscope.machine import Machine
from muscope.recording import Record
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant
from muscope.timing import Parts

RATES = {"sgd": 0.1, "soap": 3e-3, "muon": 2e-2, "shampoo": 2e-2}
PULL = 0.1
"""Of a factor towards 1: as much as one bundle's error of a tenth, if it were off by 1."""
DIGITS: Options = {"dataset": "digits"}


@dataclass(frozen=True, slots=True)
class Case:
    """A bundle of so many seeds."""

    model: str
    width: int
    batch: int
    members: int = 4
    optimizer: str = "adamw"
    record: Record = "activations"
    steps: int = 8
    depth: int = 2
    options: Options = field(default_factory=dict)
    batches: str = "fixed"

    @property
    def title(self) -> str:
        """Its shape, and what is unlike the default."""
        words = [self.model, f"width {self.width}", f"{self.members} members", self.optimizer]
        words += [self.record] if self.record != "activations" else []
        words += [f"{self.steps} steps"] if self.steps != 8 else []
        words += ["fresh batches"] if self.batches == "fresh" else []
        return ", ".join(words)


CASES = (
    Case("mlp", 64, 64, members=1, steps=32),
    Case("mlp", 64, 64, members=20, steps=32),
    Case("mlp", 256, 64, members=10),
    Case("mlp", 1024, 64),
    Case("mlp", 1024, 256, record="standard"),
    Case("mlp", 256, 64, record="full"),
    Case("mlp", 512, 64, optimizer="muon"),
    Case("mlp", 256, 64, optimizer="soap"),
    Case("mlp", 256, 64, optimizer="shampoo"),
    Case("mlp", 512, 64, members=1, optimizer="sgd", steps=64),
    Case("mlp", 128, 64, members=8, steps=100, batches="fresh"),
    Case("gpt", 32, 8, members=1, steps=32),
    Case("gpt", 32, 16, members=24, steps=20),
    Case("gpt", 128, 8, members=10),
    Case("gpt", 256, 8),
    Case("gpt", 512, 8, members=2),
    Case("gpt", 128, 8, record="standard"),
    Case("gpt", 128, 8, record="full"),
    Case("gpt", 128, 8, optimizer="muon"),
    Case("gpt", 64, 8, optimizer="soap", steps=16),
    Case("gpt", 64, 8, optimizer="shampoo"),
    Case("gpt", 64, 8, members=8, optimizer="sgd", steps=40, batches="fresh"),
    Case("gpt", 128, 8, depth=6),
    Case("llama", 64, 8, members=8, optimizer="lion"),
    Case("llama", 256, 8, members=2, record="standard"),
    Case("llama", 128, 16, optimizer="muon"),
    Case("resnet", 16, 16, options=DIGITS),
    Case("resnet", 64, 16, members=2, options=DIGITS, steps=4),
    Case("resnet", 32, 16, optimizer="sgd", record="standard", options=DIGITS),
)


def members(case: Case) -> list[RunSpec]:
    """The runs of a case."""
    rate = RATES.get(case.optimizer, 3e-3)
    variant = Variant(
        model=ModelSpec(name=case.model, batch_size=case.batch, options=dict(case.options)),
        parametrization=ParametrizationSpec(name="mup"),
        optimizer=OptimizerSpec(name=case.optimizer, learning_rate=rate),
    )
    return [
        RunSpec(
            variant=variant,
            width=case.width,
            depth=case.depth,
            base_width=case.width,
            base_depth=case.depth,
            seed=seed,
            steps=case.steps,
            record=case.record,
            batches="fresh" if case.batches == "fresh" else "fixed",
        )
        for seed in range(case.members)
    ]


def planned(case: Case, machine: Machine) -> float:
    """Seconds that the plan says."""
    return timing.seconds(members(case)[0], case.members, machine)


def measured(case: Case, clock: calibration.Clock) -> float:
    """Seconds from the first weight to the last step."""
    runs = members(case)
    started = clock()
    for _ in engine.train(runs):
        pass
    return clock() - started


def warm_up() -> None:
    """What only the first bundle of a process pays: libraries, kernels, the data."""
    for model, options in (("mlp", {}), ("gpt", {}), ("llama", {}), ("resnet", DIGITS)):
        tiny = Case(model, 64, 2, members=2, steps=2, record="full", options=options)
        measured(tiny, time.perf_counter)


def fitted(parts: Sequence[Parts], took: Sequence[float]) -> Parts:
    """The factors with the least squares of relative errors; one that nothing tells stays at 1."""
    names = [part.name for part in fields(Parts)]
    rows = np.array([[getattr(one, name) for name in names] for one in parts])
    rows /= np.array(took)[:, None]
    pull = PULL * np.eye(len(names))
    targets = np.concatenate([np.ones(len(took)), np.full(len(names), PULL)])
    found, _ = nnls(np.concatenate([rows, pull]), targets)
    return Parts(*(round(float(value), 2) for value in found))


def main() -> None:
    """Every case with its ratio; then how many lie within a factor of two."""
    fits = "--fit" in sys.argv
    on_one_core = "--cpu-time" in sys.argv
    sys.argv = [word for word in sys.argv if word not in ("--fit", "--cpu-time")]
    options = report.arguments("Seconds planned and measured.", repeat=3)
    # The processor's time is a busy machine's best guess at an idle one; only one thread has one.
    clock = time.process_time if on_one_core else time.perf_counter
    engine.set_threads(1)
    warm_up()
    machine = calibration.calibrate(clock)
    took = []
    for case in CASES:
        real = statistics.median(measured(case, clock) for _ in range(options.repeat))
        plan = planned(case, machine)
        took.append(real)
        figures = {"plan": f"{plan:.3g} s", "measured": f"{real:.3g} s"}
        ratio = {"measured / plan": f"{real / plan:.2f}"}
        report.say({"bundle": case.title, **figures, **ratio}, as_json=options.json)
    ratios = [real / planned(case, machine) for case, real in zip(CASES, took, strict=True)]
    within = sum(0.5 <= ratio <= 2 for ratio in ratios)
    print(f"{within} of {len(ratios)} within a factor of 2", file=sys.stderr)
    if fits:
        found = [timing.parts(members(case)[0], case.members, machine) for case in CASES]
        print(fitted(found, took), file=sys.stderr)


if __name__ == "__main__":
    main()
