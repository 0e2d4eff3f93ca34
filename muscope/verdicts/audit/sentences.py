"""Deviations of many parameters as few findings: one for those that deviate in the same way."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from muscope.own_model.facts import Parameter, pattern
from muscope.verdicts.audit.compare import Compared
from muscope.verdicts.audit.finding import Finding, Level, Quantity
from muscope.verdicts.audit.mistakes import Symptom, likely
from muscope.verdicts.audit.rates import Rates
from muscope.verdicts.audit.sizes import Sizes
from muscope.vocabulary import Role

NAMED = 4
"""Kinds of parameters that a finding spells out."""

_Key = tuple[Quantity, Level, str, str, float, float, str, Sizes]


def findings(compared: Sequence[Compared], rates: Rates) -> Iterator[Finding]:
    """What does not scale, and what is wrong with single tensors."""
    population = Counter(pattern(each.name) for each in compared)
    yield from scaling(compared, rates)
    yield from _without_a_rule(compared, population)
    yield from _not_centred(compared, population)


def scaling(compared: Sequence[Compared], rates: Rates = Rates.OWN) -> Iterator[Finding]:
    """One finding for all parameters with the same deviation."""
    population = Counter(pattern(each.name) for each in compared)
    groups: dict[_Key, list[Compared]] = defaultdict(list)
    for each in compared:
        for quantity in each.off:
            groups[_key(each, quantity, rates)].append(each)
    for key, members in groups.items():
        yield _finding(key, members, population)


def _key(each: Compared, quantity: Quantity, rates: Rates) -> _Key:
    """What makes two deviations one."""
    ratio, wanted = each.found.ratios[quantity], each.wanted[quantity]
    role = "" if quantity is Quantity.EPSILON else each.role.word
    formula = each.form.formula(each.role.role) if each.form and role else ""
    found, asked = each.power(ratio), each.power(wanted)
    family, in_depth = each.stepper.family, each.sizes.is_in_depth
    mistake = likely(Symptom(quantity, each.role, family, found, asked, rates, in_depth))
    level = Level.WARNING if _is_usual(each, quantity) else Level.DEVIATION
    powers = round(found, 1), round(asked, 1)
    return quantity, level, role, formula, *powers, mistake, each.sizes


def _is_usual(each: Compared, quantity: Quantity) -> bool:
    """A constant epsilon is what mup and most code have; the tables of µP do not mention it."""
    return quantity is Quantity.EPSILON and abs(each.power(each.found.ratios[quantity])) < 0.01


def _finding(key: _Key, members: list[Compared], population: Counter[str]) -> Finding:
    quantity, level, _, formula, _, _, mistake, _ = key
    worst = max(members, key=lambda each: abs(each.off[quantity]))
    rule = f"∝ {_power(worst, worst.wanted[quantity])}"
    return Finding(
        level=level,
        quantity=quantity,
        parameters=tuple(each.name for each in members),
        where=where([each.name for each in members], population),
        found=f"the {quantity.value} goes as {_found(worst, quantity)}",
        rule=f"{rule}; {formula}" if formula else rule,
        factor=math.exp(worst.off[quantity]),
        mistake=mistake,
    )


def _found(each: Compared, quantity: Quantity) -> str:
    here, base = (_number(p, quantity) for p in (each.here, each.base))
    there, place = each.sizes.places
    power = _power(each, each.found.ratios[quantity])
    return f"{power} ({base:.3g} at {there}, {here:.3g} at {place})"


def _power(each: Compared, ratio: float) -> str:
    power = each.power(ratio)
    return f"{each.sizes.letter}^{0.0 if abs(power) < 0.005 else power:.2f}"


def _number(parameter: Parameter, quantity: Quantity) -> float:
    values = parameter.values
    number = {
        Quantity.STD: abs(values.mean) if values.is_constant else values.std,
        Quantity.MULTIPLIER: parameter.multiplier,
    }
    if quantity not in number:
        stepping = parameter.steppings[0]
        number = {
            Quantity.RATE: stepping.learning_rate,
            Quantity.DECAY: stepping.weight_decay,
            Quantity.EPSILON: stepping.epsilon,
        }
    return number[quantity] or 0.0


def where(names: Sequence[str], population: Counter[str]) -> str:
    """`blocks.*.attn.q.weight: 12 tensors`; those that are not all of their kind one by one."""
    kinds = Counter(map(pattern, names))
    words = [
        kind if count == population[kind] else _some(kind, count, population, names)
        for kind, count in kinds.items()
    ]
    if len(words) > NAMED:
        words = [*words[:NAMED], f"{len(words) - NAMED} more"]
    text = ", ".join(words)
    return text if len(names) == 1 else f"{text} ({len(names)} tensors)"


def _some(kind: str, count: int, population: Counter[str], names: Sequence[str]) -> str:
    if count == 1:
        return next(name for name in names if pattern(name) == kind)
    return f"{kind} ({count} of {population[kind]})"


def _without_a_rule(compared: Sequence[Compared], population: Counter[str]) -> Iterator[Finding]:
    for each in compared:
        if each.form is None:
            yield Finding(
                level=Level.DEVIATION,
                quantity=Quantity.TIES,
                parameters=(each.name, *each.here.aliases),
                where=where([each.name], population),
                found=f"it is tied to {', '.join(each.here.aliases)}, and the rule gives embedding "
                "and readout different learning rates",
                rule="one tensor has one learning rate; of µP's tables, 8 and 9 allow ties",
            )


def _not_centred(compared: Sequence[Compared], population: Counter[str]) -> Iterator[Finding]:
    """A mean in a matrix has a spectral norm that grows faster than that of its noise."""
    names = [
        each.name
        for each in compared
        if each.role.role in (Role.HIDDEN, Role.OUTPUT) and _has_mean(each.here)
    ]
    if names:
        yield Finding(
            level=Level.DEVIATION,
            quantity=Quantity.MEAN,
            parameters=tuple(names),
            where=where(names, population),
            found="the initial values have a mean that is not zero",
            rule="W₀ ~ N(0, B²)",
        )


def _has_mean(parameter: Parameter) -> bool:
    values = parameter.values
    noise = values.std / math.sqrt(values.count)
    return abs(values.mean) > max(0.2 * values.std, 5 * noise)
