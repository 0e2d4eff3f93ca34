"""What the lab yields goes into the database, in fenced, keyed transactions, while it goes on."""

import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sqlalchemy.exc import OperationalError

from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.storage import measurements
from muscope.storage.bundles import Claim, Outcome
from muscope.storage.database import Database
from muscope.storage.measurements import RunDigest
from muscope.vocabulary import RunState
from muscope_worker.writing_thread import WritingThread

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0


def persist(work: Callable[[], None], *, patience_s: float) -> None:
    """Do a repeatable transaction until it succeeds: a locked or absent database is waited for.

    Every write is keyed, so repeating one whose commit is unknown changes nothing.
    """
    deadline, pause_s = time.monotonic() + patience_s, FIRST_PAUSE_S
    while True:
        try:
            return work()
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("the database does not answer, trying again: %s", error.orig)
        time.sleep(pause_s * random.uniform(0.5, 1.5))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


@dataclass
class Tally:
    """What one run has given so far: its digest, and where it first left the real numbers."""

    digest: RunDigest = field(default_factory=RunDigest)
    first_nonfinite: tuple[int, str] | None = None
    losses: int = 0

    def add(self, step: int, row: Measurement) -> None:
        """Count one measurement."""
        self.digest.add(step, row.tensor, row.kind, row.values)
        if self.first_nonfinite is None and not _is_finite(row.values):
            self.first_nonfinite = (step, row.tensor)

    def add_losses(self, step: int, entry: Progress) -> None:
        """Note a loss that is not a number; the tensors of its step have been counted before."""
        self.losses += 1
        losses = (entry.train_loss, entry.eval_loss, entry.grad_norm)
        for name, loss in zip(("train_loss", "eval_loss", "grad_norm"), losses, strict=True):
            if self.first_nonfinite is None and loss is not None and not math.isfinite(loss):
                self.first_nonfinite = (step, name)

    def outcome(self, run_id: int, *, stopped: str | None = None) -> Outcome:
        """The end of a run: divergence is a result, not a fault, and so is a stop, with its why."""
        step, tensor = self.first_nonfinite or (None, None)
        calm = RunState.FINISHED if stopped is None else RunState.SKIPPED
        return Outcome(
            run_id=run_id,
            state=calm if step is None else RunState.DIVERGED,
            row_count=self.digest.count,
            digest=self.digest.hex(),
            first_nonfinite_step=step,
            first_nonfinite_tensor=tensor,
            note=stopped,
        )


class Recorder:
    """Writes the step records of one claim in the background, and keeps the tally of each run.

    Within its `with` block steps are handed over; when the block has ended, all are written.
    """

    def __init__(self, db: Database, claim: Claim, *, patience_s: float) -> None:
        self._db = db
        self._claim = claim
        self._patience_s = patience_s
        self.tallies = [Tally() for _ in claim.members]
        self._thread = WritingThread(self._store)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._thread.finish()

    def write(self, record: StepRecord) -> None:
        """Hand one step over to be stored; wait while the database is far behind.

        What stopped the writing of an earlier step is raised here, or at the end: LeaseLost means
        that nothing of that step or of later ones is stored.
        """
        self._thread.put(record)

    def flush(self) -> None:
        """Return when every step so far is stored, and counted in the tallies."""
        self._thread.flush()

    def outcomes(self, stopped: Mapping[int, str] | None = None) -> list[Outcome]:
        """How each run ended, once all is stored, to be compared with what the database holds.

        `stopped` says of the places that ended early why.
        """
        self._thread.finish()
        notes, pairs = stopped or {}, zip(self._claim.members, self.tallies, strict=True)
        return [
            tally.outcome(member.run_id, stopped=notes.get(place))
            for place, (member, tally) in enumerate(pairs)
        ]

    def _store(self, records: Sequence[StepRecord]) -> None:
        persist(lambda: self._transaction(records), patience_s=self._patience_s)
        log.info(
            "study %s bundle %d attempt %d: recorded up to step %d",
            *(self._claim.study_id, self._claim.bundle_id, self._claim.attempt_no),
            records[-1].step,
        )
        for record in records:
            self._count(record)

    def _transaction(self, records: Sequence[StepRecord]) -> None:
        with self._db.write() as conn:
            measurements.write(conn, self._claim, *records)

    def _count(self, record: StepRecord) -> None:
        for row in record.measurements:
            self.tallies[row.member].add(record.step, row)
        for entry in record.progress:
            self.tallies[entry.member].add_losses(record.step, entry)


def _is_finite(values: Values) -> bool:
    """A finite sum has finite terms only; else every term is asked, for a sum may overflow."""
    if math.isfinite(sum(filter(None, values))):
        return True
    return all(value is None or math.isfinite(value) for value in values)
