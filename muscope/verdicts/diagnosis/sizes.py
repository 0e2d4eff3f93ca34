"""How large everything in a model is, by arithmetic: what exponents are read off.

One number, the typical size of an entry, goes forward through the layers and back again:

    forward    y = A B sqrt(fan_in) x          a sum over fan_in of independent terms
    backward   g_x = A B sqrt(fan_out) g_y     the same, the other way
    gradient   A g_y x                         of an entry of the weight
    update     C times the raw update of the optimizer's family
    contribution  A C fan_in x                 times the raw update: aligned terms add up
    change     of an output: its contribution, and what the change of its input makes of it

Norms divide by the size of the stream, and their backward does too. The readout's update is aligned
with the hidden activations, and so are hidden changes with the readout: both are sums of n terms
of one sign (docs/facts.md 2.12, 3, 5.1, 5.2). Only powers of the width or depth are meant: factors
that are the same at every place are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from muscope.catalogue.models.resnet import STAGES
from muscope.catalogue.rules import READOUT, TOKENS
from muscope.verdicts.diagnosis.numbers import Layer, Numbers
from muscope.verdicts.slopes import Floats
from muscope.vocabulary import Statistic, TensorKind, UpdateFamily

Key: TypeAlias = tuple[TensorKind, str, Statistic, int]
"""(kind, tensor, statistic, step)."""

_SINGULAR = (UpdateFamily.ORTHOGONAL, UpdateFamily.ORTHOGONAL_RMS)
"""What is known of their updates is the singular values, not the entries."""

LAST = "last"
"""In names of tensors of the last block, where depths are compared."""

Sized: TypeAlias = dict[str, Floats]

_ERROR = 0.1
"""The gradient of the logits: a mean over examples of errors below 1; only mixtures see it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What training has done to one weight: its update, and what that makes of its first input.

    Both are sums over the steps so far; `last` and `last_contribution` are of the last one.
    """

    update: Floats
    contribution: Floats
    last: Floats
    last_contribution: Floats

    def then(self, other: "Moved") -> "Moved":
        """One step more in the same direction, as on a fixed batch."""
        update, made = self.update + other.update, self.contribution + other.contribution
        return Moved(update, made, other.last, other.last_contribution)


@dataclass(slots=True)
class Model:
    """A model whose sizes are worked out step by step; names are those of its tensors."""

    numbers: Numbers
    inputs: Sized = field(default_factory=dict)
    sizes: Sized = field(default_factory=dict)
    changes: Sized = field(default_factory=dict)
    gradients: Sized = field(default_factory=dict)
    moved: dict[str, Moved] = field(default_factory=dict)

    def layer(self, name: str) -> Layer:
        """The numbers of a weight; every block has those of the first."""
        return self.numbers.layers[first_of_kind(name)]

    def has(self, name: str) -> bool:
        """Whether the model has such a weight."""
        return first_of_kind(name) in self.numbers.layers

    def apply(self, name: str, inputs: Floats) -> Floats:
        """The size of what a weight at initialization makes of independent inputs."""
        layer = self.layer(name)
        self.inputs[name] = inputs
        return layer.multiplier * layer.std * np.sqrt(layer.fan_in) * inputs

    def change(self, name: str, of_input: Floats | float) -> Floats:
        """How far the output of a weight has moved."""
        layer = self.layer(name)
        passed_on = layer.multiplier * layer.std * np.sqrt(layer.fan_in) * of_input
        return self.contribution(name) + passed_on + self._of_bias(name)

    def contribution(self, name: str) -> Floats | float:
        """What the update of a weight makes of its first input; 0 before the first step."""
        return self.moved[name].contribution if name in self.moved else 0.0

    def _of_bias(self, name: str) -> Floats | float:
        return self.contribution(f"{name}.bias")

    def entries(self, name: str) -> Floats:
        """Of the effective weight as it is now, with its updates."""
        layer = self.layer(name)
        entries: Floats = layer.multiplier * np.sqrt(layer.std**2 + self._update(name) ** 2)
        return entries

    def _update(self, name: str) -> Floats | float:
        return self.moved[name].update if name in self.moved else 0.0

    def back(self, name: str, gradient: Floats) -> Floats:
        """The gradient of a weight's output becomes that of its input, and its own."""
        layer = self.layer(name)
        multiplier = 1.0 if self.numbers.scales_gradients else layer.multiplier
        self.gradients[name] = multiplier * gradient * self.inputs[name]
        if self.has(f"{name}.bias"):
            bias = self.layer(f"{name}.bias")
            own = 1.0 if self.numbers.scales_gradients else bias.multiplier
            self.gradients[f"{name}.bias"] = own * gradient
        return layer.multiplier * layer.std * np.sqrt(layer.fan_out) * gradient

    def read_out(self, hidden: Floats) -> Floats:
        """The size of the logits, of hidden activations of that size."""
        if not self.is_tied:
            return self.apply(READOUT, hidden)
        self.inputs[READOUT] = hidden
        table, numbers = self.layer(TOKENS), self.numbers
        return numbers.tied * table.std * np.sqrt(numbers.width) * hidden

    @property
    def is_tied(self) -> bool:
        """Whether the readout is the token embedding."""
        return not self.has(READOUT)

    def readout_change(self, of_hidden: Floats | float) -> Floats:
        """How far the logits have moved: hidden changes are aligned with the readout."""
        numbers = self.numbers
        if self.is_tied:
            update = self._update(TOKENS)
            entries = self._tied_entries()
            own: Floats | float = numbers.tied * update * numbers.width * self.inputs[READOUT]
        else:
            entries = self.entries(READOUT)
            own = self.contribution(READOUT) + self._of_bias(READOUT)
        return own + entries * numbers.width * of_hidden

    def _tied_entries(self) -> Floats:
        """Of the readout as it is now, where it is the token embedding."""
        size: Floats = np.sqrt(self.layer(TOKENS).std ** 2 + self._update(TOKENS) ** 2)
        return self.numbers.tied * size

    def back_through_readout(self) -> Floats:
        """The gradient of the hidden activations, with the readout as it is now."""
        numbers = self.numbers
        error = np.full_like(numbers.residual, _ERROR)
        if self.is_tied:
            self.gradients[TOKENS] = numbers.tied * error * self.inputs[READOUT]
            return self._tied_entries() * error
        self.back(READOUT, error)
        entries = self.entries(READOUT)
        if numbers.backward is not None:
            entries = entries / self.layer(READOUT).multiplier * numbers.backward
        return entries * error

    def back_through_gain(self, name: str, gradient: Floats) -> None:
        """The gradient of a gain, which multiplies what its norm has made of size 1."""
        if self.has(name):
            own = 1.0 if self.numbers.scales_gradients else self.layer(name).multiplier
            self.gradients[name] = own * gradient

    def step(self) -> None:
        """Move every weight that has a gradient by its rate times its raw update."""
        rate = self.numbers.question.learning_rate
        for name, gradient in self.gradients.items():
            update, contribution = _raw(self.layer(name), gradient, self.inputs.get(name))
            layer = self.layer(name)
            entry = rate * layer.rate * update
            made = rate * layer.multiplier * layer.rate * contribution
            one = Moved(entry, made, entry, made)
            self.moved[name] = self.moved[name].then(one) if name in self.moved else one


