"""Which faults no coordinate check can tell apart: those with equal powers, up to the abc-symmetry.

What a network computes depends on A·B of every weight and on A^p·C (p by the update family), not
on A, B and C by themselves (docs/facts.md, section 1). Epsilon and weight decay do not act under
the protocol of a coordinate check, unless epsilon is as large as gradients.
"""

import math
from collections import defaultdict
from dataclasses import replace
from typing import TypeAlias

from muscope.catalogue import broken, rules
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options
from muscope.catalogue.rules import Choice, Size
from muscope.theory import symmetry
from muscope.theory.faults.rates import LARGE
from muscope.theory.rule import WeightRule
from muscope.vocabulary import UpdateFamily

Signature: TypeAlias = tuple[tuple[str, float], ...]
"""(what, its power of the width or of the depth), in the order of the model."""

_BASE = 2**20
_HERE = Size(_BASE, 1, _BASE, 1)
_WIDE = Size(4 * _BASE, 1, _BASE, 1)
_DEEP = Size(_BASE, 4, _BASE, 1)
_ACTS = math.sqrt(LARGE)
"""An epsilon factor at the base width from which on epsilon is near the gradients."""


def classes(
    parametrization: Choice, optimizer: str, model: str, options: Options
) -> tuple[tuple[str, ...], ...]:
    """The faults that apply, those of equal signature together; "" is the healthy rule."""
    found: defaultdict[Signature, list[str]] = defaultdict(list)
    found[signature(parametrization.healthy, optimizer, model, options)].append("")
    for name in broken.applying(parametrization, optimizer, model, options):
        choice = replace(parametrization, fault=name)
        found[signature(choice, optimizer, model, options)].append(name)
    return tuple(tuple(names) for names in found.values())


def signature(parametrization: Choice, optimizer: str, model: str, options: Options) -> Signature:
    """Every power that a coordinate check could see."""
    numbers = [_numbers(parametrization, optimizer, model, options, size) for size in _SIZES]
    here, wide, deep = numbers
    return tuple(
        (f"{what}, {axis}", round(math.log(there[what] / here[what], 4), 6))
        for axis, there in (("width", wide), ("depth", deep))
        for what in here
    )


_SIZES = (_HERE, _WIDE, _DEEP)


def _numbers(
    parametrization: Choice, optimizer: str, model: str, options: Options, size: Size
) -> dict[str, float]:
    """What the function computed depends on; weights of every depth are those of one block."""
    entry = OPTIMIZERS[optimizer]
    dims = rules.dimensions(model, options, size)
    found = {
        "attention": rules.attention_scale(parametrization, model, options, size),
        "residual": rules.residual_multiplier(parametrization, model, options, size),
    }
    if options.get("tied_embeddings"):
        found["tied"] = rules.tied_multiplier(parametrization, optimizer, model, options, size)
    for name, rule in rules.weight_rules(parametrization, optimizer, dims).items():
        if dims[name].in_branch and not name.startswith("blocks.0."):
            continue
        found |= _of(name, rule, entry.family_of(dims[name].role))
    return found


def _of(name: str, rule: WeightRule, family: UpdateFamily) -> dict[str, float]:
    power = symmetry.POWER[family]
    found = {f"{name}: A^p C": rule.multiplier**power * rule.learning_rate_factor}
    if rule.init_std:
        found[f"{name}: A B"] = rule.multiplier * rule.init_std
    if rule.epsilon_factor > _ACTS:
        found[f"{name}: ε / A"] = rule.epsilon_factor / rule.multiplier
    return found
