"""What plugins make, held to what they described: whose fault something is, its sentence says."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from muscope import catalogue
from muscope.catalogue import ActivationEntry, DatasetUnavailable, Options
from muscope.lab.data.images import Images
from muscope.lab.data.text import Text
from muscope.lab.models.model import Batch, Model
from muscope.lab.models.operators import Operators
from muscope.lab.optimizers.optimizer import Optimizer, Rates, State
from muscope.plugins import PluginError, importing


class PluggedOptimizer:
    """A plugin's optimizer: a new weight as large as the old one, whatever it does inside."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.inside: Optimizer = importing.made(name, lambda plugin: plugin.make(options))

    def start(self, weight: Tensor) -> State:
        """The state before the first update."""
        return self._state(importing.guarded(self.name, lambda: self.inside.start(weight)))

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and the state after update number `step`, counted from 1."""
        found = importing.guarded(
            self.name,
            lambda: self.inside.update(weight, gradient, state=state, rates=rates, step=step),
        )
        if not isinstance(found, tuple) or len(found) != 2:
            raise PluginError(f"plugin {self.name}: update must return (weight, state)")
        new, kept = found
        if not isinstance(new, Tensor) or new.shape != weight.shape or new.dtype != weight.dtype:
            raise PluginError(
                f"plugin {self.name}: update must return a weight of shape "
                f"{tuple(weight.shape)} and type {weight.dtype}, got {_shown(new)}"
            )
        return new, self._state(kept)

    def _state(self, state: Any) -> State:
        if isinstance(state, tuple) and all(isinstance(part, Tensor) for part in state):
            return state
        raise PluginError(
            f"plugin {self.name}: the state must be a tuple of tensors whose first dimension "
            f"counts the members, got {_shown(state)}"
        )


class PluggedModel:
    """A plugin's model: it taps what it described, in that order."""

    def __init__(self, name: str, width: int, depth: int, options: Options) -> None:
        entry = catalogue.MODELS[name]
        self.name, complete = name, entry.complete(options)
        self.activations: tuple[ActivationEntry, ...] = entry.activations(width, depth, options)
        self.inside: Model = importing.made(
            name, lambda plugin: plugin.make(width, depth, complete)
        )

    def loss(self, operators: Operators, batch: Batch) -> Tensor:
        """The mean loss of the batch; activations are left in the operators, as described."""
        found: Tensor = importing.guarded(self.name, lambda: self.inside.loss(operators, batch))
        if not isinstance(found, Tensor) or found.dim():
            raise PluginError(
                f"plugin {self.name}: loss must return one number, got {_shown(found)}"
            )
        if operators.record:
            self._check(list(operators.activations))
        return found

    def _check(self, tapped: list[str]) -> None:
        described = [entry.name for entry in self.activations]
        if tapped != described:
            raise PluginError(
                f"plugin {self.name}: it taps {', '.join(tapped)[:300]} where it describes "
                f"{', '.join(described)[:300]}"
            )


def measured(name: str, values: Tensor) -> Tensor:
    """One number per member of a plugin's statistic of a tensor (members, ...), in float64."""
    found = importing.made(name, lambda plugin: plugin.make(values))
    if not isinstance(found, Tensor) or found.shape != values.shape[:1]:
        raise PluginError(
            f"plugin {name}: a statistic of {tuple(values.shape)} must be a tensor of shape "
            f"{tuple(values.shape[:1])}, got {_shown(found)}"
        )
    return found.detach().to(device=values.device, dtype=torch.float64)


@cache
def data(name: str) -> Images | Text:
    """A plugin's data, held to their description; what cannot be read is DatasetUnavailable."""
    entry = catalogue.DATASETS[name]
    try:
        inputs, classes = importing.made(name, lambda plugin: _pair(plugin.make()))
    except PluginError as error:
        raise DatasetUnavailable(str(error)) from error
    if entry.modality == "text":
        return _text(name, inputs, entry.classes)
    return _images(name, inputs, classes, entry)


def _pair(found: Any) -> tuple[Any, Any]:
    return found if isinstance(found, tuple) and len(found) == 2 else (found, None)


def _text(name: str, tokens: Any, vocabulary: int) -> Text:
    row = torch.as_tensor(tokens)
    if row.dim() != 1 or row.is_floating_point() or not len(row):
        raise DatasetUnavailable(
            f"plugin {name}: text is a row of whole numbers, got {_shown(row)}"
        )
    if int(row.min()) < 0 or int(row.max()) >= vocabulary:
        raise DatasetUnavailable(
            f"plugin {name}: tokens lie between {int(row.min())} and {int(row.max())}, described "
            f"are 0 to {vocabulary - 1}"
        )
    # the vocabulary is at most 65 536
    return Text(name, row.to(torch.int32).numpy().astype("uint16"))


def _images(name: str, pixels: Any, classes: Any, entry: catalogue.DatasetEntry) -> Images:
    try:
        rows = torch.as_tensor(pixels, dtype=torch.float32)
        labels = torch.as_tensor(classes, dtype=torch.int64)
    except (TypeError, ValueError, RuntimeError) as error:
        text = f"plugin {name}: images are (pixels, classes), both tensors: {error}"
        raise DatasetUnavailable(text) from error
    rows = rows.reshape(len(rows), -1) if rows.dim() else rows
    if rows.dim() != 2 or rows.shape[1] != entry.inputs or labels.shape != (len(rows),):
        raise DatasetUnavailable(
            f"plugin {name}: described are images of {entry.inputs} numbers with a class each, got "
            f"{_shown(rows)} and {_shown(labels)}"
        )
    if not len(rows) or int(labels.min()) < 0 or int(labels.max()) >= entry.classes:
        raise DatasetUnavailable(
            f"plugin {name}: described are the classes 0 to {entry.classes - 1}"
        )
    spread = float(rows.std())
    if not torch.isfinite(rows).all() or not spread > 0:
        raise DatasetUnavailable(f"plugin {name}: pixels must be finite, and not all the same")
    return Images(rows.contiguous(), labels, mean=float(rows.mean()), std=spread)


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
    return f"{type(value).__name__}"
