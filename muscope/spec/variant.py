"""What is trained: a model with its optimizers, and the variants that come of them."""

from typing import Annotated

from pydantic import Field

from muscope.catalogue import tuning
from muscope.catalogue.registry import plain
from muscope.spec.frozen import Frozen, digest
from muscope.spec.model import ModelSpec
from muscope.spec.optimizer import OptimizerSpec
from muscope.spec.parametrization import ParametrizationSpec


class Arm(Frozen):
    """One model of a study with the optimizers that train it."""

    model: ModelSpec
    optimizers: Annotated[tuple[OptimizerSpec, ...], Field(min_length=1, max_length=64)]


class Variant(Frozen):
    """What gets one verdict: a model, a parametrization and an optimizer at its learning rate."""

    model: ModelSpec
    parametrization: ParametrizationSpec
    optimizer: OptimizerSpec

    @property
    def key(self) -> str:
        """Unique within a study; stable over processes, so fit for a URL, a row, a CSV cell."""
        names = map(plain, (self.model.name, self.parametrization.name, self.optimizer.name))
        return "-".join((*names, f"{self.optimizer.learning_rate:g}", digest(self)[:6]))

    @property
    def acting(self) -> tuple[str, ...]:
        """The multipliers of its parametrization that change anything in its model."""
        model, choice = self.model, self.parametrization.choice
        return tuning.acting(choice, self.optimizer.name, model.name, dict(model.options))

    @property
    def label(self) -> str:
        """The variant as a person says it."""
        model, parametrization = self.model.title, self.parametrization.title
        return f"{model} · {parametrization} · {self.optimizer.title}"
