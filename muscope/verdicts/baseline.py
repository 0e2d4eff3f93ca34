"""Slopes kept from an earlier check, and whether those of now are worse.

*Worse* is a slope that lies farther from flat than it did, and all of this:

- by more than `SMALLEST_MOVE`,
- outside the interval of then, with the one of then outside the interval of now,
- by Welch's t-test of the two slopes, one-sided at `LEVEL` after Holm's correction for all the
  slopes that are compared.

The standard errors are read off the intervals, half of which is a quantile of Student's t times
the error. With one seed on either side there is no test: a slope is then worse if it moved by more
than its tolerance. A tensor that diverges and did not is worse; one that is gone makes the
comparison fail too, because nothing can be said of it. Only statistics that decide are compared,
and none that is excused by a legal exception now.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue
from scipy.special import stdtr

from muscope.verdicts.student import standard_error
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, Role, Statistic, TensorKind

FORMAT = 1
LEVEL = 0.05
SMALLEST_MOVE = 0.02
"""A fifth of the tolerance of *flat*: over ten doublings of the width 15 %."""

HARMLESS_SETTINGS = ("target", "label", "name", "version", "seeds", "stop_early", "notes")
"""What may differ: it changes how well a slope is known, or only what it is called."""

Place: TypeAlias = tuple[str, str, str, str, int, int | None, int | None, int]


class _Kept(BaseModel):
    """Frozen and closed, like the verdicts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KeptSlope(_Kept):
    """One slope as it was: where, how large, how sure, and what was made of it."""

    model_config = ConfigDict(allow_inf_nan=False)

    tensor: str
    kind: TensorKind
    role: Role
    axis: Axis
    depth: int
    width: int | None
    batch_size: int | None
    step: int
    statistic: Statistic
    places: tuple[int, ...]
    slope: float | None
    low: float | None
    high: float | None
    seeds: int
    tolerance: float
    verdict: CellVerdict
    excused: bool


class KeptVariant(_Kept):
    """The slopes of a variant."""

    variant: str
    label: str
    verdict: CellVerdict
    confidence: float
    slopes: tuple[KeptSlope, ...]


