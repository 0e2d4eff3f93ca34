"""Two variants of coordinate checks: the slopes of their tensors on width, tensor by tensor."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from muscope.records import Sample
from muscope.theory.expected import TOLERANCE
from muscope.verdicts.comparison.found import Found
from muscope.verdicts.comparison.intervals import BySeed, estimate
from muscope.verdicts.comparison.types import Place, Quantity
from muscope.vocabulary import Statistic, TensorKind


class Line(NamedTuple):
    """One statistic of one tensor at one step and depth: what has a slope."""

    tensor: str
    kind: TensorKind
    statistic: Statistic
    step: int
    depth: int
    batch_size: int | None


Sizes: TypeAlias = Mapping[int, Mapping[int, float]]
"""By seed, then by width."""
Lines: TypeAlias = Mapping[Line, Sizes]


def lines(
    samples: Iterable[Sample],
    statistic: Statistic,
    kind: TensorKind,
    seeds: frozenset[int],
    *,
    several: bool = False,
) -> dict[Line, Sizes]:
    """What was measured of one statistic, by its size; what has no logarithm is left out.

    Lines have a batch size where the study has `several`, as its verdict has it.
    """
    found: dict[Line, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for sample in samples:
        value = sample.value(statistic)
        if sample.kind is not kind or sample.seed not in seeds or not value:
            continue
        if math.isfinite(value):
            batch_size = sample.batch_size if several else None
            line = Line(sample.tensor, kind, statistic, sample.step, sample.depth, batch_size)
            found[line][sample.seed][sample.width] = abs(value)
    return dict(found)


def last(lines: Iterable[Line]) -> set[Line]:
    """Those of the last step that was recorded."""
    known = list(lines)
    step = max((line.step for line in known), default=0)
    return {line for line in known if line.step == step}


def differences(
    wanted: Iterable[Line],
    first: Mapping[Line, Sizes],
    second: Mapping[Line, Sizes],
    widths: Mapping[int, Sequence[int]],
    *,
    paired: bool,
) -> Iterator[Found]:
    """The slopes of these lines that both have, over the widths of their step."""
    for line in wanted:
        if line in first and line in second:
            yield _difference(line, first[line], second[line], widths[line.step], paired=paired)


def _difference(
    line: Line, first: Sizes, second: Sizes, widths: Sequence[int], *, paired: bool
) -> Found:
    at = Place(
        tensor=line.tensor,
        kind=line.kind,
        statistic=line.statistic,
        step=line.step,
        depth=line.depth,
        batch_size=line.batch_size,
    )
    centres = [_of_mean(of, widths) for of in (first, second)]
    if None in centres:
        reason = "fewer than two widths that both have were measured, and more than zero"
        return Found(Quantity.SLOPE, at, TOLERANCE, reason=reason)
    found = estimate(_by_seed(first, widths), _by_seed(second, widths), paired=paired)
    difference = (centres[0] or 0.0) - (centres[1] or 0.0)
    return Found(
        Quantity.SLOPE,
        at,
        TOLERANCE,
        first=centres[0],
        second=centres[1],
        estimate=found and found._replace(difference=difference),
    )


def _whole(of: Sizes, widths: Sequence[int]) -> dict[int, Mapping[int, float]]:
    """The seeds that have every width."""
    return {seed: sizes for seed, sizes in of.items() if all(w in sizes for w in widths)}


def _by_seed(of: Sizes, widths: Sequence[int]) -> BySeed:
    return {
        seed: _slope(widths, [sizes[w] for w in widths])
        for seed, sizes in _whole(of, widths).items()
    }


def _of_mean(of: Sizes, widths: Sequence[int]) -> float | None:
    """The slope of the mean over seeds, as verdicts have it; None with fewer than two widths."""
    whole = _whole(of, widths)
    if not whole or len(widths) < 2:
        return None
    return _slope(widths, [statistics.fmean(sizes[w] for sizes in whole.values()) for w in widths])


def _slope(widths: Sequence[int], sizes: Sequence[float]) -> float:
    logs = [math.log2(width) for width in widths]
    return statistics.linear_regression(logs, [math.log2(size) for size in sizes]).slope
