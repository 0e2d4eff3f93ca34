"""Several variants become a comparison: each by itself, what is the same, and each pair."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from string import ascii_uppercase

from muscope.verdicts.comparison import rates, sameness, sizes
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.found import Found
from muscope.verdicts.comparison.standing import standing
from muscope.verdicts.comparison.types import (
    Comparison,
    Difference,
    Pair,
    Pairing,
    Quantity,
)
from muscope.verdicts.comparison.words import words
from muscope.vocabulary import Axis, Statistic, TensorKind

WITHOUT_WORDS = (Quantity.EQUAL_RATE,)
"""Shown rate by rate beside the curves; so many words would share the error away."""


def compare(
    contenders: Sequence[Contender], *, kind: TensorKind, statistic: Statistic
) -> Comparison:
    """The comparison of at least two; of sizes by the slopes of one statistic, and by the worst."""
    settings = sameness.settings(contenders)
    numbers = list(combinations(range(len(contenders)), 2))
    how = [sameness.pairing(settings, contenders, *pair) for pair in numbers]
    found = [
        list(_of_pair(contenders[a], contenders[b], pairing, kind, statistic))
        for (a, b), (pairing, _) in zip(numbers, how, strict=True)
    ]
    return Comparison(
        variants=tuple(map(standing, ascii_uppercase, contenders)),
        settings=settings,
        pairs=tuple(_told(numbers, how, found)),
        notes=tuple(_notes(contenders)),
    )


def _of_pair(
    first: Contender,
    second: Contender,
    pairing: Pairing,
    kind: TensorKind,
    statistic: Statistic,
) -> Iterator[Found]:
    paired = pairing == "paired"
    if first.has_losses and second.has_losses and pairing != "refused":
        seeds, by_seed = _seeds(first.trained, second.trained, paired=paired)
        swept = first.swept(seeds[0]), second.swept(seeds[1])
        yield from rates.differences(*swept, first.axis, paired=by_seed)
    if first.has_sizes and second.has_sizes:
        seeds, by_seed = _seeds(first.measured, second.measured, paired=paired)
        yield from _slopes(first, second, seeds, (kind, statistic), paired=by_seed)


def _seeds(
    first: frozenset[int], second: frozenset[int], *, paired: bool
) -> tuple[tuple[frozenset[int], frozenset[int]], bool]:
    """Those of each that are compared, and whether they are paired: of pairs, what both have."""
    if paired and sameness.shares_seeds(first, second):
        return (first & second, first & second), True
    return (first, second), False


def _slopes(
    first: Contender,
    second: Contender,
    seeds: tuple[frozenset[int], frozenset[int]],
    shown: tuple[TensorKind, Statistic],
    *,
    paired: bool,
) -> Iterator[Found]:
    """Those of the statistic that is shown, at the last step, and those of the worst tensors."""
    widths = {
        step: sorted(own & second.widths.get(step, set())) for step, own in first.widths.items()
    }
    worst = list(dict.fromkeys(line for one in (first, second) for line in _worst(one)))
    faces = dict.fromkeys([shown, *((line.kind, line.statistic) for line in worst)])
    for kind, statistic in faces:
        known = [
            one.lines(statistic, kind, of) for one, of in zip((first, second), seeds, strict=True)
        ]
        both = known[0].keys() & known[1].keys()
        wanted = [line for line in worst if (line.kind, line.statistic) == (kind, statistic)]
        if (kind, statistic) == shown:
            at_last = sizes.last(both)
            wanted = list(dict.fromkeys([*(line for line in known[0] if line in at_last), *wanted]))
        yield from sizes.differences(wanted, known[0], known[1], widths, paired=paired)


def _worst(one: Contender) -> Iterator[sizes.Line]:
    """Where its verdict has its worst slope, if that is a slope on width."""
    worst = one.sizes.worst if one.sizes else None
    cell = worst.worst if worst else None
    if cell and cell.axis is Axis.WIDTH:
        yield sizes.Line(
            cell.tensor, cell.kind, cell.statistic, cell.step, cell.depth, cell.batch_size
        )


def _told(
    numbers: Sequence[tuple[int, int]],
    how: Sequence[tuple[Pairing, tuple[str, ...]]],
    found: Sequence[Sequence[Found]],
) -> Iterator[Pair]:
    """Each pair with the words that hold among all pairs."""
    every = [one for of_pair in found for one in of_pair]
    told: dict[int, Difference] = {}
    for quantity in Quantity:
        own = [one for one in every if one.quantity is quantity]
        given = words([one.estimate for one in own], own[0].tolerance if own else 0.0)
        silent = quantity in WITHOUT_WORDS
        told |= {
            id(one): one.told(None if silent else word)
            for one, word in zip(own, given, strict=True)
        }
    for (first, second), (pairing, because), of_pair in zip(numbers, how, found, strict=True):
        yield Pair(
            first=first,
            second=second,
            pairing=pairing,
            because=because,
            differences=tuple(told[id(one)] for one in of_pair),
        )


def _notes(contenders: Sequence[Contender]) -> Iterator[str]:
    """What a reader must know before believing any number."""
    pairs = combinations(contenders, 2)
    if not all(sameness.have_numbers_in_common(*pair) for pair in pairs):
        yield (
            "A coordinate check measures sizes, a learning-rate study losses: one of each has no "
            "number in common, so such a pair stands in the table without a difference. Choose "
            "variants of one kind of study."
        )
    devices = {one.surroundings.get("device", "") for one in contenders} - {""}
    if len(devices) > 1:
        yield "They were trained on different devices: their times are not comparable."
