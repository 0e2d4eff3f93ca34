"""A hyperparameter search: which sets come next, from the losses there are.

The rule, for every variant by itself. At the smallest width:

- *independent* (Blake et al. 2024): the learning rates, with every multiplier as it is; then, at
  the best of them, every multiplier alone at each of its values; then the best of each together.
- *pairwise*: every two hyperparameters at all of their values, the others as they are.
- a sampler: the set that is given, as a yardstick; then so many drawn between the ends.

Then the best by loss go on to the next width; from there the best of those that trained steadily,
and others only where these are too few (`muscope.verdicts.hyperparameters.trials`). The best of the
smallest width goes on always: what it loses at a larger one is what is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from muscope import plan
from muscope.spec import RunSpec, StudySpec, Variant
from muscope.tuning import FINEST, RATE, Method, Point, Tuning, point
from muscope.verdicts.hyperparameters.trials import (
    SetTrial,
    Tried,
    by_loss,
    by_steadiness,
    tried,
)

Draw: TypeAlias = Callable[[Method, int, int, int], Sequence[Sequence[float]]]
"""Method, dimensions, how many and where to start: points of the unit cube."""


def next_runs(
    spec: StudySpec, trials: Sequence[SetTrial], draw: Draw | None
) -> tuple[RunSpec, ...]:
    """The runs of the next stage; none when the search is over."""
    return tuple(
        plan.run_of_set(spec, variant, width, of, seed)
        for variant in spec.variants
        for width, of in _next_of(spec, variant, trials, draw)
        for seed in range(spec.seeds)
    )


def _next_of(
    spec: StudySpec, variant: Variant, trials: Sequence[SetTrial], draw: Draw | None
) -> list[tuple[int, Point]]:
    """Width and set of what one variant tries next."""
    known = tried(trial for trial in trials if trial.variant == variant.key)
    proxy = known.get(spec.widths[0], {})
    for wanted in _looks(spec, variant, proxy, draw):
        new = [of for of in dict.fromkeys(wanted) if of not in proxy]
        if new:
            return [(spec.widths[0], of) for of in new]
    best = by_loss(proxy.values())
    if spec.tuning is None or not best:
        return []
    ranked = best
    for width, keep in zip(spec.widths[1:], spec.tuning.keep, strict=True):
        if width not in known:
            return [(width, of.point) for of in _carried(ranked, best[0], keep)]
        ranked = by_steadiness(known[width].values())
    return []


def _carried(ranked: Sequence[Tried], chosen: Tried, keep: int) -> list[Tried]:
    """The best so many, the proxy's choice among them."""
    others = [of for of in ranked if of.point != chosen.point]
    return [chosen, *others[: keep - 1]]


def _looks(
    spec: StudySpec, variant: Variant, proxy: dict[Point, Tried], draw: Draw | None
) -> Iterator[list[Point]]:
    """What is wanted at the smallest width, stage by stage; each may need the one before it."""
    tuning, names = spec.tuning, spec.tuned_names(variant)
    if tuning is None:
        return
    if tuning.method == "pairwise":
        yield list(tuning.pairs(names, spec.octaves))
    elif tuning.method == "independent":
        yield from _one_by_one(tuning, names, spec.octaves, proxy)
    else:
        yield [Point()]
        if len(proxy) < 1 + tuning.samples:
            yield _sampled(tuning, names, spec.octaves, draw)


def _one_by_one(
    tuning: Tuning, names: Sequence[str], rates: Sequence[float], proxy: dict[Point, Tried]
) -> Iterator[list[Point]]:
    yield [Point(octave) for octave in rates]
    best = by_loss(of for of in proxy.values() if not of.point.tuned)
    if not best:
        return
    centre = best[0].point
    lines = {name: [centre.moved(name, at) for at in tuning.values(name)] for name in names}
    yield [of for line in lines.values() for of in line]
    yield [_combined(centre, lines, proxy)]


def _combined(centre: Point, lines: dict[str, list[Point]], proxy: dict[Point, Tried]) -> Point:
    """The best of every line together; where all of a line diverged, what was there."""
    found = {}
    for name, line in lines.items():
        ranked = by_loss(proxy[of] for of in line if of in proxy)
        found[name] = ranked[0].point.at(name) if ranked else 0.0
    return point(centre.octave, found)


def _sampled(
    tuning: Tuning, names: Sequence[str], rates: Sequence[float], draw: Draw | None
) -> list[Point]:
    """So many sets, spread over the octaves of all hyperparameters; always the same ones."""
    if draw is None:
        raise ValueError(f"method {tuning.method!r} needs a sampler to go on")
    ends = {RATE: (rates[0], rates[-1])} | {name: tuning.ranges[name] for name in names}
    cube = draw(tuning.method, len(ends), tuning.samples, tuning.draw)
    found = []
    for row in cube:
        octaves = {
            name: round((low + share * (high - low)) * FINEST) / FINEST
            for share, (name, (low, high)) in zip(row, ends.items(), strict=True)
        }
        found.append(point(octaves.pop(RATE), octaves))
    return found
