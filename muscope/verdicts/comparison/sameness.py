"""Whether variants saw the same data and seeds, setting by setting, and what follows if not.

A loss is comparable only if it is the same loss on the same held-out data: a tokenizer, a context
or a test set of its own makes it another number, and no difference is given (*refused*). Another
batch size draws other batches, so that equal seeds share no order of the data: their differences
are *unpaired*. What else differs is *noted*: it is compared on purpose, or changes the cost alone.
Slopes on width have no unit: they are compared on any data, paired on the same.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import TypeAlias

from muscope import catalogue
from muscope.catalogue import datasets
from muscope.recorded import RecordedSpec
from muscope.spec import StudySpec, Variant
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.types import Effect, Pairing, Setting
from muscope.vocabulary import kind_words

FEWEST_SHARED = 2
"""Seeds that two variants share, so that there is anything to pair."""
SEEDS = "seeds"
KIND = "kind of study"
UNKNOWN = "the data of a recording, which nobody knows"

_Reader: TypeAlias = Callable[[StudySpec, Variant], str]


def settings(contenders: Sequence[Contender]) -> tuple[Setting, ...]:
    """Every setting that all of them have, with the value of each."""
    return tuple(_settings(contenders))


def pairing(
    settings: Sequence[Setting], contenders: Sequence[Contender], first: int, second: int
) -> tuple[Pairing, tuple[str, ...]]:
    """How two of them may be compared, and the settings that make it so."""
    if not have_numbers_in_common(contenders[first], contenders[second]):
        return "refused", (KIND,)
    if any(isinstance(contenders[one].spec, RecordedSpec) for one in (first, second)):
        return "unpaired", (UNKNOWN,)
    differing = [one for one in settings if one.values[first] != one.values[second]]
    refused = tuple(one.name for one in differing if one.effect is Effect.REFUSED)
    if refused:
        return "refused", refused
    unpaired = tuple(one.name for one in differing if one.effect is Effect.UNPAIRED)
    if not shares_seeds(contenders[first].seeds, contenders[second].seeds):
        unpaired = (*unpaired, SEEDS)
    return ("unpaired", unpaired) if unpaired else ("paired", ())


def have_numbers_in_common(first: Contender, second: Contender) -> bool:
    """Whether both have losses, or both have sizes."""
    return (first.has_losses and second.has_losses) or (first.has_sizes and second.has_sizes)


def shares_seeds(first: frozenset[int], second: frozenset[int]) -> bool:
    """Whether there are enough to pair, or as many as there can be."""
    return first == second or len(first & second) >= FEWEST_SHARED


def _settings(contenders: Sequence[Contender]) -> Iterator[Setting]:
    losses = all(one.has_losses for one in contenders)
    kinds = tuple(kind_words(one.spec.kind) for one in contenders)
    are_comparable = all(have_numbers_in_common(*pair) for pair in combinations(contenders, 2))
    yield Setting(
        name=KIND, values=kinds, effect=Effect.NOTED if are_comparable else Effect.REFUSED
    )
    if losses:
        axes = tuple(one.axis.value.replace("_", " ") for one in contenders)
        yield Setting(name="rates transfer over", values=axes, effect=Effect.REFUSED)
    planned = [
        (one.spec, one.chosen)
        for one in contenders
        if isinstance(one.spec, StudySpec) and isinstance(one.chosen, Variant)
    ]
    if len(planned) == len(contenders):
        for name, (read, effect) in (_OF_LOSSES if losses else _OF_SIZES).items():
            values = tuple(read(spec, variant) for spec, variant in planned)
            if any(values):
                yield Setting(name=name, values=values, effect=effect)
    for name in dict.fromkeys(name for one in contenders for name in one.surroundings):
        values = tuple(one.surroundings.get(name, "") for one in contenders)
        # what has not been trained has no surroundings yet
        if all(values):
            is_data = name == DATA_DIGEST
            grave = Effect.REFUSED if losses else Effect.UNPAIRED
            yield Setting(name=name, values=values, effect=grave if is_data else Effect.NOTED)
    for name, of in _AXES.items():
        values = tuple(map(of, contenders))
        if any(values):
            yield Setting(name=name, values=values, effect=Effect.NOTED)


DATA_DIGEST = "data, SHA-256"


def _dataset(_: StudySpec, variant: Variant) -> str:
    model = variant.model
    options = dict(model.options)
    entry = datasets.chosen(catalogue.MODELS[model.name].dataset, options)
    return " ".join(filter(None, (entry.name, str(options.get("dataset_name", "")))))


def _option(name: str) -> _Reader:
    def read(_: StudySpec, variant: Variant) -> str:
        known = {option.name: option for option in catalogue.MODELS[variant.model.name].options}
        if name not in known:
            return ""
        return str(variant.model.options.get(name, known[name].default))

    return read


def _vocabulary(spec: StudySpec, variant: Variant) -> str:
    """A model's own; without one it has that of its data, if any."""
    own = _option("vocabulary")(spec, variant)
    return "" if own == "0" else own


def _held_out(spec: StudySpec, variant: Variant) -> str:
    """Held-out examples: as many as so many batches have."""
    if not spec.held_out:
        return "none, so that the last training losses are compared"
    sizes = spec.batch_sizes or (variant.model.batch_size,)
    return _list([spec.held_out * size for size in sizes])


def _sequence_length(spec: StudySpec, variant: Variant) -> str:
    return _list(spec.sequence_lengths) or _option("sequence_length")(spec, variant)


def _batch_size(spec: StudySpec, variant: Variant) -> str:
    return _list(spec.batch_sizes) or str(variant.model.batch_size)


_SHARED: dict[str, tuple[_Reader, Effect]] = {
    "batch size": (_batch_size, Effect.UNPAIRED),
    "batches": (lambda spec, _: spec.batches, Effect.UNPAIRED),
    "vocabulary": (_vocabulary, Effect.NOTED),
    "precision": (_option("precision"), Effect.NOTED),
    "steps": (lambda spec, _: _list(spec.step_counts) or str(spec.steps), Effect.NOTED),
    "base width": (lambda spec, _: str(spec.base_width), Effect.NOTED),
    "base depth": (lambda spec, _: str(spec.base_depth), Effect.NOTED),
}
_OF_LOSSES: dict[str, tuple[_Reader, Effect]] = {
    "dataset": (_dataset, Effect.REFUSED),
    "sequence length": (_sequence_length, Effect.REFUSED),
    "loss": (_option("loss"), Effect.REFUSED),
    "held-out examples": (_held_out, Effect.REFUSED),
    **_SHARED,
    "search": (lambda spec, _: spec.search, Effect.NOTED),
}
_OF_SIZES: dict[str, tuple[_Reader, Effect]] = {
    "dataset": (_dataset, Effect.UNPAIRED),
    "sequence length": (_sequence_length, Effect.UNPAIRED),
    "loss": (_option("loss"), Effect.UNPAIRED),
    **_SHARED,
}


def _rates(one: Contender) -> str:
    if isinstance(one.spec, RecordedSpec) or not one.spec.octaves:
        return ""
    octaves = (f"{one.log2_rate(octave):.3f}" for octave in one.spec.octaves)
    rates = _list([text.rstrip("0").rstrip(".") for text in octaves])
    return rates.replace("-", "\N{MINUS SIGN}")


_AXES: dict[str, Callable[[Contender], str]] = {
    SEEDS: lambda one: _list(sorted(one.seeds)) or "none yet",
    "widths": lambda one: _list(one.spec.widths),
    "depths": lambda one: _list(one.spec.depths),
    "log₂ learning rates": _rates,
}


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
