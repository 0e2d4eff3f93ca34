"""What an optimizer of the lab is: a pure update of one stacked weight."""

from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from muscope.lab.members import Chosen
from muscope.vocabulary import DecayForm

State: TypeAlias = tuple[Tensor, ...]
"""What an optimizer remembers of one stacked weight between steps."""


class Rates(NamedTuple):
    """The scalars of each member for one weight, its rule's factors included: (members, 1, 1)."""

    learning_rate: Tensor
    epsilon: Tensor
    weight_decay: Tensor

    def select(self, chosen: Chosen) -> "Rates":
        """Those of these members."""
        return Rates(*(of[chosen] for of in self))

    def scheduled(self, factor: float, decay: DecayForm) -> "Rates":
        """The rates at a step whose schedule gives that factor.

        Coupled decay follows through the rate; independent decay is s_t * lambda' (facts 3).
        """
        if factor == 1:
            return self
        independent = decay is DecayForm.INDEPENDENT
        return self._replace(
            learning_rate=self.learning_rate * factor,
            weight_decay=self.weight_decay * (factor if independent else 1.0),
        )


class Optimizer(Protocol):
    """Steps one weight of all members at once; members do not see each other."""

    def start(self, weight: Tensor) -> State:
        """The state before the first update."""

    def update(
        self, weight: Tensor, gradient: Tensor, *, state: State, rates: Rates, step: int
    ) -> tuple[Tensor, State]:
        """The weight and the state after update number `step`, counted from 1."""


@runtime_checkable
class CurvatureOptimizer(Optimizer, Protocol):
    """An optimizer that before some of its updates wants an estimate of the loss's curvature.

    The estimate is that of muscope/lab/curvature.py: the diagonal of the Gauss-Newton matrix.
    """

    def wants_curvature(self, step: int) -> bool:
        """Whether an estimate belongs before update number `step`, counted from 1."""

    def with_curvature(self, state: State, estimate: Tensor) -> State:
        """The state with an estimate taken in, which has the shape of the stacked weight."""


def decayed(weight: Tensor, rates: Rates) -> Tensor:
    """The weight after coupled weight decay: it shrinks by learning rate times decay."""
    return weight * (1 - rates.learning_rate * rates.weight_decay)
