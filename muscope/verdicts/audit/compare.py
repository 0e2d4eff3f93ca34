"""Every parameter of a model against the form of the rule that the model is nearest to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from muscope.catalogue.rules import Choice
from muscope.own_model.facts import Parameter
from muscope.own_model.roles import OwnRole
from muscope.theory.rule import VECTORS
from muscope.verdicts.audit.finding import Quantity
from muscope.verdicts.audit.forms import Form, Stepper, dimensions, for_role, forms
from muscope.verdicts.audit.pairs import Pair
from muscope.verdicts.audit.rates import Rates, look_like
from muscope.verdicts.audit.ratios import Found, Ratios
from muscope.verdicts.audit.sizes import Sizes

CLEARLY = 0.25
"""Forms differ by powers of 1/2 and 1; what is nearer by less is nearer by noise."""

Candidate = tuple[Form, Ratios]


@dataclass(frozen=True, slots=True)
class Compared:
    """A parameter at two sizes, and the nearest form of the rule.

    `form` is None where no form has a rule for it (tied weights, in some). `off` is
    ln(found/wanted) of what deviates.
    """

    pair: Pair
    form: Form | None
    wanted: Ratios
    off: Mapping[Quantity, float] = field(default_factory=dict)

    @property
    def here(self) -> Parameter:
        """The parameter at the audited size."""
        return self.pair.here

    @property
    def base(self) -> Parameter:
        """The parameter in the base model."""
        return self.pair.base

    @property
    def name(self) -> str:
        """The parameter's."""
        return self.pair.here.name

    @property
    def role(self) -> OwnRole:
        """What it is to the network."""
        return self.pair.role

    @property
    def sizes(self) -> Sizes:
        """Which two sizes."""
        return self.pair.sizes

    @property
    def stepper(self) -> Stepper:
        """What its rule of learning rates depends on."""
        return self.pair.stepper

    @property
    def found(self) -> Found:
        """What was measured."""
        return self.pair.found

    @property
    def rate_factor(self) -> float | None:
        """What the rule makes of a base learning rate of 1; None where it has no rule."""
        if self.form is None:
            return None
        here, _ = dimensions(self.role, self.role.role, self.sizes)
        return self.form.rule(here, self.stepper).learning_rate_factor

    def power(self, ratio: float) -> float:
        """The power of the width, or depth, that a ratio is."""
        return math.log(ratio) / math.log(self.sizes.growth)


def compare(pairs: Sequence[Pair], choice: Choice) -> list[Compared]:
    """Every pair with its form; ValueError where no source gives it a rule."""
    given = _nearest_first(pairs, choice)
    return [_compared(pair, given) for pair in pairs]


def _nearest_first(pairs: Sequence[Pair], choice: Choice) -> tuple[Form, ...]:
    """The form that the whole model is nearest to; of equally near ones the usual one."""
    given = forms(choice)
    if look_like(pairs, choice) is Rates.SP:
        return given
    matrices = [pair for pair in pairs if pair.role.role not in VECTORS]
    distances = [sum(_distance(form, pair) for pair in matrices) for form in given]
    nearest = min(range(len(given)), key=lambda number: distances[number])
    if distances[0] <= distances[nearest] + CLEARLY:
        return given
    return (given[nearest], *(form for form in given if form is not given[nearest]))


def _distance(form: Form, pair: Pair) -> float:
    """How far off, in powers of the width; 1 where the form has no rule."""
    offs = [pair.found.off(wanted) for wanted in form.wanted(pair.role, pair.stepper, pair.sizes)]
    return min((_size(off) / abs(math.log(pair.sizes.growth)) for off in offs), default=1.0)


def _compared(pair: Pair, given: tuple[Form, ...]) -> Compared:
    candidates = [
        (form, wanted)
        for form in for_role(given, pair.role.role)
        for wanted in form.wanted(pair.role, pair.stepper, pair.sizes)
    ]
    if not candidates:
        return Compared(pair, None, {})
    candidates += _torch_biases(candidates, pair)
    form, wanted = _choose(candidates, pair, given[0])
    return Compared(pair, form, wanted, pair.found.off(wanted))


def _torch_biases(candidates: Sequence[Candidate], pair: Pair) -> list[Candidate]:
    """PyTorch's biases are 1/sqrt(fan_in) of their weight under SP (facts 2.1, column a)."""
    here, base = pair.here.owner_fan_in, pair.base.owner_fan_in
    if candidates[0][0].choice.name != "sp" or not here or not base:
        return []
    std = (here / base) ** -0.5
    return [(form, {**wanted, Quantity.STD: std}) for form, wanted in candidates]


def _choose(candidates: Sequence[Candidate], pair: Pair, nearest: Form) -> Candidate:
    """The model's form, if the tensor fits it; another that it fits by two numbers; the nearest.

    One number alone is no evidence for another form: of three tables one nearly always fits it.
    """
    two_numbers = {Quantity.STD, Quantity.RATE} <= pair.found.ratios.keys()
    own = [candidate for candidate in candidates if candidate[0] == nearest]
    may_mix = not own or two_numbers or pair.role.role in VECTORS
    allowed = [*own, *(candidates if may_mix else ())]
    fitting = (candidate for candidate in allowed if not _size(pair.found.off(candidate[1])))
    near = min(own or candidates, key=lambda candidate: _size(pair.found.off(candidate[1])))
    return next(fitting, near)


def _size(off: Mapping[Quantity, float]) -> float:
    """Std, rate and multiplier tell the forms apart; decay and epsilon only follow them."""
    telling = (Quantity.MULTIPLIER, Quantity.STD, Quantity.RATE)
    return sum(abs(off.get(quantity, 0.0)) for quantity in telling)
