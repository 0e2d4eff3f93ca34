"""The optimizers that the lab can step, by the names of the catalogue."""

from collections.abc import Callable

from muscope.catalogue import Options
from muscope.lab.optimizers.adamw import AdamW
from muscope.lab.optimizers.optimizer import Optimizer
from muscope.lab.optimizers.sgd import Sgd

OPTIMIZERS: dict[str, Callable[[Options], Optimizer]] = {"adamw": AdamW, "sgd": Sgd}
