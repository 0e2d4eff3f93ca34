"""Signum: SGD's momentum, of which only the sign is used (Bernstein et al. 2018)."""

import torch
from torch import Tensor

from muscope.plugins import Plugin


class Signum:
    """One weight of all members at once: (members, rows, columns)."""

    def __init__(self, options):
        self.momentum = options["momentum"]

    def start(self, weight: Tensor):
        """The state before the first update."""
        return (torch.zeros_like(weight),)

    def update(self, weight: Tensor, gradient: Tensor, *, state, rates, step: int):
        """w -= lr sign(m), with m = beta m + (1 - beta) g; `rates` hold the rule's factors."""
        momentum = torch.lerp(state[0], gradient, 1 - self.momentum)
        decayed = weight * (1 - rates.learning_rate * rates.weight_decay)
        return decayed - rates.learning_rate * momentum.sign(), (momentum,)


SIGNUM = Plugin(
    "optimizer",
    Signum,
    title="Signum",
    help="The sign of a momentum (Bernstein et al. 2018).",
    family="sign_like",  # every entry of the raw update has one size, whatever the gradient's
    learning_rate=1e-3,
    state="rows*columns",  # numbers kept per weight, for the memory estimate
    options=[
        {
            "name": "momentum",
            "default": 0.9,
            "low": 0.0,
            "high": 0.9999,
            "help": "Decay of the momentum.",
        },
        {
            "name": "weight_decay",
            "default": 0.0,
            "low": 0.0,
            "high": 10.0,
            "help": "Decay, multiplied by the learning rate.",
        },
    ],
)
