"""What models are written in: the operators of one member, which know its weights and multipliers.

An operator applies a weight by its name, with its multiplier and its bias if it has one. What is
recorded is left in `activations` and `inputs`. `Operators` computes plainly; u-µP's are in
unit_scaled.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from muscope.catalogue import WeightEntry, WeightKind
from muscope.lab.models.causal_attention import causal_attention
from muscope.lab.models.cross_entropy import cross_entropy
from muscope.lab.models.matrix import linear
from muscope.vocabulary import Role

BRANCHES = "branches"
"""The name under which `multipliers` holds what every residual branch is multiplied by."""

ATTENTION = "attention"
"""The name under which `multipliers` holds what q.k is multiplied by."""

READOUT = "readout"
EMBEDDING = "embedding.token"

NORM_EPSILON = 1e-9  # the stream has variance 2 or more, so this only guards a division by zero


class Parameters(NamedTuple):
    """All that differs between members; `multipliers` leaves out what is 1 for all of them."""

    weights: dict[str, Tensor]
    multipliers: dict[str, Tensor]


def _squared_relu(x: Tensor) -> Tensor:
    return functional.relu(x).square()


NONLINEARITIES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
    "squared_relu": _squared_relu,
    "tanh": torch.tanh,
}


def product(entry: WeightEntry, values: Tensor, inputs: Tensor) -> Tensor:
    """W x without a multiplier, of a matrix, table or convolution.

    Inputs are rows (n, fan_in) of a matrix, indices (n,) of a table, images (n, channels, side,
    side) of a convolution; outputs are (n, fan_out) or (n, fan_out, side, side).
    """
    match entry.kind:
        case WeightKind.TABLE:
            return functional.embedding(inputs, values)
        case WeightKind.CONVOLUTION:
            filters = values.view(entry.fan_out, -1, entry.kernel, entry.kernel)
            padding = entry.kernel // 2
            return functional.conv2d(inputs, filters, stride=entry.stride, padding=padding)
        case _:
            return linear(inputs, values)


Product: TypeAlias = Callable[[WeightEntry, Tensor, Tensor], Tensor]
"""`product`, or one in another precision."""


def wide(values: Tensor) -> Tensor:
    """Values in float32 if they are in half of it: norms, softmax and losses need the digits."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


