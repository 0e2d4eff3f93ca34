"""What a preset is: a published experiment as studies of three sizes, with its claim and source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from muscope.presets import published
from muscope.presets.published import PublishedRates
from muscope.spec import StudySpec

Size: TypeAlias = Literal["smoke", "laptop", "paper"]
"""Seconds, only to see that it runs; minutes on two cores; or as published, for a GPU."""

SIZES: tuple[Size, ...] = get_args(Size)


@dataclass(frozen=True, slots=True)
class Preset:
    """A published experiment.

    `claim` is what its source says came out; `build` makes its studies. `published` is a file of
    muscope/presets/published, `row` the name that its rows have there; `rate` is the base rate that
    the source calls best at every size; both are of the parametrization `published_of`. `needs`
    says what the size `paper` finds missing here, `notes` where it differs from what was published,
    and what is our choice because no source at hand prints it.
    """

    name: str
    title: str
    question: str
    source: str
    claim: str
    build: Callable[[Size], tuple[StudySpec, ...]]
    published: str | None = None
    row: str = ""
    rate: float | None = None
    published_of: str = ""
    needs: str = ""
    notes: tuple[str, ...] = ()

    def studies(self, size: Size) -> tuple[StudySpec, ...]:
        """Its studies of a size, which remember where they are from."""
        return tuple(one.model_copy(update={"preset": self.name}) for one in self.build(size))

    @property
    def rates(self) -> PublishedRates | None:
        """What its source prints of learning rates, if it does."""
        if self.published and self.row:
            return PublishedRates(
                f"{self.row}, {self.source}",
                self.source,
                published.losses(self.published, self.row),
                parametrization=self.published_of,
            )
        if self.rate is not None:
            return PublishedRates(self.source, self.source, {}, self.rate, self.published_of)
        return None
