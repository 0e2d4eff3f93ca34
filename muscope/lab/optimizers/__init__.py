"""The optimizers that the lab can step, by the names of the catalogue."""

from collections.abc import Callable

from muscope import catalogue
from muscope.catalogue import Options
from muscope.lab.optimizers.adafactor import Adafactor
from muscope.lab.optimizers.adam import Adam
from muscope.lab.optimizers.adamw import AdamW
from muscope.lab.optimizers.adamw_independent import AdamWIndependent
from muscope.lab.optimizers.adopt import Adopt
from muscope.lab.optimizers.lamb import Lamb
from muscope.lab.optimizers.lion import Lion
from muscope.lab.optimizers.muon import Muon, MuonMatchRms
from muscope.lab.optimizers.optimizer import Optimizer
from muscope.lab.optimizers.sgd import Sgd
from muscope.lab.optimizers.shampoo import Shampoo
from muscope.lab.optimizers.soap import Soap
from muscope.lab.optimizers.sophia import Sophia
from muscope.vocabulary import Role

OPTIMIZERS: dict[str, Callable[[Options], Optimizer]] = {
    "adafactor": Adafactor,
    "adam": Adam,
    "adamw": AdamW,
    "adamw_independent": AdamWIndependent,
    "adopt": Adopt,
    "lamb": Lamb,
    "lion": Lion,
    "muon": Muon,
    "muon_match_rms": MuonMatchRms,
    "sgd": Sgd,
    "shampoo": Shampoo,
    "soap": Soap,
    "sophia": Sophia,
}


def build(name: str, options: Options, role: Role) -> Optimizer:
    """What steps a weight of that role: an optimizer of matrices leaves some to another."""
    own = catalogue.OPTIMIZERS[name].for_role(role)
    if own in OPTIMIZERS:
        return OPTIMIZERS[own](options)
    # it holds plugins to what an optimizer of this package is
    from muscope.lab.plugged import PluggedOptimizer

    return PluggedOptimizer(own, options)
