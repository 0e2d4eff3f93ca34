"""The axes of a learning-rate study as a person says them: `width 64`, `400 steps`."""

from muscope.vocabulary import Axis


def noun(axis: Axis) -> str:
    """What doubles: `batch size`, `number of steps`."""
    return "number of steps" if axis is Axis.STEPS else axis.value.replace("_", " ")


def doubling(axis: Axis) -> str:
    """What a drift is per: `doubling of width`, `doubling of the number of steps`."""
    return f"doubling of {'the ' if axis is Axis.STEPS else ''}{noun(axis)}"


def nouns(axis: Axis) -> str:
    """Several of it: `batch sizes`, `numbers of steps`."""
    return "numbers of steps" if axis is Axis.STEPS else f"{noun(axis)}s"


def at(axis: Axis, *values: int) -> str:
    """One place on an axis, or several: `depth 4`, `width 64, 128`, `400 steps`."""
    listed = ", ".join(map(str, values))
    return f"{listed} steps" if axis is Axis.STEPS else f"{noun(axis)} {listed}"
