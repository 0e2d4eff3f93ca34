"""u-µP's operators: unit-size inputs and weights give unit-size outputs and gradients.

What graphcore's unit-scaling computes, with the factors of muscope.theory (facts 2.9). Those that
differ between members are multipliers with the names of theory/u_mup_scales.py; those that only
shapes decide are computed here. "to_output_scale", the default constraint, gives the gradient of
an operator's input the factor of its output; so does a plain product with that factor.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from muscope.catalogue.parametrizations import OperatorSet
from muscope.lab.models.operators import READOUT, Operators, one_hot, wide
from muscope.lab.models.scaled_both import Factor, scaled_both
from muscope.theory import u_mup_operators as factors
from muscope.theory import u_mup_scales as scales

UNCONSTRAINED = ("mlp.up", "mlp.gate", "mlp.down")
"""Feed-forward pairs: the backward factors of one are the forward factors of the other."""


def gelu(inputs: Tensor, mult: Factor) -> Tensor:
    """gelu(mult x) / mult."""
    return functional.gelu(inputs * mult) / mult


def relu(inputs: Tensor, mult: Factor) -> Tensor:
    """relu(mult x) / mult, which is relu(x)."""
    return functional.relu(inputs)


def silu(inputs: Tensor, mult: Factor) -> Tensor:
    """x sigmoid(mult x)."""
    return inputs * torch.sigmoid(inputs * mult)


NONLINEARITIES: Mapping[str, Callable[[Tensor, Factor], Tensor]] = {
    "gelu": gelu,
    "relu": relu,
    "silu": silu,
}


class UnitScaledOperators(Operators):
    """Operators with a scale of their own, in the forward and in the backward."""

    def factor(self, name: str) -> Factor:
        """The multiplier of that name, which is left out where it is 1 for every member."""
        return self.multipliers.get(name, 1.0)

    def apply(self, name: str, inputs: Tensor) -> Tensor:
        """A (W x + b) of a matrix; a bias is inside, as in unit-scaling."""
        self.remember(name, inputs)
        entry, forward = self.entries[name], self.factor(name)
        shared = factors.weight_gradient(len(inputs))  # inputs are rows (n, fan_in)
        outputs = self.product(
            entry,
            scaled_both(self.weights[name], backward=shared),
            scaled_both(inputs, backward=self._backward(name, forward)),
        )
        bias = f"{name}.bias"
        if bias in self.weights:
            column = scaled_both(self.weights[bias], backward=shared)
            outputs = outputs + self.scaled(bias, column).flatten()
        return scaled_both(outputs, forward=forward)

    def _backward(self, name: str, forward: Factor) -> Factor:
        """What the gradient with respect to a matrix's input is multiplied by."""
        entry = self.entries[name]
        if name == READOUT:
            return self.factor(scales.READOUT_BACKWARD)
        if entry.part in UNCONSTRAINED:
            return factors.linear(entry.fan_in, entry.fan_out)[1]
        return forward

    def lookup(self, name: str, indices: Tensor) -> Tensor:
        """The rows of a table."""
        self.remember(name, indices)
        table = self.weights[name]
        backward = factors.table_gradient(len(table), indices.numel())
        rows = self.product(self.entries[name], scaled_both(table, backward=backward), indices)
        return self.scaled(name, rows)

    def fused(self, names: Sequence[str], inputs: Tensor) -> list[Tensor]:
        """Every matrix with the scales of its own fan_out."""
        return [self.linear(name, inputs) for name in names]

    def add(self, one: Tensor, other: Tensor) -> Tensor:
        """The sum over √2."""
        return (one + other) * factors.add()

    def branch(self, number: int, stream: Tensor, inside: Callable[[Tensor], Tensor]) -> Tensor:
        """a f(h) + b h: gradients meet a and b at the split, so that those inside stay unit."""
        a, b = self.factor(scales.inside(number)), self.factor(scales.skip(number))
        branch, skip = scaled_both(stream, backward=a), scaled_both(stream, backward=b)
        return scaled_both(inside(branch), forward=a) + scaled_both(skip, forward=b)

    def gain(self, name: str, inputs: Tensor) -> Tensor:
        """The gain of a norm of those inputs."""
        values = self.weights[name]
        backward = factors.gain_gradient(values.numel(), inputs.numel())
        return self.scaled(name, scaled_both(values, backward=backward)).flatten()

    def nonlinearity(self, kind: str, inputs: Tensor) -> Tensor:
        """The activation function with the shape that alpha_ffn_act gives it."""
        outputs = NONLINEARITIES[kind](inputs, self.factor(scales.NONLINEARITY))
        return self.scaled(scales.NONLINEARITY_OUTPUT, outputs)

    def gated(self, inputs: Tensor, gate: Tensor) -> Tensor:
        """SwiGLU: x g sigmoid(mult g)."""
        outputs = inputs * silu(gate, self.factor(scales.NONLINEARITY))
        return self.scaled(scales.NONLINEARITY_OUTPUT, outputs)

    def attention(self, name: str, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Causal attention, by the empirical size of its output at this length."""
        mixed = super().attention(name, query, key, value)
        return self.scaled(scales.ATTENTION_OUTPUT, mixed)

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean, but the sum's gradient: of unit size for every token."""
        scaled = scaled_both(
            wide(logits),
            forward=self.factor(scales.LOGITS),
            backward=factors.cross_entropy(logits.shape[1]),
        )
        total = functional.cross_entropy(scaled, targets, reduction="sum")
        return scaled_both(total, forward=1 / len(targets))

    def mean_squared_error(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean, but the sum's gradient: of unit size for every output."""
        found = scaled_both(wide(outputs), backward=factors.squared_error())
        total = functional.mse_loss(found, one_hot(targets, outputs), reduction="sum")
        return scaled_both(total, forward=1 / found.numel())


OPERATORS: Mapping[OperatorSet, type[Operators]] = {
    "plain": Operators,
    "unit_scaled": UnitScaledOperators,
}
"""By what a parametrization is made for."""
