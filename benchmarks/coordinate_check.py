"""A coordinate check of an MLP against `mup.coord_check.get_coord_data`, side by side.

The same model, batch, learning rate, seeds and steps. mup records the l1 of every matrix's output;
muscope records l1, rms and the change since step 0 of the same. Both check µP, and both see the
model before the first update and after three; mup takes a fourth, after which nobody looks.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import mup
import torch
from mup.coord_check import get_coord_data
from torch import Tensor, nn

from benchmarks import report
from muscope import plan
from muscope.lab import data, engine
from muscope.lab.environment import device
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec

MODEL = ModelSpec(name="mlp", batch_size=64)
PIXELS, CLASSES = 64, 10
DEPTH, SEEDS, FORWARDS, RATE = 2, 5, 4, 3e-3
WIDTHS = ((64, 128, 256), (64, 128, 256, 512, 1024))
Widths = tuple[int, ...]


def mlp(width: int) -> nn.Module:
    """The MLP of muscope's catalogue as a user of mup writes it."""
    layers: list[nn.Module] = [nn.Linear(PIXELS, width, bias=False), nn.ReLU()]
    for _ in range(DEPTH):
        layers += [nn.Linear(width, width, bias=False), nn.ReLU()]
    readout = mup.MuReadout(width, CLASSES, bias=False, readout_zero_init=True)
    return nn.Sequential(*layers, readout)


def lazy(width: int, base: int) -> Callable[[], nn.Module]:
    """What makes the model with its base shapes: called once per seed, as mup asks for."""
    shapes = mup.make_base_shapes(mlp(base), mlp(2 * base))
    return lambda: mup.set_base_shapes(mlp(width), shapes)


def is_matrix(name: str) -> bool:
    """Whether a module is one of the matrices, whose outputs muscope records."""
    return name.isdecimal() and int(name) % 2 == 0


def theirs(widths: Widths) -> int:
    """How many numbers mup took."""
    models = {width: lazy(width, widths[0]) for width in widths}
    batch: list[tuple[Tensor, Tensor]] = [tuple(data.batch(MODEL))]
    found = get_coord_data(
        models,
        batch,
        optimizer="adam",
        lr=RATE,
        nsteps=FORWARDS,
        nseeds=SEEDS,
        cuda=device().type == "cuda",
        flatten_input=True,
        filter_module_by_name=is_matrix,
        show_progress=False,
    )
    return len(found)


def ours(widths: Widths) -> int:
    """How many numbers muscope took."""
    spec = StudySpec(
        name="coordinate check",
        arms=(Arm(model=MODEL, optimizers=(OptimizerSpec(name="adam", learning_rate=RATE),)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=widths,
        depths=(DEPTH,),
        seeds=SEEDS,
        steps=FORWARDS - 1,
    )
    return sum(
        value is not None
        for bundle in plan.plan(spec).bundles
        for record in engine.train(bundle.runs)
        for row in record.measurements
        for value in row.values
    )


def seconds(work: Callable[[Widths], int], widths: Widths) -> float:
    """How long it takes, the device's queue included: both read their numbers on the host."""
    started = time.perf_counter()
    assert work(widths) >= len(widths) * SEEDS * FORWARDS * (DEPTH + 2)
    return time.perf_counter() - started


def pairs(widths: Widths, repeat: int) -> Iterator[tuple[float, float]]:
    """Both in turn, after one of each that is not counted."""
    seconds(ours, widths[:2])
    seconds(theirs, widths[:2])
    for _ in range(repeat):
        yield seconds(ours, widths), seconds(theirs, widths)


def main() -> None:
    """Medians and their ratio."""
    options = report.arguments("Seconds of a coordinate check of an MLP.", repeat=7)
    engine.set_threads(0)
    for widths in WIDTHS:
        found = zip(*pairs(widths, options.repeat), strict=True)
        mine, others = (statistics.median(column) for column in found)
        report.say(
            {
                "widths": f"{widths[0]}–{widths[-1]}",
                "threads": str(torch.get_num_threads()),
                "muscope": f"{mine:.3f} s",
                "mup": f"{others:.3f} s",
                "ratio": f"{others / mine:.2f}",
            },
            as_json=options.json,
        )


if __name__ == "__main__":
    main()
