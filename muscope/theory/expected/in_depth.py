"""Exponents of depth: pre-norm blocks of two matrices (docs/facts.md 5.4)."""

from muscope.theory.expected.coordinates import Expectation, LegalException, known
from muscope.theory.rule import Switches
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

DEPTH_TOLERANCE = 0.15
"""At step 4, where there is a depth rule (facts 10.4)."""
DEPTH_TOLERANCE_WITHOUT_RULE = 0.25
"""Where there is none: the embedding mixes in (facts 5.4 and 10.4)."""
JUDGED_FROM = 4
"""The step from which the change of the stream is judged; that is where the facts measured."""
EARLY_TOLERANCE = 0.5
"""Before it: the first updates of all blocks compound, the more the fewer blocks there are. A GPT
of depths 2 to 8 has +1.42 at step 1 without a rule (theory +1), and +0.81 at step 4; one of depths
2 and 4 under Depth-µP +0.30 (theory 0), and +0.11."""

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


_COMPLETE_P = LegalException(
    -0.65, DEPTH_TOLERANCE, "CompleteP's branches die out with depth where they dominate the stream"
)
"""Facts 5.4: the size starts with 0 where the embedding dominates, with -1/2 where the branches do,
and so does its change (-0.33 at full branches, -0.07 at small ones: docs/exponents.md). What is
wrong by a whole power of depth lies below."""


def depth_agreement(scheme: str, step: int) -> float:
    """How near to its exponent a slope on depth is as theory says."""
    if is_early(step):
        return EARLY_TOLERANCE
    return DEPTH_TOLERANCE_WITHOUT_RULE if scheme == "none" else DEPTH_TOLERANCE


def is_early(step: int) -> bool:
    """Whether a change is too young to be judged."""
    return 0 < step < JUDGED_FROM


_EARLY = LegalException(
    -EARLY_TOLERANCE,
    EARLY_TOLERANCE,
    f"the first updates of all blocks compound: depth is judged from step {JUDGED_FROM} on",
    growth=True,
)


def depth_exception(scheme: str, statistic: Statistic, step: int) -> LegalException | None:
    """The departure of the stream from flat that is legal on depth under a depth rule."""
    if scheme == "complete_p":
        return _COMPLETE_P
    return _EARLY if statistic is Statistic.CHANGE and is_early(step) else None


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
