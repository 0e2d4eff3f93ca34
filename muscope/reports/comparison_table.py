"""A comparison as rows of words, for its page and its CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muscope.reports import csv, formats
from muscope.verdicts.comparison.types import (
    Comparison,
    Difference,
    Effect,
    Pair,
    Place,
    Quantity,
    Setting,
    Word,
)

SIGNS = {Word.LOWER: "↓", Word.HIGHER: "↑", Word.ALIKE: "=", Word.OPEN: "?"}
EFFECTS = {
    Effect.NOTED: "noted",
    Effect.UNPAIRED: "seeds cannot be paired",
    Effect.REFUSED: "no difference of losses",
}
TITLES = {
    Quantity.BEST_LOSS: "Loss, each at its own best rate",
    Quantity.DRIFT: "Drift, octaves per doubling",
    Quantity.REGRET: "Regret at the best rate of the smallest",
    Quantity.SLOPE: "Slope on width",
}
"""The tables of a page; equal rates have their figure and their CSV."""


@dataclass(frozen=True, slots=True)
class Row:
    """One difference in words; `word` is None where there is none, and `reason` says why.

    `look` colours it: of losses lower is better, a drift or a slope may be better either way.
    """

    names: str
    where: str
    first: str
    second: str
    difference: str
    interval: str
    seeds: str
    word: Word | None
    sign: str
    look: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """All differences of one quantity; `tolerance` is within what two are alike."""

    title: str
    rows: tuple[Row, ...]
    tolerance: str


def tables(comparison: Comparison, against: int) -> tuple[Table, ...]:
    """A table per quantity, of every pair with the variant that is subtracted, then the others."""
    pairs = sorted(comparison.pairs, key=lambda pair: against not in (pair.first, pair.second))
    found = []
    for quantity, title in TITLES.items():
        own = [(pair, one) for pair in pairs for one in pair.of(quantity)]
        if own:
            rows = tuple(_row(comparison, pair, one, against) for pair, one in own)
            tolerance = next((one.tolerance for _, one in own), None)
            found.append(Table(title, rows, formats.decimal(tolerance)))
    return tuple(found)


def sentences(comparison: Comparison) -> Iterator[str]:
    """How each pair may be compared, in one sentence for all that share it."""
    found: dict[tuple[str, tuple[str, ...]], list[Pair]] = {}
    for pair in comparison.pairs:
        found.setdefault((pair.pairing, pair.because), []).append(pair)
    for (pairing, because), pairs in found.items():
        names = ", ".join(_names(comparison, pair) for pair in pairs)
        if len(found) == 1:
            names = "All pairs" if len(pairs) > 1 else names
        yield f"{names}: {_pairing(pairing, because)}."


def settings(comparison: Comparison) -> Sequence[tuple[Setting, str]]:
    """What differs, with what follows from it."""
    return tuple((one, EFFECTS[one.effect]) for one in comparison.differing)


def place(at: Place) -> str:
    """`width 64, depth 2`; of a slope its tensor, statistic and step."""
    if at.tensor is not None and at.statistic is not None and at.kind is not None:
        title = formats.statistic_title(at.statistic, at.kind)
        held = _held(at, ("depth", "batch_size"))
        return ", ".join([at.tensor, title, f"step {at.step}", *held])
    names = ("width", "depth", "batch_size", "sequence_length", "steps")
    if at.axis is not None:
        over = f"over {at.axis.value.replace('_', ' ')}"
        return ", ".join([over, *_held(at, tuple(n for n in names if n != at.axis.value))])
    return ", ".join(_held(at, names))


def variants_csv(comparison: Comparison) -> Iterator[str]:
    """A line per variant, as its fields are called."""
    header = list(type(comparison.variants[0]).model_fields) if comparison.variants else []
    rows = ([getattr(one, name) for name in header] for one in comparison.variants)
    return csv.lines(rows, header)


def differences_csv(comparison: Comparison) -> Iterator[str]:
    """A line per difference of every pair: the first less the second."""
    where = list(Place.model_fields)
    fields = [name for name in Difference.model_fields if name != "at"]
    rows = (
        [
            *(comparison.variants[number].letter for number in (pair.first, pair.second)),
            *(comparison.variants[number].study for number in (pair.first, pair.second)),
            *(comparison.variants[number].variant for number in (pair.first, pair.second)),
            pair.pairing,
            *(getattr(one.at, name) for name in where),
            *(getattr(one, name) for name in fields),
        ]
        for pair in comparison.pairs
        for one in pair.differences
    )
    outer = ("first_letter", "second_letter", "first_study", "second_study")
    named = ("first_variant", "second_variant", "pairing")
    header = [name if name not in ("first", "second") else f"{name}_value" for name in fields]
    return csv.lines(rows, (*outer, *named, *(f"at_{name}" for name in where), *header))


def _row(comparison: Comparison, pair: Pair, one: Difference, against: int) -> Row:
    letters = [comparison.variants[number].letter for number in (pair.first, pair.second)]
    reason = one.reason.replace("the first", letters[0]).replace("the second", letters[1])
    if pair.first == against:
        one, letters = one.turned(), letters[::-1]
    show = formats.slope if one.quantity in (Quantity.SLOPE, Quantity.DRIFT) else _loss
    signed = formats.slope if one.quantity in (Quantity.SLOPE, Quantity.DRIFT) else _signed
    interval = "–" if one.low is None else f"{signed(one.low)} to {signed(one.high)}"
    return Row(
        names=f"{letters[0]} − {letters[1]}",
        where=place(one.at),
        first=_at_rate(show(one.first), one.first_rate),
        second=_at_rate(show(one.second), one.second_rate),
        difference=signed(one.difference),
        interval=interval,
        seeds=f"{one.seeds} {'paired' if one.paired else 'unpaired'}" if one.seeds else "–",
        word=one.word,
        sign=SIGNS[one.word] if one.word else "",
        look=_look(one),
        reason=reason,
    )


def _look(one: Difference) -> str:
    if one.word in (Word.LOWER, Word.HIGHER):
        return one.word if one.quantity in (Quantity.BEST_LOSS, Quantity.REGRET) else "differs"
    return one.word or ""


def _names(comparison: Comparison, pair: Pair) -> str:
    first, second = (comparison.variants[number].letter for number in (pair.first, pair.second))
    return f"{first} and {second}"


def _pairing(pairing: str, because: Sequence[str]) -> str:
    reasons = ", ".join(because)
    match pairing:
        case "refused":
            return f"their losses are not comparable, because these differ: {reasons}"
        case "unpaired":
            return f"compared without pairing seeds, because these differ: {reasons}"
        case _:
            return "the same data, so that differences are taken seed by seed"


def _held(at: Place, names: Sequence[str]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {value}"
        for name in names
        if (value := getattr(at, name)) is not None
    ]


def _at_rate(text: str, rate: float | None) -> str:
    return text if rate is None else f"{text} at {formats.slope(rate)}"


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}".replace("-", "−")
