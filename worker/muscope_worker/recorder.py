"""What the lab yields goes into the database: one fenced, keyed transaction per step."""

import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError

from muscope.records import Measurement, StepRecord
from muscope.storage import measurements
from muscope.storage.bundles import Claim, Outcome
from muscope.storage.database import Database
from muscope.storage.measurements import RunDigest
from muscope.vocabulary import RunState

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

    def add(self, step: int, row: Measurement) -> None:
        """Count one measurement."""
        self.digest.add(step, row.tensor, row.kind, row.values)
        if self.first_nonfinite is None and not _is_finite(row):
            self.first_nonfinite = (step, row.tensor)

    def add_loss(self, step: int, loss: float) -> None:
        """Note a loss that is not a number; the tensors of its step have been counted before."""
        if self.first_nonfinite is None and not math.isfinite(loss):
            self.first_nonfinite = (step, "train_loss")

    def outcome(self, run_id: int) -> Outcome:
        """The end of a run: divergence is a result, not a fault."""
        step, tensor = self.first_nonfinite or (None, None)
        return Outcome(
            run_id=run_id,
            state=RunState.FINISHED if step is None else RunState.DIVERGED,
            row_count=self.digest.count,
            digest=self.digest.hex(),
            first_nonfinite_step=step,
            first_nonfinite_tensor=tensor,
        )


class Recorder:
    """Writes the step records of one claim and keeps the tally of each of its runs."""

    def __init__(self, db: Database, claim: Claim, *, patience_s: float) -> None:
        self._db = db
        self._claim = claim
        self._patience_s = patience_s
        self._tallies = [Tally() for _ in claim.members]

    def write(self, record: StepRecord) -> None:
        """Store one step, or raise LeaseLost: then nothing of it is stored."""
        persist(lambda: self._transaction(record), patience_s=self._patience_s)
        for row in record.measurements:
            self._tallies[row.member].add(record.step, row)
        for entry in record.progress:
            self._tallies[entry.member].add_loss(record.step, entry.train_loss)

    def outcomes(self) -> list[Outcome]:
        """How each run ended, to be compared with what the database holds."""
        members = zip(self._claim.members, self._tallies, strict=True)
        return [tally.outcome(member.run_id) for member, tally in members]

    def _transaction(self, record: StepRecord) -> None:
        with self._db.write() as conn:
            measurements.write(conn, self._claim, record)


def _is_finite(row: Measurement) -> bool:
    return all(value is None or math.isfinite(value) for value in row.values)
