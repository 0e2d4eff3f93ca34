"""What a comparison says: plain values that travel as JSON."""

from enum import StrEnum
from typing import Literal, TypeAlias

from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.types import Judged
from muscope.vocabulary import Axis, CellVerdict, Statistic, TensorKind, TransferVerdict


class Word(StrEnum):
    """What a difference, the first less the second, comes to."""

    LOWER = "lower"
    HIGHER = "higher"
    ALIKE = "alike"
    OPEN = "open"


_OPPOSITE = {Word.LOWER: Word.HIGHER, Word.HIGHER: Word.LOWER}


class Effect(StrEnum):
    """What it does to a comparison that a setting is not the same, from least to most."""

    NOTED = "noted"
    UNPAIRED = "unpaired"
    REFUSED = "refused"


class Quantity(StrEnum):
    """What is compared."""

    BEST_LOSS = "loss at each one's best rate"
    EQUAL_RATE = "loss at an equal rate"
    DRIFT = "drift"
    REGRET = "regret"
    SLOPE = "slope"


def _negative(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


Pairing: TypeAlias = Literal["paired", "unpaired", "refused"]


class Setting(Judged):
    """One thing that may or may not be the same, with the value that each variant has, in words."""

    name: str
    values: tuple[str, ...]
    effect: Effect

    @property
    def is_same(self) -> bool:
        """Whether all variants have one value."""
        return len(set(self.values)) == 1


class Place(Judged):
    """Where two variants are compared; what does not apply is None.

    `rate` is log2 of a learning rate that both were trained at. A drift is along an `axis`, a
    regret at its largest place. A slope is that of one `statistic` of one kind of a `tensor` at a
    step, over the widths that both have.
    """

    width: int | None = None
    depth: int | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    steps: int | None = None
    rate: float | None = None
    axis: Axis | None = None
    tensor: str | None = None
    kind: TensorKind | None = None
    statistic: Statistic | None = None
    step: int | None = None


class Difference(Judged):
    """A number of the first variant less that of the second, with its Student-t interval.

    `first` and `second` are the means over seeds, each at its own rate (log2). None where one
    has no number: `reason` says why. The interval has `confidence`; it is over the differences of
    `seeds` seeds where they are paired, else by Welch. `word` holds among all differences of the
    quantity, as decision 36 has it; None where no word is given.
    """

    quantity: Quantity
    at: Place
    first: float | None = None
    second: float | None = None
    first_rate: float | None = None
    second_rate: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    paired: bool = False
    confidence: float = CONFIDENCE
    tolerance: float | None = None
    smallest_detectable: float | None = None
    word: Word | None = None
    reason: str = ""

    def turned(self) -> "Difference":
        """The second less the first."""
        return self.model_copy(
            update={
                "first": self.second,
                "second": self.first,
                "first_rate": self.second_rate,
                "second_rate": self.first_rate,
                "difference": _negative(self.difference),
                "low": _negative(self.high),
                "high": _negative(self.low),
                "word": None if self.word is None else _OPPOSITE.get(self.word, self.word),
            }
        )


class Pair(Judged):
    """Two of the variants, by their places in the list, and how they may be compared.

    `because` names the settings that differ and keep the seeds from being paired, or all apart.
    """

    first: int
    second: int
    pairing: Pairing
    because: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    def of(self, quantity: Quantity) -> tuple[Difference, ...]:
        """The differences of one quantity."""
        return tuple(one for one in self.differences if one.quantity is quantity)


class Standing(Judged):
    """A variant in the table of a comparison: what it came to by itself.

    `worst` is its steepest slope among those that decide, at `worst_at`; drift and regret are those
    of its worst place, `best_loss` is the least mean loss, at `best_rate` (log2) and `best_width`.
    None where it has none of it. `check` is the verdict on sizes of one that has both. `device_s`
    is its share of the time that its bundles took.
    """

    letter: str
    study: str
    study_name: str
    variant: str
    label: str
    kind: str
    verdict: CellVerdict | TransferVerdict | None = None
    check: CellVerdict | None = None
    final: bool = False
    sentence: str = ""
    axis: Axis = Axis.WIDTH
    worst: float | None = None
    worst_low: float | None = None
    worst_high: float | None = None
    worst_at: str = ""
    drift: float | None = None
    drift_low: float | None = None
    drift_high: float | None = None
    regret: float | None = None
    best_loss: float | None = None
    best_rate: float | None = None
    best_width: int | None = None
    device_s: float | None = None
    device: str = ""


class Comparison(Judged):
    """Several variants: what each came to, what is the same, and how each differs from each."""

    variants: tuple[Standing, ...]
    settings: tuple[Setting, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> tuple[Setting, ...]:
        """What is the same for all."""
        return tuple(one for one in self.settings if one.is_same)

    @property
    def differing(self) -> tuple[Setting, ...]:
        """What is not, the gravest first."""
        found = [one for one in self.settings if not one.is_same]
        return tuple(sorted(found, key=lambda one: -list(Effect).index(one.effect)))
