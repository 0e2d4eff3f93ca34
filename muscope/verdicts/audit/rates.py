"""Whose rule the learning rates of a whole model follow, if not their own."""

import math
from collections.abc import Sequence
from enum import StrEnum

from muscope.catalogue.rules import Choice
from muscope.verdicts.audit.finding import Quantity
from muscope.verdicts.audit.forms import Form, Stepper, forms
from muscope.verdicts.audit.pairs import Pair
from muscope.verdicts.audit.ratios import SAME_NUMBER
from muscope.vocabulary import Role, UpdateFamily


class Rates(StrEnum):
    """What the rates look like; `own` if like nothing else that is known."""

    OWN = "own"
    SP = "sp"
    SGD = "sgd"
    ADAM = "adam"
    SPECTRAL_SGD = "spectral sgd"


def look_like(pairs: Sequence[Pair], choice: Choice) -> Rates:
    """Which mistake with rates explains all of them; that of Muon and its like, none does."""
    rated = [pair for pair in pairs if Quantity.RATE in pair.found.ratios]
    families = {pair.stepper.family for pair in rated}
    with_adam = families == {UpdateFamily.SIGN_LIKE}
    if not rated or UpdateFamily.ORTHOGONAL in families:
        return Rates.OWN
    if with_adam and _are_spectral(rated):
        return Rates.SPECTRAL_SGD
    if all(_is_close(pair, 1.0) for pair in rated):
        return Rates.SP
    if with_adam and _follow(rated, UpdateFamily.SGD_LIKE, choice):
        return Rates.SGD
    if families == {UpdateFamily.SGD_LIKE} and _follow(rated, UpdateFamily.SIGN_LIKE, choice):
        return Rates.ADAM
    return Rates.OWN


def _are_spectral(rated: Sequence[Pair]) -> bool:
    """Whether hidden rates are proportional to fan_out/fan_in, of which there are several."""
    aspects = []
    for pair in rated:
        if pair.role.role is Role.HIDDEN:
            fan_in, fan_out = pair.role.fans[pair.sizes.width]
            aspects.append((fan_out / fan_in, pair.here.steppings[0].learning_rate))
    if len({round(aspect, 6) for aspect, _ in aspects}) < 2:
        return False
    over = [rate / aspect for aspect, rate in aspects]
    return max(over) / min(over) < math.exp(SAME_NUMBER)


def _follow(rated: Sequence[Pair], family: UpdateFamily, choice: Choice) -> bool:
    """Whether all rates are the rule's for another family, in one of its forms."""
    if family not in choice.theory.families:
        return False
    return any(all(_follows(form, pair, family) for pair in rated) for form in forms(choice))


def _follows(form: Form, pair: Pair, family: UpdateFamily) -> bool:
    wanted = form.wanted(pair.role, Stepper(family, pair.stepper.decay), pair.sizes)
    return any(_is_close(pair, ratios[Quantity.RATE]) for ratios in wanted)


def _is_close(pair: Pair, wanted: float) -> bool:
    return abs(math.log(pair.found.ratios[Quantity.RATE] / wanted)) < SAME_NUMBER
