"""Where a slope was measured, and what theory says there."""

from dataclasses import dataclass

from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

TOLERANCE = 0.10
"""Half-width of *flat* for every activation (facts 5.3, pass criteria)."""


@dataclass(frozen=True, slots=True)
class Powers:
    """How the rule of one weight depends on width: powers of n, over the widths of a study.

    `multiplier` of A, `rate` of C; `size` of |W_0|, None if it starts at zero; `spectral` of the
    norm of the effective matrix A W_0 over sqrt(fan_out / fan_in). `keeps_sizes` says that hidden
    layers hand on the size of what they are given; `readout` is then the power of the entries of
    the effective readout, and `backward` that of what the readout multiplies gradients with on
    their way back to this weight: the same, but where an operator has a backward scale of its own.
    None where they have no one power.
    """

    multiplier: float
    rate: float
    size: float | None
    spectral: float | None
    readout: float | None
    keeps_sizes: bool = True
    backward: float | None = None


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where in a study a slope was measured: all that its expectation depends on.

    `row` is what `row()` says of the parametrization, `family` that of the optimizer that steps
    weights of this role; `mixed` says that others are stepped by another. `attention_start` is the
    power of the attention logits at step 0 where the size of a head grows, None where it is fixed;
    `part` says which projection a weight is: "attention.q", "mlp.up" and the like, or nothing.
    """

    row: str
    zero_readout: bool
    family: UpdateFamily
    role: Role
    statistic: Statistic
    step: int
    aligns_slowly: bool = False
    kind: TensorKind = TensorKind.ACTIVATION
    mixed: bool = False
    sp_unembedding: bool = False
    zero_query: bool = False
    tied: bool = False
    attention_start: float | None = None
    powers: Powers | None = None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Theory's exponent, or None where no source gives one, and who says so."""

    exponent: float | None
    source: str


@dataclass(frozen=True, slots=True)
class LegalException:
    """A slope within [low, high] is no fault here.

    It excuses shrinking, never growing; but on depth, where theory itself says that without a rule
    a stream must grow, `growth` is excused too.
    """

    low: float
    high: float
    reason: str
    growth: bool = False


UNKNOWN = Expectation(None, "no source gives an exponent here")
ZERO_READOUT = Expectation(None, "exactly zero with a zero readout (facts 5.1)")
ZERO_QUERY = Expectation(None, "exactly zero with a zero query (facts 5.2)")


def known(exponent: float | None, source: str) -> Expectation:
    """The exponent with its source, or unknown."""
    return UNKNOWN if exponent is None else Expectation(exponent, source)
