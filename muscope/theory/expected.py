"""What theory expects of an activation: its exponent, the tolerance of *flat*, legal exceptions.

Everything here is a table with its source (theory/facts.md, section 5; the letters are
Tensor Programs V and the measurements made for this project). What no source gives is None.
"""

from dataclasses import dataclass
from typing import assert_never

from muscope.vocabulary import Role, Statistic, UpdateFamily

TOLERANCE = 0.10
"""Half-width of *flat* for every activation (facts 5.3, pass criteria)."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where in a study a slope was measured: all that its expectation depends on."""

    parametrization: str
    zero_readout: bool
    family: UpdateFamily
    role: Role
    statistic: Statistic
    step: int
    aligns_slowly: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """Theory's exponent of width, or None where no source gives one, and who says so."""

    exponent: float | None
    source: str


@dataclass(frozen=True, slots=True)
class LegalException:
    """A slope within [low, high] is no fault here. It excuses shrinking, never growing."""

    low: float
    high: float
    reason: str


_UNKNOWN = Expectation(None, "no source gives an exponent here")
_EXACT_ZERO = Expectation(None, "exactly zero with a zero readout (facts 5.1)")

# Rows *SP + SGD* and *SP + Adam* of facts 5.1, columns dact EMB, dact HID and dlogit; attention
# logits as measured in facts 5.3. The residual stream mixes roles: no source, no entry.
_SP_CHANGE_AFTER_ONE_STEP: dict[UpdateFamily, dict[Role, float]] = {
    UpdateFamily.SGD_LIKE: {Role.EMBEDDING: -0.5, Role.HIDDEN: 0.5, Role.OUTPUT: 1.0},
    UpdateFamily.SIGN_LIKE: {
        Role.EMBEDDING: 0.0,
        Role.HIDDEN: 1.0,
        Role.ATTENTION_LOGITS: 1.0,
        Role.OUTPUT: 1.5,
    },
}
# Columns upd OUT of the same rows: a zero readout lets nothing else move in the first step.
_SP_READOUT_UPDATE: dict[UpdateFamily, float] = {
    UpdateFamily.SGD_LIKE: 1.0,
    UpdateFamily.SIGN_LIKE: 1.0,
}
_ACTIVATION_ROLES = frozenset(
    (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.ATTENTION_LOGITS, Role.RESIDUAL)
)


def expectation(at: Coordinates) -> Expectation:
    """The exponent that theory expects of one activation at one step."""
    if at.role not in _ACTIVATION_ROLES:
        return _UNKNOWN
    if _is_exactly_zero(at):
        return _EXACT_ZERO
    match at.parametrization:
        case "mup":
            return _mup(at)
        case "sp":
            return _sp(at)
        case _:
            return _UNKNOWN


def legal_exception(at: Coordinates) -> LegalException | None:
    """The departure from flat that is legal here: µP's readout and slow alignment have one."""
    if at.parametrization != "mup":
        return None
    return _readout_exception(at) if at.role is Role.OUTPUT else _alignment_exception(at)


def _alignment_exception(at: Coordinates) -> LegalException | None:
    """What a sign-like update makes of nearly orthogonal token vectors, N directions of them.

    Its entries are +-lr/m, summed against an input of n entries: a part c * lr aligned with that
    input, c^2 ~ 1/N, beside an unaligned part lr / sqrt(n) (central limit). Their root mean square
    falls as sqrt(1/N + 1/n), with the local slope -N / (2 (N + n)): -0.15 over widths 64-512 at
    the N = 67 that was measured (docs/decisions/0016), fading above.
    """
    moves = at.aligns_slowly and at.statistic is Statistic.CHANGE and at.step > 0
    if at.family is not UpdateFamily.SIGN_LIKE or not moves:
        return None
    return LegalException(-0.20, 0.10, "sign-like updates align slowly with single tokens")


def _readout_exception(at: Coordinates) -> LegalException | None:
    """The bands of facts 5.3: a random readout at steps 0 and 1 to 4; then as a zero readout."""
    if not at.zero_readout and at.step == 0:
        return LegalException(-0.65, 0.10, "a random µP readout starts at the exponent -1/2")
    if not at.zero_readout and at.step <= 4:
        return LegalException(-0.60, 0.20, "a random µP readout recovers from the exponent -1/2")
    if at.step == 0 or at.family is not UpdateFamily.SIGN_LIKE:
        return None
    return LegalException(-0.20, 0.10, "a µP readout aligns slowly at finite width")


def _is_exactly_zero(at: Coordinates) -> bool:
    """With W_out = 0 the logits vanish at step 0, and no gradient passes it in the first step."""
    if not at.zero_readout:
        return False
    if at.statistic is Statistic.CHANGE:
        return at.step == 1 and at.role is not Role.OUTPUT
    return at.step == 0 and at.role is Role.OUTPUT


def _mup(at: Coordinates) -> Expectation:
    """Rows *muP + SGD* and *muP + Adam*: 0 everywhere, but for the logits of a random readout."""
    if at.role is not Role.OUTPUT or at.zero_readout:
        return Expectation(0.0, "µP keeps activations and their change flat (facts 5.1, 5.3)")
    if at.step == 0:
        return Expectation(-0.5, "µP logits at initialization (facts 5.1)")
    return _UNKNOWN  # the initial -1/2 fades into 0; how fast depends on the learning rate


def _sp(at: Coordinates) -> Expectation:
    """Rows *SP*: 0 at initialization; the change after one small step; later it saturates."""
    match at.statistic:
        case Statistic.L1 | Statistic.RMS:
            if at.step == 0:
                return Expectation(0.0, "SP is flat at initialization (facts 5.1, 5.3)")
            return _UNKNOWN
        case Statistic.CHANGE:
            return _sp_change(at)
        case _:
            assert_never(at.statistic)


def _sp_change(at: Coordinates) -> Expectation:
    if at.step != 1:
        return _UNKNOWN
    if at.zero_readout:
        exponent: float | None = _SP_READOUT_UPDATE[at.family]
    else:
        exponent = _SP_CHANGE_AFTER_ONE_STEP[at.family].get(at.role)
    if exponent is None:
        return _UNKNOWN
    return Expectation(exponent, "SP, change after one small step (facts 5.1, 5.2, 5.3)")
