"""The optimizers that the lab can run, with their update families."""

from dataclasses import dataclass

from muscope.catalogue.options import Option
from muscope.vocabulary import UpdateFamily


@dataclass(frozen=True, slots=True)
class OptimizerEntry:
    """An optimizer with its update family and the learning rate that forms start from."""

    name: str
    title: str
    help: str
    family: UpdateFamily
    learning_rate: float
    options: tuple[Option, ...]


OPTIMIZERS: dict[str, OptimizerEntry] = {
    entry.name: entry
    for entry in (
        OptimizerEntry(
            name="adamw",
            title="AdamW",
            help="Adam with decoupled weight decay (Loshchilov & Hutter 2019).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=3e-3,
            options=(
                Option("beta1", 0.9, "Decay of the first moment.", 0.0, 0.9999999),
                Option("beta2", 0.95, "Decay of the second moment.", 0.0, 0.9999999),
                Option("epsilon", 1e-16, "Added to the root of the second moment.", 0.0, 1.0),
                Option("weight_decay", 0.0, "Decay, multiplied by the learning rate.", 0.0, 10.0),
            ),
        ),
        OptimizerEntry(
            name="sgd",
            title="SGD",
            help="Stochastic gradient descent, with momentum if asked.",
            family=UpdateFamily.SGD_LIKE,
            learning_rate=0.1,
            options=(Option("momentum", 0.0, "Decay of the velocity.", 0.0, 0.9999999),),
        ),
    )
}
