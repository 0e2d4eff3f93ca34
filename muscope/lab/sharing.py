"""Members that start alike: what they have in common is computed once.

Runs of one seed and parametrization that differ in learning rate have the same weights, and so the
same forward and gradients, until their first update.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from muscope.lab import parametrize
from muscope.plan import weights
from muscope.spec import RunSpec
from muscope.theory.rule import WeightRule

Start: TypeAlias = tuple[object, ...]
"""All that decides a member's weights, multipliers and data before its first update."""


@dataclass(frozen=True, slots=True)
class Scales:
    """What a parametrization makes of the weights of a run, whatever its seed and rate."""

    rules: dict[str, WeightRule]
    multipliers: dict[str, float]
    start: Start


def scales(members: Sequence[RunSpec]) -> list[Scales]:
    """Those of every member, computed once for members of one variant and base."""
    known: dict[tuple[object, ...], Scales] = {}
    for run in members:
        if _scaled_by(run) not in known:
            known[_scaled_by(run)] = _scales(run)
    return [known[_scaled_by(run)] for run in members]


def _scaled_by(run: RunSpec) -> tuple[object, ...]:
    return (id(run.variant), run.base_width, run.base_depth, *sorted(run.tuned.items()))


def _scales(run: RunSpec) -> Scales:
    rules, multipliers = parametrize.rules(run), parametrize.multipliers(run)
    first_values = (
        (rules[entry.name].init_std, entry.start / rules[entry.name].multiplier)
        for entry in weights(run)
    )
    return Scales(rules, multipliers, (*first_values, *multipliers.items()))


def starts(members: Sequence[RunSpec], scales: Sequence[Scales]) -> list[Start]:
    """What members must have in common to start alike."""
    return [(run.seed, of.start) for run, of in zip(members, scales, strict=True)]


def alike_together(starts: Sequence[Start]) -> list[int]:
    """The places of members in an order that leaves those that start alike side by side."""
    first = {start: place for place, start in reversed(list(enumerate(starts)))}
    return sorted(range(len(starts)), key=lambda place: (first[starts[place]], place))


def distinct(starts: Sequence[Start]) -> tuple[Tensor, Tensor]:
    """The places of the first of each kind, and for every member the place of its kind there."""
    kinds: dict[Start, int] = {}
    kind_of = [kinds.setdefault(start, len(kinds)) for start in starts]
    firsts = [kind_of.index(kind) for kind in range(len(kinds))]
    return torch.tensor(firsts), torch.tensor(kind_of)
