"""Faults that are not about scaling: tensors that nobody steps, or two do, and a wrong base."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from muscope.catalogue.rules import Choice
from muscope.own_model.facts import Built, Parameter, pattern
from muscope.verdicts.audit.compare import Compared
from muscope.verdicts.audit.finding import Finding, Level, Quantity
from muscope.verdicts.audit.sentences import where
from muscope.vocabulary import UpdateFamily

ABSOLUTE = ("nanotron", "u_mup")
"""Rules without a base width."""

SMALLEST_BASE = 8
"""Nobody tunes a narrower model; rates that differ by such a factor were tuned apart."""


def findings(models: Sequence[Built]) -> Iterator[Finding]:
    """What is wrong with the model that was built last, whatever the rule."""
    model = models[-1]
    trainable = [parameter for parameter in model.parameters if parameter.is_trainable]
    if model.has_optimizer:
        missing = [p for p in trainable if not p.steppings]
        yield from _about(model, missing, "no optimizer holds it: it is never trained")
    twice = [p for p in model.parameters if len(p.steppings) > 1]
    yield from _about(model, twice, "it is in the optimizer more than once: it is stepped twice")
    if model.strangers:
        yield Finding(
            level=Level.DEVIATION,
            quantity=Quantity.OPTIMIZER,
            parameters=(),
            where="the optimizer",
            found=f"it holds {model.strangers} tensors that the model does not have",
            mistake="it was built before parameters were replaced, or for another model",
        )
    for parameter in model.parameters:
        if parameter.complaint:
            yield Finding(
                level=Level.DEVIATION,
                quantity=Quantity.MULTIPLIER,
                parameters=(parameter.name,),
                where=parameter.name,
                found=parameter.complaint,
            )


def _about(model: Built, guilty: Sequence[Parameter], found: str) -> Iterator[Finding]:
    if guilty:
        names = [parameter.name for parameter in guilty]
        population = Counter(pattern(parameter.name) for parameter in model.parameters)
        yield Finding(
            level=Level.DEVIATION,
            quantity=Quantity.OPTIMIZER,
            parameters=tuple(names),
            where=where(names, population),
            found=found,
        )


def base_findings(compared: Sequence[Compared], choice: Choice) -> Iterator[Finding]:
    """At the base width all rates are the base rate; in those that scale, another base shows.

    It only changes constants, which is why it is a warning: somebody may have tuned the rates one
    by one.
    """
    if choice.name in ABSOLUTE or any(Quantity.RATE in each.off for each in compared):
        return
    by_stepper: dict[tuple[str, UpdateFamily], dict[float, list[Compared]]] = {}
    for each in compared:
        if each.base.steppings and each.base.is_trainable and each.wanted:
            stepper = each.base.steppings[0].class_name, each.stepper.family
            power = round(each.power(each.wanted[Quantity.RATE]), 2)
            by_stepper.setdefault(stepper, {}).setdefault(power, []).append(each)
    population = Counter(pattern(each.name) for each in compared)
    for by_power in by_stepper.values():
        constant = _common_rate(by_power.pop(0.0, []))
        for power, scaled in by_power.items():
            yield from _other_base(scaled, constant, power, population)


def _other_base(
    scaled: Sequence[Compared], constant: float | None, power: float, population: Counter[str]
) -> Iterator[Finding]:
    rate = _common_rate(scaled)
    if rate is None or constant is None or _is_same(rate, constant):
        return
    base = scaled[0].sizes.base_width
    implied = base * (rate / constant) ** (-1 / power)
    if round(implied) < SMALLEST_BASE or not _is_same(implied, round(implied)):
        return
    names = [each.name for each in scaled]
    yield Finding(
        level=Level.WARNING,
        quantity=Quantity.BASE,
        parameters=tuple(names),
        where=where(names, population),
        found=f"at the base width {base} the learning rate is {rate / constant:.3g} times that of "
        "parameters whose rate does not scale",
        rule="at the base width all have the base rate",
        mistake=f"the code has base width {round(implied)}, the audit {base}",
    )


def _common_rate(group: Sequence[Compared]) -> float | None:
    """The learning rate at the base width, if it is one."""
    rates = [each.base.steppings[0].learning_rate for each in group]
    return rates[0] if rates and rates[0] and _is_same(min(rates), max(rates)) else None


def _is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=0.02)
