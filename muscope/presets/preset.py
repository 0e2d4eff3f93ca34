"""What a preset is: a published experiment as studies of three sizes, with its claim and source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from muscope.spec import StudySpec

Size: TypeAlias = Literal["smoke", "laptop", "paper"]
"""Seconds, only to see that it runs; minutes on two cores; or as published, for a GPU."""

SIZES: tuple[Size, ...] = get_args(Size)


@dataclass(frozen=True, slots=True)
class Preset:
    """A published experiment.

    `claim` is what its source says came out. `published` is a file of muscope/presets/published,
    `row` the name that its rows have there. `needs` says what the size `paper` finds missing here,
    `notes` where it differs from what was published, and what is our choice because no source at
    hand prints it.
    """

    name: str
    title: str
    question: str
    source: str
    claim: str
    studies: Callable[[Size], tuple[StudySpec, ...]]
    published: str | None = None
    row: str = ""
    needs: str = ""
    notes: tuple[str, ...] = ()
