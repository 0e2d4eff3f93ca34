"""A difference before its word: words are given only when all differences are known."""

from dataclasses import dataclass

from muscope.verdicts.comparison.intervals import Estimate
from muscope.verdicts.comparison.types import Difference, Place, Quantity, Word


@dataclass(frozen=True, slots=True)
class Found:
    """What two variants have at one place; without an estimate `reason` says why."""

    quantity: Quantity
    at: Place
    tolerance: float
    first: float | None = None
    second: float | None = None
    first_rate: float | None = None
    second_rate: float | None = None
    estimate: Estimate | None = None
    reason: str = ""

    def told(self, word: Word | None) -> Difference:
        """The difference with the word that it has among all."""
        half_width = self.estimate.half_width() if self.estimate else None
        difference = self.estimate.difference if self.estimate else None
        return Difference(
            quantity=self.quantity,
            at=self.at,
            first=self.first,
            second=self.second,
            first_rate=self.first_rate,
            second_rate=self.second_rate,
            difference=difference,
            low=None if difference is None or half_width is None else difference - half_width,
            high=None if difference is None or half_width is None else difference + half_width,
            seeds=self.estimate.seeds if self.estimate else 0,
            paired=self.estimate.paired if self.estimate else False,
            tolerance=self.tolerance,
            word=word,
            reason=self.reason,
        )
