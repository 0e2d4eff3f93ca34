"""What an optimizer of the lab is: a pure update of one stacked weight."""

from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor

State: TypeAlias = tuple[Tensor, ...]
"""What an optimizer remembers of one stacked weight between steps."""


class Rates(NamedTuple):
    """The scalars of each member for one weight, its rule's factors included: (members, 1, 1)."""

    learning_rate: Tensor
    epsilon: Tensor
    weight_decay: Tensor


class Optimizer(Protocol):
    """Steps one weight of all members at once; members do not see each other."""

    def start(self, weight: Tensor) -> State:
        """The state before the first update."""

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and the state after update number `step`, counted from 1."""


def decayed(weight: Tensor, rates: Rates) -> Tensor:
    """The weight after coupled weight decay: it shrinks by learning rate times decay."""
    return weight * (1 - rates.learning_rate * rates.weight_decay)
