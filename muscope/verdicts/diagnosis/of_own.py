"""The diagnosis of a user's own model, of which only activations and their roles are known.

What its layers are to each other is not known either, so a model of the catalogue stands in: a
transformer where there are attention logits, else a perceptron with as many hidden layers, in the
order that they were read. In a transformer an exponent of a role is the mean over its tensors, and
as unsure as they differ; in a perceptron it is half as unsure, because there may be norms.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from muscope.catalogue.models import MODELS
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options
from muscope.catalogue.rules import Choice
from muscope.theory.expected import Standard
from muscope.theory.faults.fault import Fault
from muscope.verdicts.diagnosis.numbers import Question
from muscope.verdicts.diagnosis.observed import observations
from muscope.verdicts.diagnosis.ranking import Ranking
from muscope.verdicts.diagnosis.signatures import Along, exponents
from muscope.verdicts.diagnosis.sizes import Key
from muscope.verdicts.diagnosis.suspects import Trained, diagnosed
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.slopes import Floats
from muscope.verdicts.types import Cell
from muscope.vocabulary import Axis, Role, Statistic, TensorKind

_BLOCKS = 2
"""Of a transformer that stands in: slopes on width hardly depend on it."""

_DEEPEST = 16
"""Of a perceptron that stands in."""


class Own(Protocol):
    """What is known of a user's model: see `muscope.verdicts.own.OwnVariant`."""

    @property
    def optimizers(self) -> Mapping[Role, str | None]: ...
    @property
    def choice(self) -> Choice | None: ...
    @property
    def heads_grow(self) -> bool: ...
    @property
    def zero_readout(self) -> bool: ...
    @property
    def tied(self) -> bool: ...


def of_own(
    own: Own,
    widths: Sequence[int],
    cells: Iterable[Cell],
    standard_of: Callable[[Cell], Standard],
    *,
    confidence: float,
    stable: bool | None,
) -> Diagnosis | None:
    """What may be wrong with it, as µP or the rule that was asked for; None where nothing moved."""
    read = [cell for cell in cells if cell.axis is Axis.WIDTH]
    if len(widths) < 2 or not read:
        return None
    trained = _stand_in(own, widths, read)

    def ranked(trained: Trained, read: Sequence[Cell], faults: Sequence[Fault]) -> Ranking:
        depth = trained.depths[0]
        along = Along(Axis.WIDTH, tuple(widths), depth, trained.base_width, depth)
        by_tensor = exponents(trained.question, tuple(faults), along)
        mean, blur = _of_tensors(trained, by_tensor, read)
        seen = observations(
            Axis.WIDTH, read, mean, standard_of=standard_of, confidence=confidence, blur=blur
        )
        return Ranking(faults, seen, {Axis.WIDTH: mean})

    return diagnosed(trained, read, ranked, keeps_sizes=stable)


def _stand_in(own: Own, widths: Sequence[int], cells: Sequence[Cell]) -> Trained:
    """A model of the catalogue with such roles, under the rule that was meant or under µP."""
    has_attention = any(cell.role is Role.ATTENTION_LOGITS for cell in cells)
    depth = _BLOCKS if has_attention else min(max(len(_hidden(cells)), 1), _DEEPEST)
    name = own.optimizers.get(Role.HIDDEN) or "adamw"
    optimizer = OPTIMIZERS[name]
    question = Question(
        parametrization=own.choice or Choice("mup", {"zero_readout": own.zero_readout}),
        optimizer=name,
        optimizer_options={option.name: option.default for option in optimizer.options},
        learning_rate=optimizer.learning_rate,
        model="gpt" if has_attention else "mlp",
        options=_options(own, widths) if has_attention else {},
    )
    return Trained(question, widths, (depth,), min(widths), depth)


def _hidden(cells: Sequence[Cell]) -> list[str]:
    """The hidden activations, in the order that they were read."""
    return list(dict.fromkeys(cell.tensor for cell in cells if cell.role is Role.HIDDEN))


def _options(own: Own, widths: Sequence[int]) -> Options:
    heads: Options = {"heads": 1} if own.heads_grow else {"head_size": min(32, *widths)}
    return {**heads, "tied_embeddings": own.tied and not own.zero_readout}


def _of_tensors(
    trained: Trained, by_tensor: Mapping[Key, Floats], cells: Sequence[Cell]
) -> tuple[dict[Key, Floats], dict[Key, Floats]]:
    """The exponents of every tensor that was read, and how much those of its like differ."""
    question, (depth,) = trained.question, trained.depths
    entries = MODELS[question.model].activations(64, depth, question.options)
    roles = {entry.name: entry.role for entry in entries}
    layers = {name: f"hidden.{number}" for number, name in enumerate(_hidden(cells))}
    alike: defaultdict[tuple[Role, Statistic, int], list[Floats]] = defaultdict(list)
    for (kind, name, statistic, step), slopes in by_tensor.items():
        if kind is TensorKind.ACTIVATION and np.isfinite(slopes[0]):
            alike[roles[name], statistic, step].append(np.nan_to_num(slopes))
    mean: dict[Key, Floats] = {}
    blur: dict[Key, Floats] = {}
    for cell in cells:
        key = (cell.kind, cell.tensor, cell.statistic, cell.step)
        own = by_tensor.get((cell.kind, layers.get(cell.tensor, ""), cell.statistic, cell.step))
        like = alike.get((cell.role, cell.statistic, cell.step))
        if like and own is not None:
            mean[key], blur[key] = own, np.std(like, axis=0) / 2
        elif like:
            mean[key], blur[key] = np.mean(like, axis=0), np.std(like, axis=0)
    return mean, blur