def first_of_kind(name: str) -> str:
    """`blocks.3.attn.q` has the rule of `blocks.0.attn.q`; stages of a ResNet differ."""
    words = name.split(".")
    if words[0] == "stages":
        return ".".join([*words[:2], *("0" if word.isdigit() else word for word in words[2:])])
    return ".".join("0" if word.isdigit() else word for word in words)


def named_last(name: str, depth: int) -> str | None:
    """A tensor of the last block as `blocks.last.attn.q`; None of an inner block."""
    words = name.split(".")
    place = 2 if words[0] == "stages" else 1
    if len(words) <= place or not words[place].isdigit():
        return name
    if int(words[place]) != depth - 1:
        return None
    return ".".join([*words[:place], LAST, *words[place + 1 :]])


def _raw(layer: Layer, gradient: Floats, inputs: Floats | None) -> tuple[Floats, Floats]:
    """An entry of the raw update, and what it makes of its input: fan_in aligned terms."""
    x = np.ones_like(gradient) if inputs is None else inputs
    some = np.where(gradient > 0, 1.0, 0.0)
    match layer.family:
        case UpdateFamily.SGD_LIKE:
            entry = gradient
        case UpdateFamily.SIGN_LIKE:
            entry = some * gradient / np.where(gradient > 0, gradient + layer.epsilon, 1.0)
        case UpdateFamily.TRUST_RATIO | UpdateFamily.PARAMETER_SCALED:
            entry = some * np.where(layer.std > 0, layer.std, 1.0)
        case UpdateFamily.ORTHOGONAL | UpdateFamily.ORTHOGONAL_RMS:
            singular = np.sqrt(np.maximum(layer.fan_in, layer.fan_out))
            scale = 1.0 if layer.family is UpdateFamily.ORTHOGONAL else singular
            norm = some * scale * np.sqrt(layer.fan_in / layer.fan_out)
            return np.full_like(gradient, np.nan), norm * x
    return entry, entry * layer.fan_in * x


