"""What a study will take and what it took, in sentences: the same everywhere."""

from collections.abc import Sequence

from muscope import timing
from muscope.budget import Budget
from muscope.machine import Machine
from muscope.plan import Plan
from muscope.reports import formats

NO_WORKER = "no worker is there, so nobody knows how long it takes"
NOT_CALIBRATED = "no worker has been calibrated yet, so nobody knows how long it takes"


def planned(plan: Plan, machines: Sequence[Machine], *, workers: int) -> str:
    """How long a study takes on the workers that are there, if they know what they can do."""
    if not machines:
        return NOT_CALIBRATED if workers else NO_WORKER
    where = "this worker" if len(machines) == 1 else f"these {len(machines)} workers"
    return f"{formats.about(timing.study_seconds(plan, machines))} on {where}"


def taken(budget: Budget) -> str:
    """`2.4 T FLOPs, time 14.2 s, peak memory 1.2 GiB, 38 % of the ceiling`, as far as known."""
    parts = [f"{formats.quantity(budget.flops)} FLOPs", f"time {formats.duration(budget.seconds)}"]
    if budget.planned_s is not None:
        parts[-1] += f" (planned {formats.duration(budget.planned_s)})"
    if budget.peak_bytes is not None:
        parts.append(f"peak memory {formats.size(budget.peak_bytes)}")
    if budget.fraction is not None:
        parts.append(f"{formats.share(budget.fraction)} of the matrix-product ceiling")
    return ", ".join(parts)
