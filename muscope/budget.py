"""What bundles took, beside what they were planned to take: FLOPs, time, peak memory, ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from muscope import costs, timing
from muscope.machine import Machine
from muscope.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Budget:
    """What the training of one bundle took, beside what its plan said.

    The first step, which also builds the weights, is `warm_up_s` and not in `train_s`. `fraction`
    is what was achieved of `ceiling`, the FLOP/s of the machine's best matrix product; both and
    `planned_s` are missing where the machine was not measured.
    """

    warm_up_s: float
    train_s: float
    flops: float
    peak_bytes: int | None
    planned_s: float | None = None
    ceiling: float | None = None
    fraction: float | None = None

    @property
    def seconds(self) -> float:
        """The time, first step included."""
        return self.warm_up_s + self.train_s


def of_bundle(
    members: Sequence[RunSpec],
    *,
    warm_up_s: float,
    train_s: float,
    peak_bytes: int | None,
    machine: Machine | None,
    taken_by: Sequence[RunSpec] = (),
) -> Budget:
    """What a bundle took, with the plan and the ceiling of the machine if that was measured.

    Its fraction is of the planned FLOPs after the first step, over the time after it. `taken_by`
    are the members with the steps that they took, where some were stopped early.
    """
    run = members[0]
    flops = sum(map(costs.flops, taken_by or members))
    taken = Budget(warm_up_s=warm_up_s, train_s=train_s, flops=flops, peak_bytes=peak_bytes)
    if machine is None or train_s <= 0:
        return taken
    ceiling = machine.ceiling_of(timing.precision(run))
    return replace(
        taken,
        planned_s=timing.seconds(run, len(members), machine),
        ceiling=ceiling,
        fraction=flops * _after_the_first_step(run.steps) / train_s / ceiling,
    )


def total(budgets: Sequence[Budget]) -> Budget | None:
    """Of several bundles, one after the other; nothing of none.

    The fraction is that of the time they took together, and missing where one lacks its own.
    """
    if not budgets:
        return None
    peaks = [one.peak_bytes for one in budgets if one.peak_bytes is not None]
    plans = [one.planned_s for one in budgets if one.planned_s is not None]
    possible = sum(one.train_s * (one.ceiling or 0.0) for one in budgets)
    achieved = sum(one.train_s * (one.ceiling or 0.0) * (one.fraction or 0.0) for one in budgets)
    is_complete = len(plans) == len(budgets)
    return Budget(
        warm_up_s=sum(one.warm_up_s for one in budgets),
        train_s=sum(one.train_s for one in budgets),
        flops=sum(one.flops for one in budgets),
        peak_bytes=max(peaks, default=None),
        planned_s=sum(plans) if is_complete else None,
        ceiling=max(one.ceiling or 0.0 for one in budgets) if is_complete else None,
        fraction=achieved / possible if is_complete and possible else None,
    )


def _after_the_first_step(steps: int) -> float:
    """Each step is a forward and a backward, the last one a forward: 3 and 1 of 3 steps + 1."""
    return (3 * (steps - 1) + 1) / (3 * steps + 1)
