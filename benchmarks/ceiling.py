"""How much of the machine's matrix-product rate the training of a wide MLP reaches.

Counted are the products with weights (`operations`), timed are whole steps: forward, backward,
AdamW and the statistics of activations.
"""

import statistics
import time
from collections.abc import Callable

import torch

from benchmarks import report
from muscope import plan
from muscope.lab import engine
from muscope.lab.environment import device
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant

WIDTH, DEPTH, BATCH, MEMBERS, STEPS = 1024, 4, 256, 4, 12
SIDES = {"cpu": 2048, "cuda": 8192}
"""Of the square product that is the ceiling."""


def members() -> list[RunSpec]:
    """Four seeds; a GPU computes in bfloat16."""
    precision = "bfloat16" if device().type == "cuda" else "float32"
    variant = Variant(
        model=ModelSpec(name="mlp", batch_size=BATCH, options={"precision": precision}),
        parametrization=ParametrizationSpec(name="mup"),
        optimizer=OptimizerSpec(name="adamw", learning_rate=3e-3),
    )
    return [
        RunSpec(
            variant=variant,
            width=WIDTH,
            depth=DEPTH,
            base_width=WIDTH,
            base_depth=DEPTH,
            seed=seed,
            steps=STEPS,
        )
        for seed in range(MEMBERS)
    ]


def operations(run: RunSpec) -> float:
    """Of one member's step: 2 P per example and weight forward; backward two such products.

    The first layer needs none for its inputs. Updates, statistics and nonlinearities count nothing.
    """
    first, *others = (weight.parameters for weight in plan.weights(run))
    return float(2 * BATCH * (2 * first + 3 * sum(others)))


def step_rate() -> float:
    """Operations per second of the median step, the first two left out."""
    runs, times = members(), []
    before = time.perf_counter()
    for record in engine.train(runs):
        now = time.perf_counter()
        if 2 < record.step < STEPS:  # the last step only measures
            times.append(now - before)
        before = now
    return len(runs) * operations(runs[0]) / statistics.median(times)


def product_rate() -> float:
    """Operations per second of a large square product."""
    side = SIDES[device().type]
    dtype = torch.bfloat16 if device().type == "cuda" else torch.float32
    one, other = torch.randn(2, side, side, device=device()).to(dtype)
    taken = [_seconds(lambda: one @ other) for _ in range(6)]
    return 2 * side**3 / statistics.median(taken[1:])


def _seconds(work: Callable[[], object]) -> float:
    _wait()
    started = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Both in turn, so that a busy minute hits both; medians and their ratio."""
    options = report.arguments("Share of the matrix-product rate.", repeat=5)
    engine.set_threads(0)
    pairs = [(product_rate(), step_rate()) for _ in range(options.repeat)]
    ceiling, reached = (statistics.median(column) for column in zip(*pairs, strict=True))
    share = statistics.median(mine / most for most, mine in pairs)
    report.say(
        {
            "training": f"MLP, width {WIDTH}, depth {DEPTH}, batch {BATCH}, {MEMBERS} members",
            "threads": str(torch.get_num_threads()),
            "product": f"{ceiling / 1e9:,.0f} GFLOP/s",
            "steps": f"{reached / 1e9:,.0f} GFLOP/s",
            "share": f"{share:.2f}",
        },
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
