"""From measured slopes to a ranked list of single faults: the way in.

A fault's signature is not a table of what it was measured to do: it is read off the rules, whole
and broken, by arithmetic on sizes (`sizes`). Every fault is then as plausible as its signature
explains the slopes (`scoring`). Where a rule does what its own theory says, and that is not to
keep sizes, the code is right: the suspects are then what separates it from a rule that does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from muscope.catalogue.expectations import Expectations
from muscope.catalogue.models import MODELS
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES
from muscope.catalogue.rules import Choice
from muscope.theory import expected
from muscope.theory.expected import Standard
from muscope.theory.faults import FAULTS
from muscope.theory.faults.fault import Fault, Visibility, Weight
from muscope.theory.rule import WeightRule
from muscope.verdicts.diagnosis import likeness, words
from muscope.verdicts.diagnosis.numbers import Question
from muscope.verdicts.diagnosis.observed import Observation, observations
from muscope.verdicts.diagnosis.ranking import Ranking
from muscope.verdicts.diagnosis.signatures import Along, exponents
from muscope.verdicts.diagnosis.sizes import NETWORKS, Key
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.grid import Place
from muscope.verdicts.slopes import Floats
from muscope.verdicts.types import Cell
from muscope.vocabulary import Axis, Statistic, TensorKind

CLEAR = 0.5
"""Suspects are named when they are likelier than *healthy*, for which the odds are 20 to 1."""

MOST_SUSPECTS = 5
WORTH_NAMING = 0.005
"""Of the plausibility of all that are listed: what a page would show as 0 % is not listed."""

_GRADIENTS = (0.01, 0.03, 0.1, 0.3, 1.0, 10.0, 100.0)
"""How many times smaller gradients may be than sizes say, which leave out constants: the number of
examples, how wrong the model is. It matters only where something is added to them."""


def _seen_by_slopes() -> Iterator[Fault]:
    """The library, with a fault of epsilon once for every size that gradients may have."""
    for fault in FAULTS.values():
        if {Visibility.WIDTH, Visibility.DEPTH} & set(fault.visible):
            scales = _GRADIENTS if fault.name == EPSILON else (1.0,)
            yield from (fault if scale == 1 else _stronger(fault, scale) for scale in scales)


def _stronger(fault: Fault, scale: float) -> Fault:
    def change(weight: Weight) -> WeightRule:
        rule = fault.change(weight)
        return replace(rule, epsilon_factor=scale * rule.epsilon_factor)

    return replace(fault, change=change)


EPSILON = "epsilon_large"
SEEN_BY_SLOPES = tuple(_seen_by_slopes())


@dataclass(frozen=True, slots=True)
class Trained:
    """What was trained, and over which grid."""

    question: Question
    widths: Sequence[int]
    depths: Sequence[int]
    base_width: int
    base_depth: int

    def under(self, choice: Choice) -> "Trained":
        """The same under another rule."""
        return replace(self, question=replace(self.question, parametrization=choice))


Ranked: TypeAlias = Callable[[Trained, Sequence[Cell], Sequence[Fault]], Ranking]


def diagnose(
    trained: Trained, cells: Iterable[Cell], *, confidence: float, keeps_sizes: bool | None
) -> Diagnosis | None:
    """What may be wrong with a variant; None for a model whose layers are not known.

    `keeps_sizes` says whether its slopes on width are all flat, None where that is open.
    """
    if trained.question.model not in NETWORKS:
        return None
    found = list(cells)

    def ranked(trained: Trained, read: Sequence[Cell], faults: Sequence[Fault]) -> Ranking:
        return rank(trained, read, faults, confidence)

    return diagnosed(trained, found, ranked, keeps_sizes=keeps_sizes)


def diagnosed(
    trained: Trained, cells: Sequence[Cell], ranked: Ranked, *, keeps_sizes: bool | None
) -> Diagnosis | None:
    """The suspects of the rule that was meant, or of one that keeps sizes; None without slopes."""
    own = ranked(trained, cells, SEEN_BY_SLOPES)
    if not own.observations:
        return None
    if own.healthy_share < CLEAR:
        return _named(own)
    if keeps_sizes is not False or not likeness.is_meant_to_move(own):
        return Diagnosis(suspects=())
    return _against_ideal(trained, cells, ranked)


def rank(
    trained: Trained, cells: Sequence[Cell], faults: Sequence[Fault], confidence: float
) -> Ranking:
    """Every fault of the rule that was meant, against the slopes that were measured."""
    seen: list[Observation] = []
    known: dict[Axis, Mapping[Key, Floats]] = {}
    standard_of = _standards(trained)
    for along in _axes(trained, cells):
        signatures = exponents(trained.question, tuple(faults), along)
        own = [cell for cell in cells if cell.axis is along.axis and _held(cell) == along.held]
        seen += observations(
            along.axis, own, signatures, standard_of=standard_of, confidence=confidence
        )
        known[along.axis] = signatures
    return Ranking(faults, seen, known)


def _held(cell: Cell) -> int | None:
    return cell.depth if cell.axis is Axis.WIDTH else cell.width


def _axes(trained: Trained, cells: Sequence[Cell]) -> list[Along]:
    """Slopes on width and on depth, each at the least and the largest of what is held."""
    bases = (trained.base_width, trained.base_depth)
    found = []
    for axis, places, held in (
        (Axis.WIDTH, trained.widths, trained.depths),
        (Axis.DEPTH, trained.depths, trained.widths),
    ):
        if any(cell.axis is axis for cell in cells) and len(places) > 1:
            ends = dict.fromkeys((min(held), max(held)))
            found += [Along(axis, tuple(places), end, *bases) for end in ends]
    return found


def _standards(trained: Trained) -> Callable[[Cell], Standard]:
    """What theory expects of every cell under the rule that was meant."""
    question = trained.question
    theory = Expectations(
        parametrization=question.parametrization,
        optimizer=question.optimizer,
        optimizer_options=question.optimizer_options,
        model=question.model,
        options=question.options,
        widths=trained.widths,
        depth=trained.depths[-1],
    )
    entries = MODELS[question.model].activations(
        trained.widths[0], trained.depths[-1], question.options
    )
    slow = {entry.name for entry in entries if entry.aligns_slowly}

    def standard(cell: Cell) -> Standard:
        is_slow = cell.kind is TensorKind.ACTIVATION and cell.tensor in slow
        place = Place(cell.depth, cell.kind, cell.tensor, cell.role, cell.step, is_slow)
        if cell.axis is Axis.DEPTH:
            return theory.on_depth(place, cell.statistic)
        return expected.on_width(theory.at(place, cell.statistic))

    return standard


def _named(ranking: Ranking, note: str | None = None) -> Diagnosis:
    """The classes of faults that are plausible, as suspects."""
    listed = [rules for rules in ranking.ranked if ranking.is_better_than_healthy(rules)]
    if not listed:
        return Diagnosis(suspects=())
    listed = listed[:MOST_SUSPECTS]
    shares = map(float, ranking.shares_among(listed))
    named = [one for one in zip(listed, shares, strict=True) if one[1] >= WORTH_NAMING]
    (first, _), *others = named
    return Diagnosis(
        suspects=tuple(words.suspect(ranking, rules, share) for rules, share in named),
        separates=words.separates(ranking, first, others[0][0]) if others else None,
        note=note,
    )


def _against_ideal(trained: Trained, cells: Sequence[Cell], ranked: Ranked) -> Diagnosis:
    """A rule that moves sizes as its theory says, as a rule that keeps them with one fault."""
    own = trained.question.parametrization
    zero = bool(own.complete["zero_readout"])
    by_numbers = tuple(likeness.of_rule(trained))
    faults = (*by_numbers, *SEEN_BY_SLOPES)
    ideals = [trained.under(Choice(name, {**form, "zero_readout": zero})) for name, form in _IDEALS]
    alike = [ideal for ideal in ideals if likeness.multiplies_alike(trained, ideal)]
    read = cells if alike else [cell for cell in cells if not _depends_on_form(cell)]
    rankings = [
        replace(
            ranked(ideal, read, faults),
            known=likeness.of_numbers(trained, ideal, faults, favoured=len(by_numbers)),
        )
        for ideal in alike or ideals
    ]
    best = max(rankings, key=lambda ranking: float(np.max(ranking.logs)))
    title = PARAMETRIZATION_ENTRIES[own.name].title
    note = (
        f"as {title}'s own theory says: sizes do not keep at this rate, and the code does what its "
        "rule says. The suspects say what the rule lacks to be width-stable"
    )
    return _named(best, note)


_IDEALS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("mup", {"form": "table3"}),
    ("mup", {"form": "table8"}),
    ("spectral", {}),
    ("mean_field", {}),
)
"""Rules that keep sizes, in the forms that others are written in."""


def _depends_on_form(cell: Cell) -> bool:
    """Whether moving a multiplier into std and rate changes it: the function stays (facts 1)."""
    is_weight = cell.kind is not TensorKind.ACTIVATION
    return is_weight and cell.statistic is not Statistic.CONTRIBUTION
