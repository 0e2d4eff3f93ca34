"""What theory expects of weights, gradients and updates: arithmetic on the powers of the rule.

The gradients at initialization are those of facts 1; a contribution is derived as in facts 2.12:
an entry of Delta(A W) x is A, times C, times an entry of the raw update, times what n terms that
are aligned with their input add up to (facts 3, at low rank). The golden columns of facts 5.1 and
of facts 1 test it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from muscope.theory.expected.coordinates import (
    UNKNOWN,
    ZERO_READOUT,
    Coordinates,
    Expectation,
    known,
)
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

_BELOW = frozenset((Role.EMBEDDING, Role.HIDDEN, Role.VECTOR))
_MATRICES = frozenset((Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT))
_CONTRIBUTING = _MATRICES | {Role.VECTOR}
_SINGULAR_VALUES = {UpdateFamily.ORTHOGONAL: 0.0, UpdateFamily.ORTHOGONAL_RMS: 0.5}
_SIZES = (Statistic.L1, Statistic.RMS)


def expectation(at: Coordinates) -> Expectation:
    """The exponent that theory expects of a weight, a gradient or an update."""
    if _is_zero_by_readout(at):
        return ZERO_READOUT
    found = _DERIVED.get((at.kind, at.statistic))
    if found is None:
        return UNKNOWN
    return known(found.exponent(at), found.source)


def _is_zero_by_readout(at: Coordinates) -> bool:
    """With W_out = 0 it is zero itself, and nothing below it has a gradient at step 0."""
    if not at.zero_readout:
        return False
    if at.kind is TensorKind.WEIGHT and at.role is Role.OUTPUT:
        return at.step == 0
    first = 0 if at.kind is TensorKind.GRADIENT else 1
    stays = at.statistic in (Statistic.CHANGE, Statistic.CONTRIBUTION)
    moves = at.kind is not TensorKind.WEIGHT or stays
    return moves and at.role is not Role.OUTPUT and at.step == first


def gradient(at: Coordinates) -> float | None:
    """The power of a gradient's entries at initialization (facts 1).

    Those of a readout are A times hidden activations of size 1; all others are A times what came
    back through the readout. u-µP's backward scales leave A out (facts 2.9).
    """
    if at.powers is None or at.role is Role.SCALAR:
        return None
    multiplier = 0.0 if at.row == "u_mup" else at.powers.multiplier
    if at.role is Role.OUTPUT:
        return multiplier if at.powers.keeps_sizes else None
    if at.role not in _BELOW or at.powers.backward is None:
        return None
    return multiplier + at.powers.backward


def contribution(at: Coordinates) -> float | None:
    """The power of |A (W_1 - W_0) x_0|: what one update makes of the input before it.

    Of a bias and of a gain, which no sum is over, that of |A (b_1 - b_0)|.
    """
    stretch = _stretch(at)
    if at.powers is None or stretch is None:
        return None
    return at.powers.multiplier + at.powers.rate + stretch


def _stretch(at: Coordinates) -> float | None:
    """The power of what a raw update makes of its input, of which it is a sum over fan_in.

    n aligned terms, where that is the width; an orthogonal update has singular values of 1, with
    the size of AdamW of sqrt(n). Inputs of hidden weights and of the readout must be of size 1.
    """
    sums = at.role in (Role.HIDDEN, Role.OUTPUT)
    if sums and (at.powers is None or not at.powers.keeps_sizes):
        return None
    if at.role is Role.HIDDEN and at.family in _SINGULAR_VALUES:
        return _SINGULAR_VALUES[at.family]
    raw = _raw_update(at)
    return None if raw is None else raw + (1.0 if sums else 0.0)


def _contribution_at(at: Coordinates) -> float | None:
    """After one step; where it is flat under µP, it stays so (facts 5.1, zero readout)."""
    if at.step < 1 or at.role not in _CONTRIBUTING:
        return None
    exponent = contribution(at)
    stays_flat = at.row == "mup" and exponent == 0
    return exponent if at.step == 1 or stays_flat else None


def _update(at: Coordinates) -> float | None:
    raw = _raw_update(at)
    return None if at.powers is None or raw is None else at.powers.rate + raw


def _raw_update(at: Coordinates) -> float | None:
    """The power of an entry of the first update at learning rate 1.

    What is a share of its weight is as large as its weight. Entries of an orthogonal update depend
    on its rank, which the batch decides: no entry.
    """
    if at.powers is None or at.role is Role.SCALAR:
        return None
    match at.family:
        case UpdateFamily.SGD_LIKE:
            return gradient(at)
        case UpdateFamily.SIGN_LIKE:
            return 0.0
        case UpdateFamily.TRUST_RATIO | UpdateFamily.PARAMETER_SCALED:
            return at.powers.size
        case UpdateFamily.ORTHOGONAL | UpdateFamily.ORTHOGONAL_RMS:
            return None


def _size(at: Coordinates) -> float | None:
    return None if at.powers is None or at.step else at.powers.size


def _spectral(at: Coordinates) -> float | None:
    return None if at.powers is None or at.step else at.powers.spectral


def _gradient_at_start(at: Coordinates) -> float | None:
    return None if at.step else gradient(at)


def _first_update(at: Coordinates) -> float | None:
    return _update(at) if at.step == 1 else None


def _spectral_of_first_update(at: Coordinates) -> float | None:
    """Its norm over sqrt(fan_out / fan_in) is what it makes of an aligned input of size 1."""
    return contribution(at) if at.step == 1 and at.role in _MATRICES else None


class _Derived(NamedTuple):
    """A derivation with its source."""

    exponent: Callable[[Coordinates], float | None]
    source: str


_FIRST = _Derived(_first_update, "one raw update times its rate (facts 2.12, 3)")
_DERIVED: Mapping[tuple[TensorKind, Statistic], _Derived] = {
    **{(TensorKind.WEIGHT, size): _Derived(_size, "the rule's init_std") for size in _SIZES},
    **{
        (TensorKind.GRADIENT, size): _Derived(_gradient_at_start, "at initialization (facts 1)")
        for size in _SIZES
    },
    **{(TensorKind.UPDATE, size): _FIRST for size in _SIZES},
    (TensorKind.WEIGHT, Statistic.CHANGE): _FIRST,
    (TensorKind.WEIGHT, Statistic.SPECTRAL): _Derived(_spectral, "a random matrix (facts 6)"),
    (TensorKind.UPDATE, Statistic.SPECTRAL): _Derived(
        _spectral_of_first_update, "an update of low rank (facts 3, 6)"
    ),
    (TensorKind.WEIGHT, Statistic.CONTRIBUTION): _Derived(
        _contribution_at, "update contribution (facts 2.12, 5.1)"
    ),
}
