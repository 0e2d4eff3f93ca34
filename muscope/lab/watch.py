"""What the training of a bundle takes, measured from outside: the time, the memory."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from muscope import budget
from muscope.budget import Budget
from muscope.lab.environment import PeakMemory
from muscope.machine import Machine
from muscope.records import StepRecord
from muscope.spec import RunSpec


class Spent(NamedTuple):
    """What a training has taken so far."""

    warm_up_s: float
    train_s: float
    peak_bytes: int | None


NOTHING = Spent(0.0, 0.0, None)


class Watch:
    """Counts the time that the lab takes for its records, and the memory until it is asked.

    What is done with a record between two of them is not counted. With `before` it goes on from
    what the first part of a training took.
    """

    def __init__(self, before: Spent = NOTHING) -> None:
        self._memory, self._before = PeakMemory(), before
        self._warm_up_s, self._train_s = before.warm_up_s, before.train_s

    def spent(self) -> Spent:
        """What was taken until now."""
        peaks = [one for one in (self._memory.bytes(), self._before.peak_bytes) if one is not None]
        return Spent(self._warm_up_s, self._train_s, max(peaks, default=None))

    def over(self, records: Iterator[StepRecord]) -> Iterator[StepRecord]:
        """The same records; the first one, for which everything is built, is counted apart."""
        started = time.monotonic()
        for record in records:
            took = time.monotonic() - started
            if record.step == 0:
                self._warm_up_s = took
            else:
                self._train_s += took
            yield record
            started = time.monotonic()

    def budget(
        self,
        members: Sequence[RunSpec],
        machine: Machine | None,
        taken_by: Sequence[RunSpec] = (),
    ) -> Budget:
        """What a bundle took, beside what was planned for this machine if it was measured."""
        return budget.of_bundle(
            members,
            **self.spent()._asdict(),
            machine=machine,
            taken_by=taken_by,
        )
