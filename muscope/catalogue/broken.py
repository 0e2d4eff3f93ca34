"""Where a fault changes anything: it is refused where it would be the healthy rule."""

import contextlib
import math
from dataclasses import replace

from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES
from muscope.catalogue.rules import (
    Choice,
    Size,
    attention_scale,
    dimensions,
    residual_multiplier,
    tied_multiplier,
    weight_rules,
)
from muscope.theory.faults import FAULTS

_LARGE = Size(2**22, 4, 2**20, 1)
"""Wide enough for every number and size of heads; only ratios matter."""


def complaint(parametrization: Choice, optimizer: str, model: str, options: Options) -> str | None:
    """Why this cannot be broken so, or None where it can or nothing is."""
    name = parametrization.fault
    if not name:
        return None
    if name not in FAULTS:
        return f"unknown fault {name!r}; allowed: {', '.join(FAULTS)}"
    if PARAMETRIZATION_ENTRIES[parametrization.name].operators == "unit_scaled":
        return (
            f"fault {name!r}: faults change the rules of plain operators, and those of "
            f"{parametrization.name!r} are scaled by themselves; take parametrization 'mup'"
        )
    try:
        if applies(parametrization, optimizer, model, options):
            return None
    except ValueError as error:
        return f"fault {name!r} takes other rules of the parametrization: {error}"
    return (
        f"fault {name!r} ({FAULTS[name].title}) changes nothing in parametrization "
        f"{parametrization.title} with optimizer {optimizer!r} and model {model!r}; faults that "
        f"do: {', '.join(applying(parametrization, optimizer, model, options))}"
    )


def applying(parametrization: Choice, optimizer: str, model: str, options: Options) -> list[str]:
    """The faults that change anything."""
    found = []
    for name in FAULTS:
        with contextlib.suppress(ValueError):  # no source has the other rules that it takes
            if applies(replace(parametrization, fault=name), optimizer, model, options):
                found.append(name)
    return found


def applies(parametrization: Choice, optimizer: str, model: str, options: Options) -> bool:
    """Whether the fault changes any number that the run has, of some wider and deeper model."""
    broken, healthy = (
        _numbers(choice, optimizer, model, options)
        for choice in (parametrization, parametrization.healthy)
    )
    return any(not math.isclose(number, broken[name]) for name, number in healthy.items())


def _numbers(
    parametrization: Choice, optimizer: str, model: str, options: Options
) -> dict[str, float]:
    """All that a rule decides, at a larger size; decay and epsilon where the optimizer has them."""
    dims = dimensions(model, options, _LARGE)
    entry = OPTIMIZERS[optimizer]
    found: dict[str, float] = {
        "attention": attention_scale(parametrization, model, options, _LARGE),
        "residual": residual_multiplier(parametrization, model, options, _LARGE),
    }
    if options.get("tied_embeddings"):
        found["tied"] = tied_multiplier(parametrization, optimizer, model, options, _LARGE)
    for name, rule in weight_rules(parametrization, optimizer, dims).items():
        known = {option.name for option in OPTIMIZERS[entry.for_role(dims[name].role)].options}
        found[f"{name}: multiplier"] = rule.multiplier
        found[f"{name}: std"] = rule.init_std
        found[f"{name}: rate"] = rule.learning_rate_factor
        if "weight_decay" in known:
            found[f"{name}: decay"] = rule.weight_decay_factor
        if "epsilon" in known:
            found[f"{name}: epsilon"] = rule.epsilon_factor
    return found