class Baseline(_Kept):
    """What `--write-baseline` keeps; `environment` is where it was measured."""

    format: int = FORMAT
    muscope: str
    environment: dict[str, str]
    settings: dict[str, JsonValue]
    variants: tuple[KeptVariant, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A slope that is worse than it was; `chance` is the corrected p, None without a test."""

    label: str
    before: KeptSlope
    now: KeptSlope
    chance: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the slopes of a baseline, and in which harmless settings it differs."""

    worse: tuple[Move, ...]
    compared: int
    missing: tuple[str, ...]
    unlike: tuple[str, ...]
    untested: int

    @property
    def is_worse(self) -> bool:
        """Whether anything got worse, or cannot be compared because it is gone."""
        return bool(self.worse or self.missing)


def keep(
    verdicts: Iterable[VariantVerdict],
    settings: Mapping[str, JsonValue],
    *,
    version: str,
    environment: Mapping[str, str],
) -> Baseline:
    """The baseline that these verdicts make."""
    return Baseline(
        muscope=version,
        environment=dict(environment),
        settings=dict(settings),
        variants=tuple(_kept(verdict) for verdict in verdicts),
    )


def _kept(verdict: VariantVerdict) -> KeptVariant:
    cells = [cell for axis in Axis for cell in verdict.cells_on(axis) if cell.decides]
    judged = {(t.axis, t.kind, t.depth, t.tensor) for t in verdict.tensors}
    judged |= {(t.axis, t.kind, t.depth, t.tensor) for t in verdict.further_tensors}
    slopes = [_slope(c) for c in cells if (c.axis, c.kind, c.depth, c.tensor) in judged]
    return KeptVariant(
        variant=verdict.variant,
        label=verdict.label,
        verdict=verdict.verdict,
        confidence=verdict.confidence,
        slopes=tuple(slopes),
    )


def _slope(cell: Cell) -> KeptSlope:
    return KeptSlope(
        tensor=cell.tensor,
        kind=cell.kind,
        role=cell.role,
        axis=cell.axis,
        depth=cell.depth,
        width=cell.width,
        batch_size=cell.batch_size,
        step=cell.step,
        statistic=cell.statistic,
        places=cell.widths,
        slope=cell.slope,
        low=cell.low,
        high=cell.high,
        seeds=cell.seeds,
        tolerance=cell.tolerance,
        verdict=cell.verdict,
        excused=cell.exception is not None,
    )


def settings_that_differ(
    before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what makes slopes incomparable, what does not), each in words: `widths: 64, 128 → 64`."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    words = {name: f"{name}: {_word(before.get(name))} → {_word(now.get(name))}" for name in names}
    harmless = [name for name in names if name in HARMLESS_SETTINGS]
    serious = [name for name in names if name not in HARMLESS_SETTINGS]
    return tuple(words[name] for name in serious), tuple(words[name] for name in harmless)


def refuse_unlike(before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> None:
    """ValueError where settings differ that make slopes incomparable."""
    serious, _ = settings_that_differ(before, now)
    if serious:
        raise ValueError(
            f"the baseline was measured with other settings ({'; '.join(serious)}): ask for those "
            "again, or write a new baseline"
        )


def _word(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_word, value)) or "none"
    return "none" if value is None else str(value)


def compare(before: Baseline, now: Baseline) -> Comparison:
    """Every slope of then against that of now; the settings must be comparable."""
    pairs = list(_pairs(before, now))
    tested = [pair for pair in pairs if pair.has_test]
    chances = dict(zip(map(id, tested), _holm([pair.chance() for pair in tested]), strict=True))
    worse = tuple(
        Move(pair.label, pair.before, pair.now, chances.get(id(pair)))
        for pair in pairs
        if pair.is_worse(chances.get(id(pair)))
    )
    return Comparison(
        worse=tuple(sorted(worse, key=_by_size, reverse=True)),
        compared=len(pairs),
        missing=tuple(_missing(before, now)),
        unlike=(*settings_that_differ(before.settings, now.settings)[1], *_unlike(before, now)),
        untested=sum(not pair.has_test for pair in pairs if pair.is_measured),
    )


def _unlike(before: Baseline, now: Baseline) -> Iterator[str]:
    """Versions and devices that differ."""
    then, here = before.environment, now.environment
    if before.muscope != now.muscope:
        yield f"muscope: {before.muscope} → {now.muscope}"
    for name in {**then, **here}:
        if then.get(name) != here.get(name):
            yield f"{name}: {_word(then.get(name))} → {_word(here.get(name))}"


def _by_size(move: Move) -> float:
    if move.now.slope is None or move.before.slope is None:
        return math.inf
    return abs(move.now.slope) - abs(move.before.slope)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A slope of then and the one of now at the same place."""

    label: str
    before: KeptSlope
    now: KeptSlope
    confidences: tuple[float, float]

    @property
    def is_measured(self) -> bool:
        """Whether there are two slopes."""
        return self.before.slope is not None and self.now.slope is not None

    @property
    def has_test(self) -> bool:
        """Whether both have an interval."""
        ends = (self.before.low, self.before.high, self.now.low, self.now.high)
        return self.is_measured and None not in ends

    @property
    def moved(self) -> float:
        """By how much it is farther from flat than it was."""
        return abs(self.now.slope or 0.0) - abs(self.before.slope or 0.0)

    def chance(self) -> float:
        """One-sided p of Welch's test that it is farther from flat."""
        errors = [_error(s, c) for s, c in zip(self._both, self.confidences, strict=True)]
        variances = [error**2 for error in errors]
        if not sum(variances):
            return 0.0 if self.moved > 0 else 1.0
        freedom = sum(variances) ** 2 / sum(
            variance**2 / (slope.seeds - 1)
            for variance, slope in zip(variances, self._both, strict=True)
        )
        return float(stdtr(freedom, -self.moved / math.sqrt(sum(variances))))

    def is_worse(self, chance: float | None) -> bool:
        """The rule of the head of this file."""
        if self.now.verdict is CellVerdict.DIVERGED:
            return self.before.verdict is not CellVerdict.DIVERGED
        if not self.is_measured:
            return False
        if chance is None:
            return self.moved > self.now.tolerance
        return self.moved > SMALLEST_MOVE and chance < LEVEL and self._apart

    @property
    def _apart(self) -> bool:
        before, now = self._both
        return not (_holds(before, now.slope) or _holds(now, before.slope))

    @property
    def _both(self) -> tuple[KeptSlope, KeptSlope]:
        return self.before, self.now


def _pairs(before: Baseline, now: Baseline) -> Iterator[_Pair]:
    then = {(key, _place(s)): (v, s) for key, v in _by_key(before) for s in v.slopes}
    for key, variant in _by_key(now):
        for slope in variant.slopes:
            old, kept = then.get((key, _place(slope)), (None, None))
            if old is None or kept is None or slope.excused:
                continue
            if kept.places == slope.places:
                yield _Pair(variant.label, kept, slope, (old.confidence, variant.confidence))


def _missing(before: Baseline, now: Baseline) -> Iterator[str]:
    """What the baseline has and the check has not, or not at the same widths; tensor by tensor."""
    have = {(key, _place(s)): s.places for key, v in _by_key(now) for s in v.slopes}
    names: dict[str, None] = {}
    for key, variant in _by_key(before):
        for slope in variant.slopes:
            if have.get((key, _place(slope))) != slope.places:
                names[f"{slope.tensor} of {variant.label}"] = None
    yield from names


def _by_key(kept: Baseline) -> Iterator[tuple[str, KeptVariant]]:
    """Every variant by its key; a single one is itself, whatever its file is called by now."""
    for variant in kept.variants:
        yield variant.variant if len(kept.variants) > 1 else "", variant


def _place(slope: KeptSlope) -> Place:
    return (
        slope.tensor,
        slope.kind.value,
        slope.axis.value,
        slope.statistic.value,
        slope.depth,
        slope.width,
        slope.batch_size,
        slope.step,
    )


def _error(slope: KeptSlope, confidence: float) -> float:
    """The standard error that an interval was made of."""
    if slope.low is None or slope.high is None:
        return math.nan
    return standard_error(slope.low, slope.high, seeds=slope.seeds, confidence=confidence)


def _holds(slope: KeptSlope, value: float | None) -> bool:
    if value is None or slope.low is None or slope.high is None:
        return False
    return slope.low <= value <= slope.high


def _holm(chances: Sequence[float]) -> list[float]:
    """Holm's step-down correction: each p as if all that are as small had been tested."""
    order = sorted(range(len(chances)), key=lambda number: chances[number])
    corrected, largest = [1.0] * len(chances), 0.0
    for rank, number in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[number]))
        corrected[number] = largest
    return corrected