class Operators:
    """Plain operators: what everybody means by linear, norm and attention."""

    def __init__(
        self,
        entries: Mapping[str, WeightEntry],
        parameters: Parameters,
        *,
        record: bool = True,
        record_inputs: bool = False,
        product: Product = product,
    ) -> None:
        self.entries, self.product = entries, product
        self.weights, self.multipliers = parameters
        self.activations: dict[str, Tensor] = {}
        self.inputs: dict[str, Tensor] = {}
        self.record, self.record_inputs = record, record_inputs

    def tap(self, name: str, value: Tensor) -> Tensor:
        """Record an activation, in the order of the catalogue; the readout always."""
        if self.record or name == READOUT:
            self.activations[name] = wide(value)
        return value

    def remember(self, name: str, inputs: Tensor) -> None:
        """Record the input of a weight, if inputs are asked for."""
        if self.record_inputs:
            self.inputs[name] = wide(inputs)

    def scaled(self, name: str, outputs: Tensor) -> Tensor:
        """The outputs times the multiplier of that name, if it is not 1."""
        return outputs * self.multipliers[name] if name in self.multipliers else outputs

    def apply(self, name: str, inputs: Tensor) -> Tensor:
        """multiplier * (W x) + bias for the inputs that `product` takes."""
        self.remember(name, inputs)
        outputs = self.scaled(name, self.product(self.entries[name], self.weights[name], inputs))
        return self.biased(name, outputs)

    def biased(self, name: str, outputs: Tensor) -> Tensor:
        """The outputs and the bias of a weight, if it has one; their dimension 1 is fan_out."""
        bias = f"{name}.bias"
        if bias not in self.weights:
            return outputs
        column = self.weights[bias].view(1, -1, *(1,) * (outputs.dim() - 2))
        return outputs + self.scaled(bias, column)

    def linear(self, name: str, inputs: Tensor) -> Tensor:
        """A matrix applied to the last dimension of inputs with any leading dimensions."""
        # One matrix per member: under vmap, leading dimensions would copy the weight for each.
        rows = self.apply(name, inputs.flatten(0, -2))
        return rows.view(*inputs.shape[:-1], -1)

    def lookup(self, name: str, indices: Tensor) -> Tensor:
        """The rows of a table at indices of any shape."""
        return self.apply(name, indices)

    def fused(self, names: Sequence[str], inputs: Tensor) -> list[Tensor]:
        """Several matrices applied to the same input as one; each keeps its own multiplier."""
        rows = inputs.flatten(0, -2)
        for name in names:
            self.remember(name, rows)
        sizes = [self.entries[name].fan_out for name in names]
        weights = torch.cat([self.weights[name] for name in names])
        together = self.product(self.entries[names[0]], weights, rows)
        parts = zip(names, torch.split(together, sizes, dim=1), strict=True)
        return [
            self.biased(name, self.scaled(name, part)).view(*inputs.shape[:-1], -1)
            for name, part in parts
        ]

    def unembed(self, inputs: Tensor) -> Tensor:
        """The readout, which is the token embedding if it has no weight of its own."""
        if READOUT in self.weights:
            return self.linear(READOUT, inputs)
        entry = replace(self.entries[EMBEDDING], kind=WeightKind.MATRIX, role=Role.OUTPUT)
        rows = self.product(entry, self.weights[EMBEDDING], inputs.flatten(0, -2))
        return self.scaled(READOUT, rows).view(*inputs.shape[:-1], -1)

    def add(self, one: Tensor, other: Tensor) -> Tensor:
        """The sum of two tensors of one size."""
        return one + other

    def branch(self, number: int, stream: Tensor, inside: Callable[[Tensor], Tensor]) -> Tensor:
        """The stream plus what branch `number` of the model makes of it."""
        return stream + self.scaled(BRANCHES, inside(stream))

    def norm(self, name: str, kind: str, inputs: Tensor) -> Tensor:
        """Every vector of the last dimension at unit size, times its gain if it has one."""
        normalize = functional.rms_norm if kind == "rmsnorm" else functional.layer_norm
        outputs = normalize(wide(inputs), inputs.shape[-1:], eps=NORM_EPSILON)
        gain = f"{name}.gain"
        return outputs * self.gain(gain, inputs) if gain in self.weights else outputs

    def gain(self, name: str, inputs: Tensor) -> Tensor:
        """The gain of a norm of those inputs."""
        return self.scaled(name, self.weights[name].flatten())

    def image_norm(self, images: Tensor) -> Tensor:
        """Every image (n, channels, side, side) at mean 0 and variance 1."""
        return functional.layer_norm(wide(images), images.shape[1:], eps=NORM_EPSILON)

    def nonlinearity(self, kind: str, inputs: Tensor) -> Tensor:
        """The activation function of that name."""
        return NONLINEARITIES[kind](inputs)

    def gated(self, inputs: Tensor, gate: Tensor) -> Tensor:
        """SwiGLU: the inputs times SiLU of the gate."""
        return inputs * functional.silu(gate)

    def attention(self, name: str, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Causal attention over (batch, heads, time, elements of a head)."""
        query = self.scaled(ATTENTION, query)
        if self.record:
            self._tap_logits(f"{name}.logits", query.detach(), key.detach())
        return causal_attention(query, key, value)

    def _tap_logits(self, name: str, query: Tensor, key: Tensor) -> None:
        """Attention itself never has them all; what a position may not look at is left out."""
        logits = (query @ key.mT).flatten(-2)  # (batch, heads, time * time)
        time = query.shape[-2]
        rows, columns = torch.tril_indices(time, time, device=logits.device)
        self.tap(name, logits.index_select(-1, rows * time + columns))

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over (n, classes) and (n,)."""
        return cross_entropy(wide(logits), targets)

    def mean_squared_error(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over (n, classes) of the squared distance from one-hot targets (n,)."""
        return functional.mse_loss(wide(outputs), one_hot(targets, outputs))


def one_hot(targets: Tensor, outputs: Tensor) -> Tensor:
    """Classes (n,) as rows like the outputs (n, classes)."""
    # functional.one_hot looks at the values, which vmap over members' own batches does not allow
    classes = torch.arange(outputs.shape[1], device=targets.device)
    return (targets[:, None] == classes).to(wide(outputs).dtype)
