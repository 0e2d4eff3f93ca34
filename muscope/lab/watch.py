"""What the training of a bundle takes, measured from outside: the time, the memory."""

import time
from collections.abc import Iterator, Sequence

from muscope import budget
from muscope.budget import Budget
from muscope.lab.environment import PeakMemory
from muscope.machine import Machine
from muscope.records import StepRecord
from muscope.spec import RunSpec


class Watch:
    """Counts the time that the lab takes for its records, and the memory until it is asked.

    What is done with a record between two of them is not counted.
    """

    def __init__(self) -> None:
        self._memory = PeakMemory()
        self._warm_up_s, self._train_s = 0.0, 0.0

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
            warm_up_s=self._warm_up_s,
            train_s=self._train_s,
            peak_bytes=self._memory.bytes(),
            machine=machine,
            taken_by=taken_by,
        )
