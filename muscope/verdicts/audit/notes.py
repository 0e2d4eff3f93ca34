"""What the reader of an audit should know: what it assumed, and what it cannot see."""

from collections import Counter
from collections.abc import Iterator, Sequence

from muscope.catalogue.rules import Choice
from muscope.own_model.facts import Built, pattern
from muscope.theory.rule import VECTORS
from muscope.verdicts.audit.compare import Compared
from muscope.verdicts.audit.finding import Quantity
from muscope.verdicts.audit.sentences import where
from muscope.vocabulary import DecayForm, Role

UNSEEN = (
    "A static audit sees neither attention scales nor residual multipliers, nor what happens after "
    "build, such as a second initialization: a coordinate check of your training does."
)


_FORM = (Quantity.STD, Quantity.RATE, Quantity.MULTIPLIER)
"""What tells the forms of a rule apart."""


def notes(models: Sequence[Built], compared: Sequence[Compared], choice: Choice) -> Iterator[str]:
    """One sentence each."""
    population = Counter(pattern(each.name) for each in compared)

    def names(chosen: Sequence[Compared]) -> str:
        return where([each.name for each in chosen], population)

    yield from _forms(compared, population)
    for remark in dict.fromkeys(each.role.remark for each in compared if each.role.remark):
        yield f"{names([each for each in compared if each.role.remark == remark])}: {remark}."
    if assumed := [each for each in compared if each.role.is_assumed]:
        yield f"The role was guessed, please look: {names(assumed)}; --roles corrects it."
    if vague := [each for each in compared if each.found.is_vague]:
        yield f"Too few values to tell how the std scales: {names(vague)}."
    outputs = [each for each in compared if each.role.role is Role.OUTPUT]
    if len(outputs) > 1:
        yield (
            f"Only fan_in grows, so these count as readouts: {names(outputs)}. A dimension that "
            "build keeps constant (kv heads, feed-forward) is finite to the rule."
        )
    if not models[-1].has_optimizer:
        yield (
            "build returned no optimizer: learning rates, decay and epsilon were not looked at; "
            "return (module, optimizer)."
        )
    gains = [each for each in compared if _is_trainable_gain(each)]
    if gains and choice.name != "sp":
        yield (
            f"Trainable gains move the best learning rate with width, unseen by a coordinate check "
            f"(Lingle 2024): {names(gains)}."
        )
    if l2 := [each for each in compared if _is_adam_with_l2(each)]:
        yield f"Adam with L2 decay has no clean rule for width (facts 3): {names(l2)}."
    yield UNSEEN


def _forms(compared: Sequence[Compared], population: Counter[str]) -> Iterator[str]:
    """Which form fits, and the multiplier that it takes for granted."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in compared:
        if each.role.role in VECTORS or each.form is None or not each.off.keys().isdisjoint(_FORM):
            continue
        power = each.power(each.wanted[Quantity.MULTIPLIER])
        if Quantity.MULTIPLIER in each.found.ratios:
            said = f"multiplies by m^{power:.2g}, as it should"
        elif abs(power) < 0.01:
            said = "assuming no multiplier that depends on width"
        else:
            said = (
                f"if forward() multiplies by m^{power:.2g}: a multiplier applied in forward() "
                "cannot be seen statically, only by a coordinate check of your training"
            )
        groups.setdefault((each.form.label, said), []).append(each.name)
    for (label, said), names in groups.items():
        yield f"Fits the rule ({label}), {said}: {where(names, population)}."


def of_depth(choice: Choice, in_depth: Sequence[Compared], knows_depth: bool) -> Iterator[str]:
    """Whether the depths that were asked for could be compared."""
    if in_depth and not knows_depth:
        yield (
            f"{choice.theory.title} says nothing of depth for these parameters, so the depths were "
            "not compared; depth_mup and complete_p do."
        )


def _is_trainable_gain(each: Compared) -> bool:
    values = each.here.values
    is_one = values.is_constant and values.mean != 0
    return each.role.role is Role.VECTOR and each.here.is_trainable and is_one


def _is_adam_with_l2(each: Compared) -> bool:
    decays = any(stepping.weight_decay for stepping in each.here.steppings)
    return decays and each.stepper.decay is DecayForm.L2 and each.stepper.family != "sgd_like"