def of_model(numbers: Numbers, steps: int) -> dict[Key, Floats]:
    """The size of every tensor of every kind at steps 0 to `steps`, as far as it is known."""
    network = NETWORKS[numbers.question.model](Model(numbers))
    found: dict[Key, Floats] = {}
    network.forward()
    for step in range(steps + 1):
        if step:
            network.model.step()
            network.move()
        network.backward()
        found |= _at(network.model, step)
    return found


def _at(model: Model, step: int) -> dict[Key, Floats]:
    """What a recording of that step would see; gradients are those of the forward at it."""
    found: dict[Key, Floats] = {}
    for name, gradient in model.gradients.items():
        found[TensorKind.GRADIENT, name, Statistic.L1, step] = gradient
    if step == 0:
        for name, size in model.sizes.items():
            found[TensorKind.ACTIVATION, name, Statistic.L1, 0] = size
        for name in model.gradients:
            found[TensorKind.WEIGHT, name, Statistic.RMS, 0] = model.layer(name).std
        return found
    for name, change in model.changes.items():
        found[TensorKind.ACTIVATION, name, Statistic.CHANGE, step] = change
    for name, moved in model.moved.items():
        found[TensorKind.WEIGHT, name, Statistic.CONTRIBUTION, step] = moved.contribution
        found[TensorKind.UPDATE, name, Statistic.RMS, step] = moved.last
        if model.layer(name).family in _SINGULAR:
            norm = moved.last_contribution / model.inputs[name]
            found[TensorKind.UPDATE, name, Statistic.SPECTRAL, step] = norm
    return found


