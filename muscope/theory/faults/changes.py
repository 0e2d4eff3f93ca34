"""What faults are made of: changes of one number of the rules of some roles.

Most are a power of the ratio that the rule asks for between a width and the base width: 0 leaves
the number as it is in the base model, 2 scales it twice, -1 multiplies where it should divide.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeAlias

from muscope.theory.faults.fault import Change, Weight
from muscope.theory.rule import WeightRule
from muscope.vocabulary import Role, UpdateFamily

Number: TypeAlias = Literal[
    "multiplier", "init_std", "learning_rate_factor", "weight_decay_factor", "epsilon_factor"
]


def ratio_to(power: float, number: Number, *roles: Role) -> Change:
    """The number at the base width, times the rule's own ratio to a power; no roles are all."""

    def change(weight: Weight) -> WeightRule:
        here, base = getattr(weight.rule, number), getattr(weight.base, number)
        if (roles and weight.dims.role not in roles) or not base:
            return weight.rule
        return replace(weight.rule, **{number: base * (here / base) ** power})

    return change


def times(
    factor: Callable[[Weight], float],
    number: Number,
    *roles: Role,
    families: tuple[UpdateFamily, ...] = (),
) -> Change:
    """The number times a factor; no roles, or no families, are all."""

    def change(weight: Weight) -> WeightRule:
        is_meant = not roles or weight.dims.role in roles
        if not is_meant or (families and weight.family not in families):
            return weight.rule
        return replace(weight.rule, **{number: getattr(weight.rule, number) * factor(weight)})

    return change


def width(power: float) -> Callable[[Weight], float]:
    """m to a power."""
    return lambda weight: float(weight.dims.m**power)


def rates_of(family: UpdateFamily, *instead_of: UpdateFamily) -> Change:
    """The learning rates that the rule has for another kind of optimizer."""

    def change(weight: Weight) -> WeightRule:
        if weight.family not in instead_of:
            return weight.rule
        other = weight.rule_of(weight.dims, family)
        return replace(weight.rule, learning_rate_factor=other.learning_rate_factor)

    return change


def rate_of_a_hidden_weight(*roles: Role) -> Change:
    """The ratio of learning rates that a square hidden weight has instead of that of its role."""

    def change(weight: Weight) -> WeightRule:
        if weight.dims.role not in roles:
            return weight.rule
        fans = weight.dims.fan_in, weight.dims.base_fan_in
        here, base = fans if weight.dims.role is Role.OUTPUT else _outputs(weight)
        square = replace(
            weight.dims,
            role=Role.HIDDEN,
            is_bias=False,
            fan_in=here,
            fan_out=here,
            base_fan_in=base,
            base_fan_out=base,
        )
        hidden = Weight(square, weight.family, weight.rule_of)
        ratio = hidden.rule.learning_rate_factor / hidden.base.learning_rate_factor
        return replace(weight.rule, learning_rate_factor=weight.base.learning_rate_factor * ratio)

    return change


def _outputs(weight: Weight) -> tuple[int, int]:
    return weight.dims.fan_out, weight.dims.base_fan_out


def with_base(factor: float) -> Change:
    """The rule of a base model that is so many times as wide as the right one."""

    def change(weight: Weight) -> WeightRule:
        dims = weight.dims
        wide_in, wide_out = (_grown(weight, side, factor) for side in ("in", "out"))
        other = replace(dims, base_fan_in=wide_in, base_fan_out=wide_out)
        return weight.rule_of(other, weight.family)

    return change


def with_base_of_its_width(weight: Weight) -> WeightRule:
    """The rule of a base model that is as wide as the model itself."""
    dims = weight.dims
    other = replace(dims, base_fan_in=dims.fan_in, base_fan_out=dims.fan_out)
    return weight.rule_of(other, weight.family)


_GROWING = {Role.HIDDEN: ("in", "out"), Role.OUTPUT: ("in",)}


def _grown(weight: Weight, side: str, factor: float) -> int:
    """The base's fan, wider where it grows with width."""
    fan = weight.dims.base_fan_in if side == "in" else weight.dims.base_fan_out
    grows = side in _GROWING.get(weight.dims.role, ("out",)) and weight.dims.role is not Role.SCALAR
    return round(fan * factor) if grows else fan


def both(one: Change, other: Change) -> Change:
    """Two changes of different numbers, as one mistake makes them."""

    def change(weight: Weight) -> WeightRule:
        found, right, second = one(weight), weight.rule, other(weight)
        changed = {
            name: getattr(second, name)
            for name in WeightRule.__slots__
            if getattr(second, name) != getattr(right, name)
        }
        return replace(found, **changed)

    return change


def without_depth(*numbers: Number) -> Change:
    """Those numbers as they are at the base depth."""

    def change(weight: Weight) -> WeightRule:
        shallow = weight.shallow
        return replace(weight.rule, **{number: getattr(shallow, number) for number in numbers})

    return change
