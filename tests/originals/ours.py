"""What the lab has of a run: first values, batch, l1 of every activation."""

from torch import Tensor

from muscope import plan
from muscope.lab import data, engine, parametrize
from muscope.lab.models.model import Batch
from muscope.spec import RunSpec
from muscope.vocabulary import TensorKind


def initial(run: RunSpec) -> dict[str, Tensor]:
    """The first values of every weight, by name."""
    rules = parametrize.rules(run)
    return {
        entry.name: parametrize.initial(entry, rules[entry.name], seed=run.seed)
        for entry in plan.weights(run)
    }


def batch(run: RunSpec) -> Batch:
    """What the run is trained on."""
    return data.batch(run.variant.model)


def sizes(run: RunSpec) -> list[dict[str, float]]:
    """The l1 of every activation at every step, by name, and the loss."""
    return [
        {
            row.tensor: row.values.l1
            for row in record.measurements
            if row.kind is TensorKind.ACTIVATION and row.values.l1 is not None
        }
        | {"loss": record.progress[0].train_loss}
        for record in engine.train([run])
    ]


def our_name(parameter: str) -> str:
    """Of a parameter of a module whose parts have our names."""
    return parameter.replace("norm.weight", "norm.gain").removesuffix(".weight")