class Perceptron:
    """Input layer, hidden layers, readout: no norms, so that sizes are handed on."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.names = ["input", *(f"hidden.{layer}" for layer in range(model.numbers.depth))]

    def forward(self) -> None:
        """Sizes at initialization."""
        size = np.ones_like(self.model.layer("input").std)
        for name in self.names:
            size = self.model.sizes[name] = self.model.apply(name, size)
        self.model.sizes["readout"] = self.model.read_out(size)

    def move(self) -> None:
        """Changes after the updates so far."""
        change = np.zeros_like(self.model.numbers.residual)
        for name in self.names:
            change = self.model.changes[name] = self.model.change(name, change)
        self.model.changes["readout"] = self.model.readout_change(change)

    def backward(self) -> None:
        """Gradients with the weights as they are."""
        gradient = self.model.back_through_readout()
        for name in reversed(self.names):
            gradient = self.model.back(name, gradient)


class Transformer:
    """Embeddings, blocks of attention and feed-forward, readout (catalogue/models/transformer)."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.is_pre = model.numbers.question.complete["norm_placement"] == "pre"
        self.is_gated = model.has("blocks.0.mlp.gate")
        self.tables = [f"embedding.{name}" for name in ("token", "position")]
        self.blocks = [f"blocks.{number}" for number in range(model.numbers.depth)]
        self.streams: list[Floats] = []
        self.before: Sized = {}

    def forward(self) -> None:
        """Sizes at initialization; every branch reads a stream of size 1, through a norm."""
        model, one = self.model, np.ones_like(self.model.numbers.residual)
        tables = [model.apply(name, one) for name in self.tables if model.has(name)]
        stream = model.sizes["embedding"] = np.sqrt(sum(size**2 for size in tables))
        for block in self.blocks:
            self.streams.append(stream)
            for part in ("attn.q", "attn.k", "attn.v", "mlp.up", "mlp.gate"):
                if model.has(f"{block}.{part}"):
                    model.sizes[f"{block}.{part}"] = model.apply(f"{block}.{part}", one)
            self._attend(block)
            self._feed(block)
            stream = self._add(block, stream)
        self.streams.append(stream)
        model.sizes["readout"] = model.read_out(one)

    def _attend(self, block: str) -> None:
        model, attn = self.model, f"{block}.attn"
        q, k, v = (model.sizes[f"{attn}.{part}"] for part in "qkv")
        scale = model.numbers.attention * np.sqrt(model.numbers.head_size)
        model.sizes[f"{attn}.logits"] = scale * q * k
        model.sizes[f"{attn}.out"] = model.apply(f"{attn}.o", v)

    def _feed(self, block: str) -> None:
        model, mlp = self.model, f"{block}.mlp"
        active = model.sizes[f"{mlp}.up"]
        if self.is_gated:
            active = active * model.sizes[f"{mlp}.gate"]
        model.sizes[f"{mlp}.out"] = model.apply(f"{mlp}.down", active)

    def _add(self, block: str, stream: Floats) -> Floats:
        model, residual = self.model, self.model.numbers.residual
        branches = sum(model.sizes[f"{block}.{part}.out"] ** 2 for part in ("attn", "mlp"))
        added = np.sqrt(stream**2 + residual**2 * branches)
        model.sizes[f"{block}.residual"] = added if self.is_pre else np.ones_like(added)
        return model.sizes[f"{block}.residual"]

    def move(self) -> None:
        """Changes after the updates so far: a norm passes on a change relative to the stream."""
        model = self.model
        change = np.zeros_like(self.streams[0])
        for name in self.tables:
            change = change + (model.contribution(name) if model.has(name) else 0.0)
        model.changes["embedding"] = change
        for block, stream in zip(self.blocks, self.streams, strict=False):
            of_input = _through_norm(change, stream)
            own = self._branch_changes(block, np.zeros_like(of_input))
            passed_on = self._branch_changes(block, of_input) - own
            # updates of all blocks follow one gradient; what a block passes on has no such sign
            moved = change + model.numbers.residual * own
            change = np.sqrt(moved**2 + (model.numbers.residual * passed_on) ** 2)
            model.changes[f"{block}.residual"] = change
        model.changes["readout"] = model.readout_change(_through_norm(change, self.streams[-1]))

    def _branch_changes(self, block: str, of_input: Floats) -> Floats:
        return self._attention_change(block, of_input) + self._feed_change(block, of_input)

    def _attention_change(self, block: str, of_input: Floats) -> Floats:
        model, attn = self.model, f"{block}.attn"
        for part in "qkv":
            model.changes[f"{attn}.{part}"] = model.change(f"{attn}.{part}", of_input)
        q, k, v = (model.changes[f"{attn}.{part}"] for part in "qkv")
        sizes = [model.sizes[f"{attn}.{part}"] for part in "qk"]
        # aligned: every element of a head moves the product the same way (facts 5.2)
        scale = model.numbers.attention * model.numbers.head_size
        model.changes[f"{attn}.logits"] = scale * (q * sizes[1] + k * sizes[0] + q * k)
        out = model.changes[f"{attn}.out"] = model.change(f"{attn}.o", v)
        return out

    def _feed_change(self, block: str, of_input: Floats) -> Floats:
        model, mlp = self.model, f"{block}.mlp"
        up = model.changes[f"{mlp}.up"] = model.change(f"{mlp}.up", of_input)
        if self.is_gated:
            gate = model.changes[f"{mlp}.gate"] = model.change(f"{mlp}.gate", of_input)
            up = up * model.sizes[f"{mlp}.gate"] + gate * model.sizes[f"{mlp}.up"]
        out = model.changes[f"{mlp}.out"] = model.change(f"{mlp}.down", up)
        return out

    def backward(self) -> None:
        """Gradients with the weights as they are: a norm divides them by its stream."""
        model = self.model
        hidden = model.back_through_readout()
        model.back_through_gain("norm.gain", hidden)
        for block, stream in zip(self.blocks, self.streams, strict=False):
            self._block_back(block, model.numbers.residual * hidden / stream)
        for name in self.tables:
            if model.has(name):
                of_logits = model.gradients.get(name, 0.0) if name == TOKENS else 0.0
                model.back(name, hidden / self.streams[0])
                model.gradients[name] = model.gradients[name] + of_logits

    def _block_back(self, block: str, gradient: Floats) -> None:
        model, attn, mlp = self.model, f"{block}.attn", f"{block}.mlp"
        mixed = model.back(f"{attn}.o", gradient)
        inputs = model.back(f"{attn}.v", mixed)
        logits = mixed * model.sizes[f"{attn}.v"] * np.sqrt(model.numbers.head_size)
        for part, other in ("qk", "kq"):
            size = self._now(f"{attn}.{other}")
            model.back(f"{attn}.{part}", model.numbers.attention * size * logits)
        model.back_through_gain(f"{attn}.norm.gain", inputs)
        active = model.back(f"{mlp}.down", gradient)
        if self.is_gated:
            model.back(f"{mlp}.gate", active * model.sizes[f"{mlp}.up"])
            active = active * model.sizes[f"{mlp}.gate"]
        model.back_through_gain(f"{mlp}.norm.gain", model.back(f"{mlp}.up", active))

    def _now(self, name: str) -> Floats:
        """The size with its change: queries that start at zero have one after a step."""
        return np.sqrt(self.model.sizes[name] ** 2 + self.model.changes.get(name, 0.0) ** 2)


