"""What a slope is held against: theory's exponent, how near is near, what is legal.

On every axis *flat* is a tolerance and not a test, and its reason is what correct implementations
were measured to do.

| axis | tensors | flat within | as expected within |
|---|---|---|---|
| width | activations, contributions | 0.10 (facts 5.3, pass criteria) | 0.10 |
| width | logits of a random readout at step 0 | 0.10 | 0.15 around their own start (facts 5.3) |
| depth | the stream, under a depth rule | 0.15 (facts 10.4) | 0.15 |
| depth | the stream, without one | 0.15 | 0.25: embeddings mix in (facts 10.4) |
| depth | the stream, at steps 1 to 3 | 0.15 | 0.5: first updates compound (measured) |
| batch size, step | all | 0.10: the same machinery | |
"""

import math
from dataclasses import dataclass

from muscope.theory.expected import activations, weights
from muscope.theory.expected.coordinates import (
    TOLERANCE,
    UNKNOWN,
    Coordinates,
    Expectation,
    LegalException,
)
from muscope.theory.expected.exceptions import legal_exception
from muscope.theory.expected.in_depth import (
    DEPTH_TOLERANCE,
    depth,
    depth_agreement,
    depth_exception,
)
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

START_TOLERANCE = 0.15
"""Of the logits of a random readout at step 0 around the exponent they start with (facts 5.3)."""

_SIZES = (Statistic.L1, Statistic.RMS)


@dataclass(frozen=True, slots=True)
class Standard:
    """What one slope is held against.

    It is flat within `tolerance`, and as expected when the exponent is within `agreement` of it.
    """

    expectation: Expectation
    legal: LegalException | None = None
    tolerance: float = TOLERANCE
    agreement: float = TOLERANCE


def expectation(at: Coordinates) -> Expectation:
    """The exponent of width that theory expects of one tensor at one step."""
    if at.kind is TensorKind.ACTIVATION:
        return activations.expectation(at)
    return weights.expectation(at)


def on_width(at: Coordinates) -> Standard:
    """What a slope on width is held against."""
    is_start = at.kind is TensorKind.ACTIVATION and at.role is Role.OUTPUT and at.step == 0
    expected = expectation(at)
    near = START_TOLERANCE if is_start and expected.exponent else TOLERANCE
    return Standard(expected, legal_exception(at), agreement=near)


def on_depth(
    scheme: str,
    family: UpdateFamily,
    *,
    role: Role,
    statistic: Statistic,
    step: int,
    kind: TensorKind = TensorKind.ACTIVATION,
) -> Standard:
    """What a slope on depth is held against; `family` is that of hidden weights."""
    expected = depth(scheme, family, role=role, statistic=statistic, step=step, kind=kind)
    near = depth_agreement(scheme, step)
    legal = None
    if kind is TensorKind.ACTIVATION and role is Role.RESIDUAL:
        legal = _grows_by_itself(expected) or depth_exception(scheme, statistic, step)
    return Standard(expected, legal, tolerance=DEPTH_TOLERANCE, agreement=near)


def _grows_by_itself(expected: Expectation) -> LegalException | None:
    """Without a rule for it the stream grows with depth: a fault of none of its weights."""
    if not expected.exponent or expected.exponent < 0:
        return None
    reason = f"grows with depth as theory says of it: exponent {expected.exponent:+.1f}"
    return LegalException(-math.inf, math.inf, reason, growth=True)


def on_batch_size(kind: TensorKind, statistic: Statistic, step: int) -> Standard:
    """What a slope on the batch size is held against: at step 0 a mean over examples is flat."""
    if kind is TensorKind.ACTIVATION and statistic in _SIZES and step == 0:
        return Standard(Expectation(0.0, "a mean over examples, however many (derived)"))
    return Standard(UNKNOWN)


def on_step() -> Standard:
    """What a slope on steps is held against: nothing; it is shown."""
    return Standard(UNKNOWN)
