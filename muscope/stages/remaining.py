"""How long a study still takes: what is left of it by the plan, at the pace that was measured."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from muscope import plan, timing
from muscope.machine import Machine
from muscope.plan import PlannedBundle
from muscope.spec import RunSpec, StudySpec
from muscope.stages import outlook
from muscope.verdicts.transfer.places import Place

ENOUGH_S = 1.0
"""Seconds of measured training after which their pace counts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A bundle that was asked for: one of its runs, how many, how much is done, in what time.

    `done` is a share; `seconds` are those that all of it took, None while it is not known.
    """

    run: RunSpec
    members: int
    done: float = 0.0
    seconds: float | None = None


def seconds(
    spec: StudySpec,
    asked: Sequence[Asked],
    machines: Sequence[Machine],
    begun: Collection[Place] | None = None,
) -> float | None:
    """Seconds until a study is over on machines that share it; None where none was measured.

    What a search usually asks for counts too, but at the places where it has `begun`; without any
    nothing more will be asked.
    """
    if not machines:
        return None
    ahead = () if begun is None else tuple(plan.bundles(outlook.likely(spec, begun)))
    alone = [_alone(asked, ahead, machine) for machine in machines]
    return 1.0 / math.fsum(1.0 / time for time in alone) if all(alone) else 0.0


def _alone(asked: Sequence[Asked], ahead: Sequence[PlannedBundle], machine: Machine) -> float:
    planned = [timing.seconds(one.run, one.members, machine) for one in asked]
    pairs = list(zip(asked, planned, strict=True))
    left = math.fsum(time * (1.0 - one.done) for one, time in pairs)
    left += math.fsum(timing.seconds(one.runs[0], len(one.runs), machine) for one in ahead)
    return left * _pace(pairs)


def _pace(pairs: Sequence[tuple[Asked, float]]) -> float:
    """By how much what has ended took longer than it was planned."""
    ended = [(one.seconds, time) for one, time in pairs if one.seconds is not None]
    taken = math.fsum(seconds for seconds, _ in ended)
    return taken / math.fsum(time for _, time in ended) if taken >= ENOUGH_S else 1.0
