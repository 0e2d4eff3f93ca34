"""What a learning-rate study may ask."""

from muscope.spec import sweep
from muscope.spec.limits import FEWEST_RATES
from muscope.spec.question import Question

_OF_CHECKS = {
    "stop_early": "stop_early is for coordinate checks; take search: adaptive",
    "statistics": "statistics are for coordinate checks; lr_transfer records losses",
    "record_every": "record_every is for coordinate checks; lr_transfer records losses",
}


def check(study: Question) -> None:
    """Refuse too few rates and what only a coordinate check has; fill in what is always so."""
    if len(study.octaves) < FEWEST_RATES:
        raise ValueError(
            f"lr_transfer needs at least {FEWEST_RATES} octaves, got {len(study.octaves)}: "
            "an optimum is told by worse learning rates on both of its sides"
        )
    for name in study.chosen_of(_OF_CHECKS):
        raise ValueError(_OF_CHECKS[name])
    sweep.check(study)
