"""What a user's optimizers do with every parameter, read from their groups."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from muscope.own_model.facts import Stepping

# By the names of the class and its bases, the first that is there. RMSprop and its relatives have
# updates of the size of a sign, which is what the learning-rate rule depends on.
CATALOGUE_NAMES = {
    "adamw": "adamw",
    "adamw8bit": "adamw",
    "pagedadamw8bit": "adamw",
    "fusedadam": "adamw",
    "adam": "adam",
    "nadam": "adam",
    "radam": "adam",
    "adamax": "adam",
    "rmsprop": "adam",
    "adagrad": "adam",
    "adam8bit": "adam",
    "sgd": "sgd",
    "lion": "lion",
    "adopt": "adopt",
    "sophia": "sophia",
    "sophiag": "sophia",
    "sophiah": "sophia",
    "lamb": "lamb",
    "shampoo": "shampoo",
    "distributedshampoo": "shampoo",
    "soap": "soap",
    "adafactor": "adafactor",
    "muon": "muon",
    "muonwithauxadam": "muon",
    "singledevicemuon": "muon",
    "singledevicemuonwithauxadam": "muon",
}


def steppings(
    module: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> tuple[dict[int, tuple[Stepping, ...]], int]:
    """(how every tensor is stepped, by its id; how many tensors are not the module's)."""
    own = {id(parameter) for parameter in module.parameters()}
    found: dict[int, list[Stepping]] = defaultdict(list)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            stepping = _stepping(optimizer, group)
            for parameter in group["params"]:
                found[id(parameter)].append(stepping)
    ours = {key: tuple(several) for key, several in found.items() if key in own}
    return ours, len(found) - len(ours)


def _stepping(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> Stepping:
    """A scheduler that warms up has already set `lr`; it keeps the rate in `initial_lr`."""
    rate = group.get("initial_lr", group.get("lr"))
    if rate is None:
        raise ValueError(f"{type(optimizer).__name__} has a group without a learning rate")
    return Stepping(
        optimizer=_catalogue_name(optimizer, group),
        class_name=type(optimizer).__name__,
        learning_rate=_finite("learning rate", float(rate)),
        weight_decay=_number("weight decay", group.get("weight_decay")),
        epsilon=_number("epsilon", group.get("eps")),
    )


def _catalogue_name(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> str | None:
    classes = (cls.__name__.lower() for cls in type(optimizer).__mro__)
    name = next((CATALOGUE_NAMES[cls] for cls in classes if cls in CATALOGUE_NAMES), None)
    if name == "muon" and group.get("use_muon") is False:
        return "adamw"
    if name == "muon" and group.get("adjust_lr_fn") == "match_rms_adamw":
        return "muon_match_rms"
    if name == "adam" and group.get("decoupled_weight_decay"):
        return "adamw"
    if name == "adafactor" and group.get("scale_parameter") is False:
        return "adam"
    return name


def _number(what: str, value: object) -> float | None:
    """Adafactor has a pair of epsilons, of which none is what the rules mean."""
    return _finite(what, float(value)) if isinstance(value, int | float) else None


def _finite(what: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"an optimizer has the {what} {value}, which no rule can be compared with")
    return value
