"""What can be chosen, described as plain data: models, optimizers, parametrizations, datasets.

Forms, `--help`, plans, rule tables and docs all read this; nothing here imports torch. What the
catalogue says of a model by arithmetic, a test compares with the module that the lab builds.
"""

from muscope.catalogue.datasets import DATASETS, DatasetEntry, DatasetUnavailable
from muscope.catalogue.models import MODELS, ActivationEntry, ModelEntry, WeightEntry, WeightKind
from muscope.catalogue.optimizers import OPTIMIZERS, OptimizerEntry
from muscope.catalogue.options import (
    Option,
    Options,
    OptionValue,
    complete_options,
    in_words,
    with_defaults,
)
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES, ParametrizationEntry

__all__ = [
    "DATASETS",
    "MODELS",
    "OPTIMIZERS",
    "PARAMETRIZATION_ENTRIES",
    "ActivationEntry",
    "DatasetEntry",
    "DatasetUnavailable",
    "ModelEntry",
    "Option",
    "OptionValue",
    "Options",
    "OptimizerEntry",
    "ParametrizationEntry",
    "WeightEntry",
    "WeightKind",
    "complete_options",
    "in_words",
    "with_defaults",
]
