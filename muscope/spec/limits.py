"""How much may be asked: the least and the most of every number of a spec."""

from typing import Annotated

from pydantic import Field

MAX_RUNS = 2_000
"""Runs per study; the operator may raise it (`MUSCOPE_MAX_RUNS`), to 20 000 at most."""
LARGEST_GRID = 20_000
"""What an operator may allow at most; nothing is compared or expanded beyond it."""
LARGEST_RATE = 1e6
LARGEST_OCTAVE = 40
FEWEST_RATES = 3
"""An optimum needs a worse rate on either side."""

Width = Annotated[int, Field(ge=1, le=65_536)]
Depth = Annotated[int, Field(ge=1, le=512)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
SequenceLength = Annotated[int, Field(ge=2, le=65_536)]
Steps = Annotated[int, Field(ge=1, le=100_000)]
Seeds = Annotated[int, Field(ge=1, le=64)]
HeldOut = Annotated[int, Field(ge=0, le=64)]
RecordEvery = Annotated[int, Field(ge=1, le=10_000)]
LearningRate = Annotated[float, Field(gt=0, le=LARGEST_RATE, allow_inf_nan=False)]
Octave = Annotated[float, Field(ge=-LARGEST_OCTAVE, le=LARGEST_OCTAVE)]
ExtendOctaves = Annotated[int, Field(ge=0, le=16)]
