"""What a study asks and what a run is: frozen, validated, with a canonical digest."""

from muscope.spec.axes import TRANSFER_AXES
from muscope.spec.check import CheckSpec
from muscope.spec.frozen import Frozen, canonical_json, digest, silent
from muscope.spec.limits import (
    LARGEST_GRID,
    LARGEST_RATE,
    MAX_RUNS,
    BatchSize,
    Depth,
    Octave,
    SequenceLength,
    Steps,
    Width,
)
from muscope.spec.model import ModelSpec
from muscope.spec.names import clean_name
from muscope.spec.optimizer import OptimizerSpec
from muscope.spec.parametrization import ParametrizationSpec
from muscope.spec.question import Search
from muscope.spec.run import Batches, RunSpec
from muscope.spec.study import STORED, StudySpec, stored
from muscope.spec.variant import Arm, Variant

__all__ = [
    "LARGEST_GRID",
    "LARGEST_RATE",
    "MAX_RUNS",
    "STORED",
    "TRANSFER_AXES",
    "Arm",
    "BatchSize",
    "Batches",
    "CheckSpec",
    "Depth",
    "Frozen",
    "ModelSpec",
    "Octave",
    "OptimizerSpec",
    "ParametrizationSpec",
    "RunSpec",
    "Search",
    "SequenceLength",
    "Steps",
    "StudySpec",
    "Variant",
    "Width",
    "canonical_json",
    "clean_name",
    "digest",
    "silent",
    "stored",
]
