"""Numbers of one parameter at one width over those at the base width: found, and wanted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from muscope.own_model.facts import Parameter, Values
from muscope.theory.rule import VECTORS, WeightRule
from muscope.verdicts.audit.finding import Quantity
from muscope.vocabulary import Role

STANDARD_ERRORS = 5.0
"""A std may differ by so many of its standard errors: one false alarm in a million tensors."""

SAME_STD = math.log(1.05)
SAME_NUMBER = math.log(1.02)
"""Numbers that somebody rounded, such as a learning rate of 3.3e-4, are still the same."""

ONE_MISTAKE = 0.25
"""The smallest power of the width that a mistake changes a std by is 1/2; half of it is the bar."""

Ratios = Mapping[Quantity, float]
COMPARED = (
    Quantity.MULTIPLIER,
    Quantity.STD,
    Quantity.RATE,
    Quantity.DECAY,
    Quantity.EPSILON,
)


@dataclass(frozen=True, slots=True)
class Found:
    """The ratios that could be measured, with the tolerance of the std's, in ln."""

    ratios: Ratios
    std_tolerance: float
    is_vague: bool

    def off(self, wanted: Ratios) -> dict[Quantity, float]:
        """ln(found / wanted) of everything that deviates beyond its tolerance.

        A decay that is as wrong as its rate, the other way round, shrinks the weight as it should:
        the rate alone is the mistake.
        """
        logs = {
            quantity: math.log(ratio / wanted[quantity])
            for quantity, ratio in self.ratios.items()
            if quantity in wanted
        }
        deviating = {q: log for q, log in logs.items() if abs(log) > self._tolerance(q)}
        if (
            abs(deviating.get(Quantity.DECAY, 0.0) + deviating.get(Quantity.RATE, 0.0))
            < SAME_NUMBER
        ):
            deviating.pop(Quantity.DECAY, None)
        return deviating

    def _tolerance(self, quantity: Quantity) -> float:
        return self.std_tolerance if quantity is Quantity.STD else SAME_NUMBER


def found(here: Parameter, base: Parameter, m: float) -> Found:
    """What was measured at a width m times the base's."""
    std, error = _size_ratio(here.values, base.values)
    tolerance = max(SAME_STD, STANDARD_ERRORS * error)
    is_vague = std is not None and tolerance > max(SAME_STD, ONE_MISTAKE * abs(math.log(m)))
    ratios = {
        Quantity.MULTIPLIER: _ratio(here.multiplier, base.multiplier),
        Quantity.STD: None if is_vague else std,
        **_stepping_ratios(here, base),
    }
    known = {quantity: ratio for quantity, ratio in ratios.items() if ratio is not None}
    return Found(known, tolerance, is_vague)


def _size_ratio(here: Values, base: Values) -> tuple[float | None, float]:
    """(ratio of the stds, or of the values if all are the same number; its standard error)."""
    if here.is_constant and base.is_constant:
        return _ratio(abs(here.mean), abs(base.mean)), 0.0
    if here.is_constant or base.is_constant:
        return None, 0.0
    return here.std / base.std, math.hypot(here.log_error, base.log_error)


def _stepping_ratios(here: Parameter, base: Parameter) -> dict[Quantity, float | None]:
    if len(here.steppings) != 1 or len(base.steppings) != 1 or not here.is_trainable:
        return {}
    mine, other = here.steppings[0], base.steppings[0]
    return {
        Quantity.RATE: _ratio(mine.learning_rate, other.learning_rate),
        Quantity.DECAY: _ratio(mine.weight_decay, other.weight_decay),
        Quantity.EPSILON: _ratio(mine.epsilon, other.epsilon),
    }


def _ratio(here: float | None, base: float | None) -> float | None:
    """None where a number is missing or zero: a readout that starts at zero has no scale."""
    return here / base if here and base and here > 0 and base > 0 else None


def wanted(here: WeightRule, base: WeightRule, role: Role) -> dict[Quantity, float]:
    """What the rule asks for. A vector starts at 0 or 1 over its multiplier, not at random."""
    multiplier = here.multiplier / base.multiplier
    std = 1 / multiplier if role in VECTORS else here.init_std / base.init_std
    return {
        Quantity.MULTIPLIER: multiplier,
        Quantity.STD: std,
        Quantity.RATE: here.learning_rate_factor / base.learning_rate_factor,
        Quantity.DECAY: here.weight_decay_factor / base.weight_decay_factor,
        Quantity.EPSILON: here.epsilon_factor / base.epsilon_factor,
    }
