"""Exponents of depth: pre-norm blocks of two matrices (docs/facts.md 5.4)."""

from muscope.theory.expected.coordinates import Expectation, known
from muscope.theory.rule import Switches
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

DEPTH_TOLERANCE = 0.15
"""At step 4, where there is a depth rule; without one 0.25 (facts, section 10)."""

_SGD, _ADAM = UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE
# Columns of facts 5.4: the stream after the last block at step 0, its change, and the gradient of
# the blocks' weights at step 0. Where the facts give a range, or name a condition, is no entry.
_STREAM_AT_START = {"none": 0.5, "last_matrix": 0.0, "depth_mup": 0.0}
_CHANGE = {
    ("none", _ADAM): 1.0,
    ("last_matrix", _ADAM): 0.5,
    ("depth_mup", _ADAM): 0.0,
    ("depth_mup", _SGD): 0.0,
    ("complete_p", _ADAM): 0.0,
    ("complete_p", _SGD): 0.0,
}
_GRADIENT = {"depth_mup": -0.5, "complete_p": -1.0}

_SCHEME = {
    **dict.fromkeys(
        ("mup", "ntk", "mean_field", "spectral", "nanotron", "lingle", "everett"), "none"
    ),
    "cerebras": "last_matrix",
    "depth_mup": "depth_mup",
}


def depth_scheme(parametrization: str, options: Switches) -> str:
    """The row of facts 5.4 that a parametrization follows in depth; "" where there is none.

    MiniCPM divides its branches by the root of the depth and leaves the rates, u-µP has a scheme of
    its own: neither is there.
    """
    match parametrization:
        case "sp":
            return "last_matrix" if options["init"] == "gpt2" else "none"
        case "complete_p":
            return "complete_p" if options["alpha"] == 1 else "depth_mup"
        case _:
            return _SCHEME.get(parametrization, "")


def depth(
    scheme: str,
    family: UpdateFamily,
    *,
    role: Role,
    statistic: Statistic,
    step: int,
    kind: TensorKind = TensorKind.ACTIVATION,
) -> Expectation:
    """The exponent of depth that theory expects of the stream or of the blocks' gradients.

    Of the stream after the last block: its size at step 0 and its change in the first four steps.
    """
    exponent: float | None = None
    match kind, role, statistic:
        case TensorKind.ACTIVATION, Role.RESIDUAL, (Statistic.L1 | Statistic.RMS):
            exponent = _STREAM_AT_START.get(scheme) if step == 0 else None
        case TensorKind.ACTIVATION, Role.RESIDUAL, Statistic.CHANGE:
            exponent = _CHANGE.get((scheme, family)) if 1 <= step <= 4 else None
        case TensorKind.GRADIENT, Role.HIDDEN, (Statistic.L1 | Statistic.RMS):
            exponent = _GRADIENT.get(scheme) if step == 0 else None
        case _:
            pass
    return known(exponent, f"depth, scheme {scheme!r} (facts 5.4)")
