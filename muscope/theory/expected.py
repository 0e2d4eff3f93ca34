"""What theory expects of an activation: its exponent, the tolerance of *flat*, legal exceptions.

Everything here is a table with its source (theory/facts.md, section 5; the letters are
Tensor Programs V and the measurements made for this project). What no source gives is None.
"""

from dataclasses import dataclass
from typing import assert_never

from muscope.theory.rule import Switches
from muscope.vocabulary import Role, Statistic, UpdateFamily

TOLERANCE = 0.10
"""Half-width of *flat* for every activation (facts 5.3, pass criteria)."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where in a study a slope was measured: all that its expectation depends on.

    `row` is what `row()` says of the parametrization.
    """

    row: str
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

_HIDDEN_FLAT: dict[Role, float] = dict.fromkeys(
    (Role.EMBEDDING, Role.HIDDEN, Role.ATTENTION_LOGITS, Role.RESIDUAL), 0.0
)
_FLAT = _HIDDEN_FLAT | {Role.OUTPUT: 0.0}

# Columns *act hid t0* and *logit t0* of facts 5.1. The logits of nanotron and of spectral µP
# depend on whether the model is wider than its vocabulary: no entry.
_AT_INITIALIZATION: dict[str, dict[Role, float]] = {
    "sp": _FLAT,
    "ntk": _FLAT,
    "ntk_fixed": _FLAT,
    "everett": _FLAT,
    "mean_field_fixed": _HIDDEN_FLAT | {Role.OUTPUT: -0.5},
    "spectral": _HIDDEN_FLAT,
    "nanotron": _HIDDEN_FLAT,
    "sp_fixed_std": {Role.EMBEDDING: 0.0},
}
# Columns upd EMB, dact HID and dlogit of facts 5.1; attention logits as measured in facts 5.3. The
# residual stream mixes roles: no source, no entry. Everett's logits rise by up to 1/2: no entry.
_SGD, _ADAM = UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE
_CHANGE_AFTER_ONE_STEP: dict[tuple[str, UpdateFamily], dict[Role, float]] = {
    ("sp", _SGD): {Role.EMBEDDING: -0.5, Role.HIDDEN: 0.5, Role.OUTPUT: 1.0},
    ("sp", _ADAM): {
        Role.EMBEDDING: 0.0,
        Role.HIDDEN: 1.0,
        Role.ATTENTION_LOGITS: 1.0,
        Role.OUTPUT: 1.5,
    },
    ("sp_fixed_std", _ADAM): {Role.EMBEDDING: 0.0},
    ("ntk", _SGD): {Role.EMBEDDING: -0.5, Role.HIDDEN: -0.5, Role.OUTPUT: 0.0},
    ("ntk", _ADAM): {Role.EMBEDDING: 0.0, Role.HIDDEN: 0.0},
    ("ntk_fixed", _SGD): {Role.EMBEDDING: -0.5, Role.HIDDEN: -0.5, Role.OUTPUT: 0.0},
    ("ntk_fixed", _ADAM): {Role.EMBEDDING: 0.0, Role.HIDDEN: 0.5, Role.OUTPUT: 1.0},
    ("mean_field_fixed", _SGD): {Role.EMBEDDING: -1.0, Role.HIDDEN: -1.0, Role.OUTPUT: -1.0},
    ("everett", _ADAM): {Role.EMBEDDING: 0.0, Role.HIDDEN: 0.0},
    ("nanotron", _ADAM): {Role.HIDDEN: 1.0, Role.ATTENTION_LOGITS: 1.0},
}
# Columns upd OUT of the same rows: a zero readout lets nothing else move in the first step.
_READOUT_UPDATE: dict[tuple[str, UpdateFamily], float] = {
    ("sp", _SGD): 1.0,
    ("sp", _ADAM): 1.0,
    ("ntk", _SGD): 0.0,
    ("ntk", _ADAM): 0.0,
    ("ntk_fixed", _SGD): 0.0,
    ("ntk_fixed", _ADAM): 0.5,
    ("mean_field_fixed", _SGD): -1.0,
    ("everett", _ADAM): 0.0,
    ("nanotron", _ADAM): 0.0,
}
_ROW = {
    **dict.fromkeys(("lingle", "depth_mup", "complete_p"), "mup"),
    **{name: name for name in ("spectral", "nanotron")},
}
# Where options decide between two rows: the row with these options, the row otherwise.
_VARIANT_ROWS: dict[str, tuple[Switches, str, str]] = {
    "sp": ({"init": "gpt2"}, "sp_fixed_std", "sp"),
    "ntk": ({"rates": "fixed"}, "ntk_fixed", "ntk"),
    "mean_field": ({"rates": "fixed"}, "mean_field_fixed", "mup"),
    "mup": ({"trust_ratio_rate": "low_rank"}, "mup", ""),
    "cerebras": (
        {
            "scale_output_logits_by_d": True,
            "decoder_attention": 0.0,
            "decoder_input_ffn": 0.0,
            "decoder_output_ffn": 0.0,
        },
        "mup",
        "",
    ),
    "minicpm": ({"all_are_2d": False}, "mup", ""),
}
_ACTIVATION_ROLES = frozenset(
    (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.ATTENTION_LOGITS, Role.RESIDUAL)
)


