"""The faults of a library against the slopes of one variant, the likeliest first."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from muscope.theory.faults.fault import Fault, Visibility
from muscope.verdicts.diagnosis import scoring
from muscope.verdicts.diagnosis.observed import Group, Observation
from muscope.verdicts.diagnosis.sizes import Key
from muscope.verdicts.slopes import Floats
from muscope.vocabulary import Axis

SAME = 0.03
"""Exponents that no study of a few octaves tells apart: a seed spreads by 0.06 (exponents.md)."""

FELT = 0.1
"""The tolerance of flat: a fault that moves no slope by more is not seen here."""

_VISIBLE = (Visibility.WIDTH, Visibility.DEPTH)


@dataclass(frozen=True)
class Ranking:
    """All that was seen of one variant, and what every rule makes of it.

    Rule 0 is the healthy one, rule i + 1 that of `faults[i]`. `exponents` are those of every
    tensor, recorded or not, along each axis; `known` is what is known of every rule beside slopes,
    as a logarithm of plausibility.
    """

    faults: Sequence[Fault]
    observations: Sequence[Observation]
    exponents: Mapping[Axis, Mapping[Key, Floats]]
    known: Floats | float = 0.0

    @cached_property
    def _own_logs(self) -> list[Floats]:
        return [scoring.log_likelihood(each) for each in self.observations]

    @cached_property
    def groups(self) -> dict[Group, Floats]:
        """The log-likelihood of every rule, group by group."""
        return scoring.by_group(self.observations, self._own_logs)

    @cached_property
    def logs(self) -> Floats:
        """The log-likelihood of every rule."""
        return scoring.total(self.groups, len(self.faults) + 1) + self.known

    @cached_property
    def signatures(self) -> Floats:
        """What every rule adds to every slope that was read, (slopes, rules)."""
        rows = [each.signature for each in self.observations]
        return np.array(rows).reshape(len(rows), len(self.faults) + 1)

    @cached_property
    def classes(self) -> tuple[tuple[int, ...], ...]:
        """The rules that are felt, those of one signature together, in the order of the library."""
        found: list[list[int]] = []
        for rule in range(1, len(self.faults) + 1):
            if not self._is_felt(rule):
                continue
            alike = next((group for group in found if self._are_alike(group[0], rule)), None)
            if alike is None:
                found.append([rule])
            else:
                alike.append(rule)
        return tuple(map(tuple, found))

    def _is_felt(self, rule: int) -> bool:
        visible = any(where in _VISIBLE for where in self.faults[rule - 1].visible)
        return visible and bool((np.abs(self.signatures[:, rule]) > FELT).any())

    def _are_alike(self, one: int, other: int) -> bool:
        apart = np.abs(self.signatures[:, one] - self.signatures[:, other])
        return bool((apart < SAME).all())

    @cached_property
    def ranked(self) -> tuple[tuple[int, ...], ...]:
        """The classes, the likeliest first; of equally likely ones that with fewer changes."""
        ordered = sorted(self.classes, key=lambda of: (-self.logs[of[0]], self._size(of[0])))
        best: dict[str, tuple[int, ...]] = {}
        for rules in ordered:
            best.setdefault(self.faults[rules[0] - 1].name, rules)
        return tuple(best.values())

    def _size(self, rule: int) -> int:
        """How many slopes it moves: the parsimony of an explanation."""
        return int((np.abs(self.signatures[:, rule]) > FELT).sum())

    @cached_property
    def healthy_share(self) -> float:
        """How plausible it is that nothing is broken."""
        logs = np.array([self.logs[0], *(self.logs[rules[0]] for rules in self.ranked)])
        logs[0] += scoring.HEALTHY_ODDS + np.log(max(len(self.ranked), 1))
        return float(scoring.shares(logs)[0])

    def is_better_than_healthy(self, rules: Sequence[int]) -> bool:
        """Whether a class explains the slopes better than that nothing is broken."""
        return bool(self.logs[rules[0]] > self.logs[0])

    def shares_among(self, listed: Sequence[Sequence[int]]) -> Floats:
        """The plausibility of classes that are named, shared out among them."""
        logs = np.array([self.logs[rules[0]] for rules in listed])
        return scoring.shares(logs / scoring.TEMPER)

    def gains(self, rule: int, over: int = 0) -> Iterator[tuple[Observation, float]]:
        """Every slope with how much better a rule explains its group, shared out in the group."""
        sizes = Counter(each.group for each in self.observations)
        for each, own in zip(self.observations, self._own_logs, strict=True):
            yield each, float(own[rule] - own[over]) / sizes[each.group]
