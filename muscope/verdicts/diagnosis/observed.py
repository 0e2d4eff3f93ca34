"""The slopes that a diagnosis reads, each with its error and with what is healthy there.

Of statistics that say the same in several ways one is taken, and only the first steps, before
growth saturates. A slope is healthy anywhere between theory's exponent and the end of the band of a
legal exception, less the tolerance that the band holds already; where it starts at a known exponent
it does not start higher.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from muscope.theory.expected import TOLERANCE, Standard
from muscope.verdicts.diagnosis.signatures import STEPS
from muscope.verdicts.diagnosis.sizes import LAST, Key
from muscope.verdicts.slopes import Floats
from muscope.verdicts.student import standard_error
from muscope.verdicts.types import Cell
from muscope.vocabulary import Axis, Role, Statistic, TensorKind

Group: TypeAlias = tuple[Axis, TensorKind, str, Statistic]
"""Cells that say one thing: blocks and steps of one part of a model, whatever is held."""

StandardOf: TypeAlias = Callable[[Cell], Standard]

_READ: Mapping[tuple[TensorKind, Statistic], float] = {
    (TensorKind.WEIGHT, Statistic.RMS): 0.03,
    (TensorKind.GRADIENT, Statistic.L1): 0.12,
    (TensorKind.UPDATE, Statistic.RMS): 0.08,
    (TensorKind.UPDATE, Statistic.SPECTRAL): 0.08,
    (TensorKind.WEIGHT, Statistic.CONTRIBUTION): TOLERANCE,
    (TensorKind.ACTIVATION, Statistic.L1): 0.07,
    (TensorKind.ACTIVATION, Statistic.CHANGE): TOLERANCE,
}
"""What is read, and how far a slope of a correct implementation lies from its exponent at finite
width (docs/exponents.md): first values are exact, an update of AdamW is its rate, gradients have
come through every layer."""

_DERIVED = 0.15
"""More than that where the exponent is only worked out here, and no source has it."""

_UNKNOWN_ERROR = 0.1
"""Of a slope from one seed: seeds spread by up to 0.06 at best (docs/exponents.md)."""

_SATURATES = 0.25
"""Of an exponent of training: at usable rates growth of +1 is measured as +0.65 (ADR 16)."""

MOST_BLOCKS = 4
"""Blocks that are read of a deep model."""

_EXACT = 0.05
"""Of an exponent of first values and of updates: nothing saturates there."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One slope: what was measured, how surely, and the exponents of every rule.

    `healthy` is theory's; the slope of a healthy model lies between that plus `below` and that plus
    `above`. `signature` is what every fault adds to it, the healthy rule first with 0;
    `blur` how unsure that is under each rule.
    """

    key: Key
    group: Group
    role: Role
    step: int
    slope: float
    error: float
    tolerance: float
    healthy: float
    below: float
    above: float
    signature: Floats
    blur: Floats | float = 0.0

    def off(self) -> Floats:
        """How far the slope lies from what each rule allows; 0 within."""
        low, high = self.healthy + self.below, self.healthy + self.above
        nearest: Floats = np.clip(self.slope, low + self.signature, high + self.signature)
        return self.slope - nearest

    def spread(self) -> Floats:
        """The standard deviation of that under each rule."""
        share = _EXACT if self.is_exact else _SATURATES
        known = self.error**2 + self.tolerance**2 + (share * self.signature) ** 2
        spread: Floats = np.sqrt(known + self.blur**2)
        return spread

    @property
    def is_exact(self) -> bool:
        """Whether it is of first values or of an update, which training does not bend."""
        return self.step == 0 or self.group[1] is TensorKind.UPDATE


def observations(
    axis: Axis,
    cells: Iterable[Cell],
    exponents: Mapping[Key, Floats],
    *,
    standard_of: StandardOf,
    confidence: float,
    blur: Mapping[Key, Floats] = MappingProxyType({}),
) -> list[Observation]:
    """Every slope that can be read along one axis, with the exponents of all rules there."""
    read = _thinned([cell for cell in cells if _is_read(cell)])
    errors = _errors(read, confidence)
    found = (
        _observation(axis, cell, exponents, standard_of, error)
        for cell, error in zip(read, errors, strict=True)
    )
    return [replace(each, blur=blur.get(each.key, 0.0)) for each in found if each is not None]


def _is_read(cell: Cell) -> bool:
    first = (cell.kind, cell.statistic) in _READ and cell.step <= STEPS
    only_at_start = cell.statistic in (Statistic.RMS, Statistic.L1) and cell.kind in (
        TensorKind.WEIGHT,
        TensorKind.ACTIVATION,
    )
    is_fitted = cell.slope is not None and cell.axis in (Axis.WIDTH, Axis.DEPTH)
    return first and is_fitted and not (only_at_start and cell.step)


def _thinned(cells: Sequence[Cell]) -> list[Cell]:
    """Of many blocks a few, evenly spread: the others say the same."""
    alike: defaultdict[tuple[TensorKind, str, Statistic, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        alike[cell.kind, part_of(cell.tensor), cell.statistic, cell.step].append(cell)
    return [
        own[round(place)]
        for own in alike.values()
        for place in np.linspace(0, len(own) - 1, min(len(own), MOST_BLOCKS))
    ]


def _errors(cells: list[Cell], confidence: float) -> list[float]:
    """Standard errors: of few seeds one error says little, so that half is that of its like."""
    own = [_error(cell, confidence) for cell in cells]
    alike: defaultdict[tuple[TensorKind, Statistic, int], list[float]] = defaultdict(list)
    for cell, error in zip(cells, own, strict=True):
        alike[cell.kind, cell.statistic, cell.step].append(error**2)
    pooled = {key: sum(squares) / len(squares) for key, squares in alike.items()}
    return [
        float(np.sqrt((error**2 + pooled[cell.kind, cell.statistic, cell.step]) / 2))
        for cell, error in zip(cells, own, strict=True)
    ]


def _error(cell: Cell, confidence: float) -> float:
    if cell.low is None or cell.high is None:
        return _UNKNOWN_ERROR
    return standard_error(cell.low, cell.high, seeds=cell.seeds, confidence=confidence)


def _observation(
    axis: Axis,
    cell: Cell,
    exponents: Mapping[Key, Floats],
    standard_of: StandardOf,
    error: float,
) -> Observation | None:
    key = (cell.kind, cell.tensor, cell.statistic, cell.step)
    slopes = exponents.get(key)
    if slopes is None or cell.slope is None or not np.isfinite(slopes[0]):
        return None
    tolerance = _READ[cell.kind, cell.statistic]
    standard = standard_of(cell)
    theory = standard.expectation.exponent
    healthy = float(slopes[0]) if theory is None else theory
    legal = None if standard.legal and standard.legal.growth else standard.legal
    return Observation(
        key=key,
        group=(axis, cell.kind, part_of(cell.tensor), cell.statistic),
        role=cell.role,
        step=cell.step,
        slope=cell.slope,
        error=error,
        tolerance=tolerance if theory is not None else float(np.hypot(tolerance, _DERIVED)),
        healthy=healthy,
        below=min(legal.low - healthy + TOLERANCE, 0.0) if legal else 0.0,
        above=max(legal.high - healthy - TOLERANCE, 0.0) if legal and cell.step else 0.0,
        signature=np.nan_to_num(slopes - slopes[0], nan=0.0),
    )


def part_of(tensor: str) -> str:
    """`blocks.3.attn.q` is attn.q: what is the same in every block."""
    words = (word for word in tensor.split(".") if not word.isdigit())
    return ".".join(word for word in words if word not in ("blocks", "stages", LAST))