def row(parametrization: str, options: Switches) -> str:
    """The row of facts 5.1 that a parametrization follows in width; "" where there is none.

    What is abc-equivalent to µP, or is µP's Table 3 or 8 with constants of its own, is "mup".
    """
    if parametrization == "everett":
        return _everett(options)
    if parametrization in _VARIANT_ROWS:
        asked, row, other = _VARIANT_ROWS[parametrization]
        return row if all(options[name] == value for name, value in asked.items()) else other
    return _ROW.get(parametrization, "")


def _everett(options: Switches) -> str:
    if options["alignment"] != "full":
        return ""
    return "everett" if options["form"] in ("sp", "ntk") else "mup"


def expectation(at: Coordinates) -> Expectation:
    """The exponent that theory expects of one activation at one step."""
    if at.role not in _ACTIVATION_ROLES:
        return _UNKNOWN
    if _is_exactly_zero(at):
        return _EXACT_ZERO
    if at.row == "mup":
        return _mup(at)
    match at.statistic:
        case Statistic.L1 | Statistic.RMS:
            exponent = _AT_INITIALIZATION.get(at.row, {}).get(at.role) if at.step == 0 else None
            return _known(exponent, f"{at.row}, at initialization (facts 5.1, 5.3)")
        case Statistic.CHANGE:
            return _known(_change(at), f"{at.row}, change after one small step (facts 5.1 to 5.3)")
        case _:
            assert_never(at.statistic)


def legal_exception(at: Coordinates) -> LegalException | None:
    """The departure from flat that is legal here: µP's readout and slow alignment have one."""
    if at.row != "mup":
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
    """Rows *muP*: 0 everywhere, but for the logits of a random readout.

    For the families without a row of their own, the learning rates are chosen to make it so
    (facts 2.11, 2.12 and 3).
    """
    if at.role is not Role.OUTPUT or at.zero_readout or at.statistic is Statistic.CHANGE:
        return Expectation(0.0, "µP keeps activations and their change flat (facts 5.1, 5.3)")
    if at.step == 0:
        return Expectation(-0.5, "µP logits at initialization (facts 5.1)")
    return _UNKNOWN  # the initial -1/2 fades into 0; how fast depends on the learning rate


def _change(at: Coordinates) -> float | None:
    """Later steps saturate: only the first has an exponent."""
    if at.step != 1:
        return None
    if at.zero_readout:
        return _READOUT_UPDATE.get((at.row, at.family))
    return _CHANGE_AFTER_ONE_STEP.get((at.row, at.family), {}).get(at.role)


def _known(exponent: float | None, source: str) -> Expectation:
    return _UNKNOWN if exponent is None else Expectation(exponent, source)