def _through_norm(change: Floats, stream: Floats) -> Floats:
    """The change of what a norm hands on: relative to its stream, and at most of size 1."""
    return change / np.sqrt(stream**2 + change**2)


class Residual:
    """Stem, stages of blocks of two convolutions, readout (catalogue/models/resnet)."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.stages = [f"stages.{number}" for number in range(STAGES)]
        self.streams: Sized = {}

    def forward(self) -> None:
        """Sizes at initialization; each convolution of a block reads through a norm."""
        model = self.model
        one = np.ones_like(model.numbers.residual)
        stream = model.sizes["stem"] = model.apply("stem", one)
        for stage in self.stages:
            if model.has(f"{stage}.down"):
                stream = model.sizes[f"{stage}.down"] = model.apply(f"{stage}.down", stream)
            for block in self._blocks(stage):
                self.streams[block] = stream
                for conv in ("conv1", "conv2"):
                    model.sizes[f"{block}.{conv}"] = model.apply(f"{block}.{conv}", one)
                branch = model.numbers.residual * model.sizes[f"{block}.conv2"]
                stream = model.sizes[f"{block}.residual"] = np.sqrt(stream**2 + branch**2)
        self.streams[READOUT] = stream
        model.sizes[READOUT] = model.read_out(one)

    def _blocks(self, stage: str) -> list[str]:
        return [f"{stage}.{block}" for block in range(self.model.numbers.depth)]

    def move(self) -> None:
        """Changes after the updates so far."""
        model = self.model
        change = model.changes["stem"] = model.change("stem", 0.0)
        for stage in self.stages:
            if model.has(f"{stage}.down"):
                change = model.changes[f"{stage}.down"] = model.change(f"{stage}.down", change)
            for block in self._blocks(stage):
                of_input = _through_norm(change, self.streams[block])
                one = model.changes[f"{block}.conv1"] = model.change(f"{block}.conv1", of_input)
                of_second = _through_norm(one, model.sizes[f"{block}.conv1"])
                two = model.changes[f"{block}.conv2"] = model.change(f"{block}.conv2", of_second)
                change = change + model.numbers.residual * two
                model.changes[f"{block}.residual"] = change
        of_hidden = _through_norm(change, self.streams[READOUT])
        model.changes[READOUT] = model.readout_change(of_hidden)

    def backward(self) -> None:
        """Gradients with the weights as they are; every norm divides them by what it was given."""
        model = self.model
        stream = model.back_through_readout() / self.streams[READOUT]
        for stage in reversed(self.stages):
            for block in reversed(self._blocks(stage)):
                branch = model.back(f"{block}.conv2", model.numbers.residual * stream)
                model.back(f"{block}.conv1", branch / model.sizes[f"{block}.conv1"])
            if model.has(f"{stage}.down"):
                stream = model.back(f"{stage}.down", stream)
        model.back("stem", stream)


_Network: TypeAlias = Perceptron | Transformer | Residual

NETWORKS: Mapping[str, Callable[[Model], _Network]] = {
    "mlp": Perceptron,
    "gpt": Transformer,
    "llama": Transformer,
    "resnet": Residual,
}
