"""A schedule multiplies the update of every weight by one factor: their ratios survive it."""

import pytest
import torch
from torch import Tensor

from muscope.catalogue import with_defaults
from muscope.catalogue.optimizers import SCHEDULE
from muscope.lab import feed, models
from muscope.lab.stack import Stack
from muscope.spec import RunSpec
from muscope.theory import schedules
from tests.lab.specs import run

STEPS = 10
TOLERANCE = 1e-4  # float32: an update of about 1e-2 is the difference of weights of about 1


def member(optimizer: str = "sgd", **options: str | float) -> RunSpec:
    return run(
        optimizer=optimizer,
        learning_rate=1.0,
        steps=STEPS,
        zero_readout=False,  # behind a zero one, nothing else has a gradient
        options=dict(options),
    )


def update_of(run: RunSpec, step: int) -> dict[str, Tensor]:
    """What update number `step` does to each weight, all of them from the initial weights."""
    stack = stack_of(run)
    before = dict(stack.parameters.weights)
    stack.step = step - 1
    stack.advance()
    return {name: stack.parameters.weights[name] - before[name] for name in before}


def stack_of(run: RunSpec) -> Stack:
    spec = run.variant.model
    model = models.build(spec.name, run.width, run.depth, dict(spec.options))
    return Stack(model, feed.Source(run), [run])


@pytest.mark.parametrize("step", [1, 4, STEPS])
@pytest.mark.parametrize("schedule", schedules.READS)
def test_every_weight_is_stepped_by_the_same_factor(schedule: str, step: int) -> None:
    options: dict[str, str | float] = {"schedule": schedule, "warmup_steps": 2}
    factor = schedules.factor(step, STEPS, with_defaults(options, SCHEDULE))
    plain, scheduled = update_of(member(), step), update_of(member(**options), step)
    for name, update in plain.items():
        torch.testing.assert_close(scheduled[name], factor * update, rtol=TOLERANCE, atol=1e-7)


def test_no_weight_decays_to_an_absolute_minimum() -> None:
    """With an absolute one, the weights of small rates would keep more than the others."""
    plain = update_of(member("lion"), STEPS)
    last = update_of(member("lion", schedule="cosine"), STEPS)
    shares = [float(last[name].norm() / plain[name].norm()) for name in plain]
    assert max(shares) == pytest.approx(min(shares), rel=TOLERANCE)
    assert max(shares) < 0.05


@pytest.mark.parametrize(("optimizer", "decay"), [("lion", 0.1), ("adamw_independent", 0.1)])
def test_coupled_and_independent_decay_follow_the_schedule_once(
    optimizer: str, decay: float
) -> None:
    """s_t * eta * lambda and s_t * lambda' (facts 3): the whole update has one factor."""
    options = {"weight_decay": decay}
    plain = update_of(member(optimizer, **options), 1)
    half = update_of(member(optimizer, warmup_steps=2, **options), 1)
    for name, update in plain.items():
        torch.testing.assert_close(half[name], update / 2, rtol=TOLERANCE, atol=1e-6)
