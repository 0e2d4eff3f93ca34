"""The memory that a plan counts for a bundle, beside what it takes in a process of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass, field

import psutil

from benchmarks import report
from muscope import costs
from muscope.catalogue import Options
from muscope.recording import Record
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant

MEMBERS, STEPS = 4, 2
SMALLEST = {"resnet": 4}
"""A width at which next to nothing is kept."""
RATES = {"sgd": 0.1, "soap": 3e-3, "muon": 2e-2, "shampoo": 2e-2}


@dataclass(frozen=True, slots=True)
class Case:
    """A bundle of seeds."""

    model: str
    width: int
    batch: int
    optimizer: str = "adamw"
    parametrization: str = "mup"
    record: Record = "activations"
    options: Options = field(default_factory=dict)
    depth: int = 2
    members: int = MEMBERS

    @property
    def title(self) -> str:
        """What is unlike the default."""
        words = (self.model, f"width {self.width}", self.optimizer, self.parametrization)
        given = [f"{name} {value}" for name, value in self.options.items()]
        given += [f"depth {self.depth}"] if self.depth != 2 else []
        given += [f"{self.members} members"] if self.members != MEMBERS else []
        return ", ".join((*words, self.record, *given))


CASES = (
    Case("mlp", 2048, 64),
    Case("mlp", 256, 8192),
    Case("gpt", 128, 64),
    Case("gpt", 512, 8),
    Case("gpt", 512, 8, "sgd"),
    Case("gpt", 512, 8, "muon"),
    Case("gpt", 256, 8, "soap"),
    Case("gpt", 256, 8, "shampoo"),
    Case("gpt", 128, 8, options={"vocabulary": 32_768}),
    Case("gpt", 128, 8, options={"sequence_length": 512}),
    Case("gpt", 128, 64, options={"precision": "fp8"}),
    Case("gpt", 128, 64, options={"precision": "bfloat16"}),
    Case("gpt", 256, 16, record="standard"),
    Case("gpt", 256, 16, record="full"),
    Case("llama", 256, 32),
    Case("llama", 256, 32, parametrization="u_mup"),
    Case("llama", 256, 32, parametrization="u_mup", options={"precision": "fp8"}),
    Case("mlp", 1024, 256, "lion"),
    Case("mlp", 1024, 256, "adafactor"),
    Case("mlp", 1024, 256, "soap"),
    Case("mlp", 1024, 256, parametrization="ntk", record="standard"),
    Case("mlp", 1024, 256, record="full"),
    Case("gpt", 256, 16, "sophia"),
    Case("gpt", 256, 16, depth=4),
    Case("gpt", 256, 16, members=1),
    Case("gpt", 256, 16, members=16),
    Case("llama", 256, 16, record="standard"),
    Case("llama", 256, 16, record="full"),
    Case("resnet", 64, 64, options={"dataset": "digits"}),
    Case("resnet", 64, 64, record="full", options={"dataset": "digits"}),
)


def members(case: Case) -> list[RunSpec]:
    """The runs of a case."""
    rate = RATES.get(case.optimizer, 3e-3)
    variant = Variant(
        model=ModelSpec(name=case.model, batch_size=case.batch, options=dict(case.options)),
        parametrization=ParametrizationSpec(name=case.parametrization),
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
            steps=STEPS,
            record=case.record,
        )
        for seed in range(case.members)
    ]


def planned(case: Case) -> float:
    """MiB that the plan counts for the members."""
    return sum(costs.memory_bytes(run) for run in members(case)) / report.MIB


def measured(case: Case) -> float:
    """MiB by which training raised the peak of a fresh process."""
    place = str(CASES.index(case))
    command = [sys.executable, "-m", "benchmarks.memory", "--case", place]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def train(case: Case) -> None:
    """In the fresh process: print the peak above what a tiny bundle of the same kind left."""
    import resource

    import torch

    from muscope.lab import engine, fused

    engine.set_threads(1)
    fused.sums(one := torch.zeros(1, 64, 64), one)  # loads 120 MiB of compiler, once in a process
    costs.CPU_STACK_BYTES = 2**50  # all members in one stack, as on a GPU
    tiny = Case(
        case.model,
        SMALLEST.get(case.model, 64),
        1,
        case.optimizer,
        case.parametrization,
        case.record,
    )
    list(engine.train(members(tiny)))
    before = psutil.Process().memory_info().rss / report.MIB
    list(engine.train(members(case)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(peak - before))


def main() -> None:
    """Every case, with the ratio."""
    if "--case" in sys.argv:
        train(CASES[int(sys.argv[-1])])
        return
    options = report.arguments("MiB planned and measured.", repeat=1)
    for case in CASES:
        plan, real = planned(case), measured(case)
        figures = {"plan": f"{plan:.0f} MiB", "measured": f"{real:.0f} MiB"}
        ratio = {"measured / plan": f"{real / plan:.2f}"}
        report.say({"bundle": case.title, **figures, **ratio}, as_json=options.json)


if __name__ == "__main__":
    main()
