"""What a rule's own numbers say before anything is measured: is it meant to move sizes, and how?"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from muscope.catalogue import rules
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.rules import Size
from muscope.theory.faults import FAULTS
from muscope.theory.faults.fault import Fault, Weight
from muscope.theory.rule import WeightRule
from muscope.theory.symmetry import POWER
from muscope.verdicts.diagnosis.numbers import Numbers, Question
from muscope.verdicts.diagnosis.ranking import FELT, Ranking
from muscope.verdicts.slopes import Floats
from muscope.vocabulary import Axis, Role, Statistic, TensorKind, UpdateFamily

_DECIDING = (
    (TensorKind.ACTIVATION, Statistic.L1),
    (TensorKind.ACTIVATION, Statistic.CHANGE),
    (TensorKind.WEIGHT, Statistic.CONTRIBUTION),
)


def is_meant_to_move(ranking: Ranking) -> bool:
    """Whether the rule itself, with nothing broken, moves sizes with the width.

    Logits and attention logits that start small do not count: they recover.
    """
    deciding = [
        each
        for each in ranking.observations
        if each.group[0] is Axis.WIDTH and (each.group[1], each.group[3]) in _DECIDING
    ]
    grows = any(each.healthy + each.below > FELT for each in deciding)
    return grows or any(each.step and each.healthy + each.above < -FELT for each in deciding)


class _Asked(Protocol):
    """What was trained, over which widths."""

    @property
    def question(self) -> Question: ...
    @property
    def widths(self) -> Sequence[int]: ...
    @property
    def depths(self) -> Sequence[int]: ...
    @property
    def base_width(self) -> int: ...
    @property
    def base_depth(self) -> int: ...


def of_rule(trained: _Asked) -> Iterator[Fault]:
    """SGD's rates of matrices with Adam, where the rule's rates are fan_out / fan_in of each.

    That is the spectral rule of SGD (Yang et al. 2023; docs/facts.md 2.5), whatever the shape, and
    so known from the numbers alone. Lookup tables and vectors may have another rate there.
    """
    if _rates_are_those_of_sgd(trained.question, trained.widths[0]):
        yield replace(FAULTS[_SGD_RATES], change=_of_matrices)


_SGD_RATES = "sgd_rates_with_adam"


def _of_matrices(weight: Weight) -> WeightRule:
    if weight.dims.fan_in == 1:
        return weight.rule
    return FAULTS[_SGD_RATES].change(weight)


def _rates_are_those_of_sgd(question: Question, width: int) -> bool:
    if OPTIMIZERS[question.optimizer].family_of(Role.HIDDEN) is UpdateFamily.SGD_LIKE:
        return False
    size = Size(width, 1, width, 1)
    dims = rules.dimensions(question.model, question.options, size)
    found = rules.weight_rules(question.parametrization, question.optimizer, dims)
    matrices = [name for name, weight in dims.items() if weight.fan_in > 1]
    shapes = {(dims[name].fan_out, dims[name].fan_in) for name in matrices}
    return len(shapes) > 1 and all(
        math.isclose(
            found[name].learning_rate_factor,
            (dims[name].fused_fan_out or dims[name].fan_out) / dims[name].fan_in,
        )
        for name in matrices
    )


def of_numbers(own: _Asked, ideal: _Asked, faults: Sequence[Fault], *, favoured: int) -> Floats:
    """How plausible each fault of the ideal is, as a logarithm, by the rule's own numbers alone.

    What a network computes depends on A B of every weight and on A^p C (p by the update family,
    facts 1): so much as these powers of the width differ from the rule's, it is another rule. The
    first `favoured` faults are what the numbers say beside powers.
    """
    mine, theirs = _functions(own, ()), _functions(ideal, faults)
    apart = np.sum([np.abs(theirs[name] - power) for name, power in mine.items()], axis=0)
    known: Floats = -_PER_POWER * np.minimum(apart, _FAR)
    known[1 : 1 + favoured] += _PER_POWER
    relative: Floats = known - known[0]
    return relative


_PER_POWER = 3.0
"""A whole power of the width in one weight: as much as a slope that is far off."""

_FAR = 4.0
"""Powers by which a rule is another one altogether."""


def _functions(asked: _Asked, faults: Sequence[Fault]) -> dict[str, Floats]:
    """The powers of A B and of A^p C of every weight, healthy and under each fault."""
    ends = (min(asked.widths), max(asked.widths))
    sizes = [Size(width, asked.depths[0], asked.base_width, asked.base_depth) for width in ends]
    found: dict[str, Floats] = {}
    for name, layer in Numbers(asked.question, faults, sizes).layers.items():
        found[f"{name}: C"] = _power(layer.multiplier ** POWER[layer.family] * layer.rate, ends)
        if (layer.std > 0).all():
            found[f"{name}: B"] = _power(layer.multiplier * layer.std, ends)
    return found


def _power(numbers: Floats, ends: tuple[int, int]) -> Floats:
    power: Floats = np.log(numbers[:, 1] / numbers[:, 0]) / math.log(ends[1] / ends[0])
    return power


def multiplies_alike(one: _Asked, other: _Asked) -> bool:
    """Whether two rules have multipliers of the same powers: then all their numbers compare."""
    return all(
        math.isclose(mine, theirs, abs_tol=1e-9)
        for mine, theirs in zip(_powers(one), _powers(other), strict=True)
    )


def _powers(asked: _Asked) -> list[float]:
    """The power of every weight's multiplier, far above any vocabulary."""
    question, found = asked.question, []
    for width in _WIDE:
        dims = rules.dimensions(question.model, question.options, Size(width, 1, _WIDE[0], 1))
        weights = rules.weight_rules(question.parametrization, question.optimizer, dims)
        found.append([rule.multiplier for rule in weights.values()])
    octaves = math.log(_WIDE[1] / _WIDE[0])
    return [math.log(wide / narrow) / octaves for narrow, wide in zip(*found, strict=True)]


_WIDE = (2**20, 2**22)
