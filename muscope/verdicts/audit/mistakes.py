"""What probably happened: tables from what deviates to the mistakes that people make (facts 9)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from muscope.own_model.roles import OwnRole
from muscope.verdicts.audit.finding import Quantity
from muscope.verdicts.audit.rates import Rates
from muscope.vocabulary import Role, UpdateFamily


@dataclass(frozen=True, slots=True)
class Symptom:
    """One deviation in powers of the width or depth: found, wanted, and what is around it.

    `rates` says what the rates of the whole model look like.
    """

    quantity: Quantity
    role: OwnRole
    family: UpdateFamily
    found: float
    wanted: float
    rates: Rates = Rates.OWN
    is_in_depth: bool = False

    @property
    def kind(self) -> Role:
        """The role; of tied weights the embedding's."""
        return self.role.role

    def is_found(self, power: float) -> bool:
        """Whether the quantity goes with that power of the width."""
        return math.isclose(self.found, power, abs_tol=0.05)

    def is_wanted(self, power: float) -> bool:
        """Whether it should."""
        return math.isclose(self.wanted, power, abs_tol=0.05)


Test = Callable[[Symptom], bool]

_LIKE_HIDDEN = (
    "the embedding is treated as a hidden weight: fan_in and fan_out are swapped (torch counts the "
    "width of nn.Embedding as fan_in)"
)

_STD: tuple[tuple[Test, str], ...] = (
    (
        lambda s: s.role.tied and s.is_found(s.wanted + 0.5),
        "the tied tensor was multiplied by √m as a readout, though as an embedding it was constant "
        "already (mup's set_base_shapes does that with MuSharedReadout, microsoft/mup#55)",
    ),
    (
        lambda s: s.is_found(0) and s.kind in (Role.HIDDEN, Role.OUTPUT),
        "one fixed std for every width, such as GPT-2's 0.02",
    ),
    (
        lambda s: s.kind is Role.HIDDEN and s.is_found(-1) and s.is_wanted(-0.5),
        "the std was divided by m where √m belongs, a variance used as a std; or it was scaled "
        "twice",
    ),
    (lambda s: s.kind is Role.EMBEDDING and s.is_found(-0.5), _LIKE_HIDDEN),
    (
        lambda s: s.kind is Role.OUTPUT and s.is_found(-0.5) and s.is_wanted(0),
        "the readout kept the initialization of SP, 1/√fan_in; the form asks for one that does not "
        "depend on width (mup: set_base_shapes, or mup.init)",
    ),
    (
        lambda s: s.kind is Role.OUTPUT and s.is_found(-0.5) and s.is_wanted(-1),
        "the readout is initialized like a hidden weight, 1/√fan_in; its std falls as 1/fan_in",
    ),
    (
        lambda s: s.kind in (Role.VECTOR, Role.SCALAR) and s.is_found(-0.5),
        "PyTorch's default for biases, 1/√fan_in of the weight, was kept (mup: set_base_shapes "
        "makes it constant)",
    ),
    (lambda s: s.is_found(s.wanted + 0.5), "one factor √m too much, as if it were scaled twice"),
    (lambda s: s.is_found(s.wanted - 0.5), "divided by √m once too often"),
    (lambda s: s.is_found(2 * s.wanted), "scaled twice"),
)

_RATE: tuple[tuple[Test, str], ...] = (
    (
        lambda s: s.rates is Rates.SPECTRAL_SGD,
        "fan_out/fan_in is the rule of SGD, used with an optimizer whose update does not depend on "
        "the size of the gradient (nanotron's code does that)",
    ),
    (
        lambda s: s.rates is Rates.SGD,
        "the rates are those of SGD, with an optimizer whose update does not depend on the size of "
        "the gradient",
    ),
    (lambda s: s.rates is Rates.ADAM, "the rates are those of Adam, with SGD"),
    (
        lambda s: s.family is UpdateFamily.ORTHOGONAL and s.is_found(-1) and s.is_wanted(0),
        "Muon's update already has the right size at every width: 1/m on top counts it twice",
    ),
    (
        lambda s: s.rates is Rates.SP,
        "one learning rate for every weight and width, as in SP: it was never scaled (mup: MuAdam "
        "or MuSGD instead of torch's)",
    ),
    (lambda s: s.is_found(0) and s.wanted < 0, "the learning rate is not divided by the width"),
    (lambda s: s.is_found(0) and s.wanted > 0, "the learning rate is not multiplied by the width"),
    (lambda s: s.is_found(2 * s.wanted), "the learning rate is scaled twice"),
    (lambda s: s.is_found(-s.wanted), "multiplied where it should be divided, or the reverse"),
    (
        lambda s: s.kind is Role.EMBEDDING and s.family is UpdateFamily.SIGN_LIKE and s.found < 0,
        _LIKE_HIDDEN,
    ),
    (
        lambda s: s.kind is Role.OUTPUT and s.is_found(-1),
        "the readout has the rate of a hidden weight (or of Table 3, with another table's std)",
    ),
    (
        lambda s: s.kind in (Role.VECTOR, Role.SCALAR) and s.is_found(-1),
        "biases and gains have the rate of hidden weights",
    ),
    (lambda s: s.is_found(s.wanted / 2), "√m where m belongs"),
)

_MULTIPLIER: tuple[tuple[Test, str], ...] = (
    (lambda s: s.is_found(0) and s.wanted < 0, "the readout's multiplier is missing"),
    (lambda s: s.is_found(2 * s.wanted), "the readout's multiplier is applied twice"),
)

_DECAY: tuple[tuple[Test, str], ...] = (
    (
        lambda s: s.is_found(0),
        "decay is coupled to the learning rate: the optimizer multiplies the two, so with a scaled "
        "rate and a constant decay the shrinking of this weight depends on width; divide the decay "
        "of its group by what its rate was multiplied with",
    ),
    (lambda s: s.is_found(-s.wanted), "divided where it should be multiplied, or the reverse"),
    (lambda s: s.is_found(2 * s.wanted), "scaled twice"),
)

_EPSILON: tuple[tuple[Test, str], ...] = (
    (
        lambda s: s.is_found(0),
        "epsilon was left as it is; it starts to matter where gradients, which shrink with the "
        "width, come close to it",
    ),
)

_IN_DEPTH: tuple[tuple[Test, str], ...] = (
    (lambda s: s.is_found(0), "the factor for depth is missing, as if only the width were scaled"),
    (lambda s: s.is_wanted(0), "it is scaled with depth, where the rule is not"),
    (lambda s: s.is_found(2 * s.wanted), "the factor for depth is applied twice"),
    (lambda s: s.is_found(-s.wanted), "multiplied where it should be divided, or the reverse"),
)

_TABLES = {
    Quantity.STD: _STD,
    Quantity.RATE: _RATE,
    Quantity.MULTIPLIER: _MULTIPLIER,
    Quantity.DECAY: _DECAY,
    Quantity.EPSILON: _EPSILON,
}


def likely(symptom: Symptom) -> str:
    """The first mistake of the table that fits; nothing where none does."""
    rows = _IN_DEPTH if symptom.is_in_depth else _TABLES.get(symptom.quantity, ())
    return next((words for test, words in rows if test(symptom)), "")
