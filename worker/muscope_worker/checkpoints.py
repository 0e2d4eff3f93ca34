"""Long training leaves checkpoints, and a new attempt of its bundle goes on from the latest.

It goes on only where the numbers will be those of training that was never left: with the same code,
torch, device, processor and data, and when the database holds what was recorded until then. Else it
begins at the first step, and its row says why.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ValidationError
from sqlalchemy import Connection

from muscope.settings import Settings
from muscope.spec import RunSpec
from muscope.stages import hopeless
from muscope.storage import resuming
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.storage.leases import prove
from muscope_worker import checkpoint_note
from muscope_worker.checkpoint_folder import CheckpointFolder
from muscope_worker.checkpoint_note import Counted, Note, Surroundings
from muscope_worker.recorder import Recorder, persist

if TYPE_CHECKING:  # torch is imported by the process that trains, when it trains
    from muscope.lab.engine import Training
    from muscope.lab.snapshot import Snapshot
    from muscope.lab.watch import Watch

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 5_000
"""As many rows are taken over in one transaction as a recorder writes in one."""
QUICK_S = 5.0
"""Who is asked to stop leaves no checkpoint that takes longer."""


class CannotResume(RuntimeError):
    """Why an attempt begins at the first step, as its row says it."""


class Checkpoints:
    """Those of one attempt: the one that it goes on from, and those that it leaves."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        claim: Claim,
        *,
        surroundings: Surroundings,
        recorder: Recorder,
        rule: hopeless.Rule | None,
    ) -> None:
        self._settings, self._db, self._claim = settings, db, claim
        self._surroundings, self._recorder, self._rule = surroundings, recorder, rule
        self._folder = CheckpointFolder(settings)
        self._path = self._folder.path(claim)
        self._first_step, self._took_s = 0, 0.0
        self._began_at = self._latest_at = time.monotonic()

    def training(self) -> "tuple[Training, Watch]":
        """The training of this attempt, from the first step or from where an earlier one was."""
        from muscope.lab import engine  # as above
        from muscope.lab.watch import Watch

        if self._claim.attempt_no > 1:
            try:
                return self._resumed()
            except CannotResume as reason:
                self._explain(f"began at the first step: {reason}")
        self._began_at = self._latest_at = time.monotonic()
        return engine.train(self._specs, self._rule), Watch()

    def leave_if_due(self, step: int, training: "Training", watch: "Watch") -> None:
        """After a step was handed over: leave a checkpoint if the training is long, every so often.

        What stands in its way is logged, and tried again when the next one is due.
        """
        waited_s = time.monotonic() - self._latest_at
        if waited_s >= self._settings.checkpoint_every_s and self._is_long(step):
            self._leave(step, training, watch)

    def leave_to_stop(self, step: int, training: "Training", watch: "Watch") -> None:
        """The same at once, before the bundle is handed back, if there is time for it."""
        if self._took_s < QUICK_S and self._is_long(step):
            self._leave(step, training, watch)

    @property
    def _specs(self) -> list[RunSpec]:
        return [member.spec for member in self._claim.members]

    def _is_long(self, step: int) -> bool:
        """Whether all steps would take long enough, at the pace of those that were taken here."""
        steps, taken = self._specs[0].steps, step + 1 - self._first_step
        if step >= steps or taken <= 0 or not self._settings.checkpoint_gib:
            return False
        whole_s = (time.monotonic() - self._began_at) * (steps + 1) / taken
        return whole_s >= self._settings.checkpoint_after_s

    def _leave(self, step: int, training: "Training", watch: "Watch") -> None:
        from muscope.lab.checkpoint import Checkpoint  # as above

        self._recorder.flush()
        # who has lost the lease must not replace what its successor has left
        self._transaction(lambda conn: prove(conn, self._claim))
        began_at = time.monotonic()
        try:
            kept = Checkpoint(training.snapshot())
            self._folder.prepare(kept.size_bytes)
            kept.write(self._path, self._note(step, watch).model_dump_json())
        except (OSError, RuntimeError, TypeError, MemoryError) as error:
            log.warning("%s: no checkpoint at step %d: %s", self._name, step, error)
        else:
            self._took_s = time.monotonic() - began_at
            size_mb = kept.size_bytes / 1e6
            log.info(
                "%s: checkpoint at step %d, %.1f MB in %.2f s",
                *(self._name, step, size_mb, self._took_s),
            )
            self._transaction(lambda conn: resuming.left_checkpoint(conn, self._claim, step=step))
        self._latest_at = time.monotonic()

    def _note(self, step: int, watch: "Watch") -> Note:
        rule, claim = self._rule, self._claim
        is_past = step >= hopeless.rung(self._specs[0].steps)
        return Note(
            study=claim.study_id,
            bundle=claim.bundle_id,
            runs=checkpoint_note.runs_of(claim),
            attempt=claim.attempt_id,
            attempt_no=claim.attempt_no,
            step=step,
            surroundings=self._surroundings,
            counted=tuple(map(Counted.of, self._recorder.tallies)),
            curves=() if rule is None or is_past else tuple(map(tuple, rule.curves)),
            stopped=() if rule is None else rule.stopped,
            spent=watch.spent(),
        )

    def _resumed(self) -> "tuple[Training, Watch]":
        """Training that goes on, its rows taken over; raise CannotResume before any was."""
        from muscope.lab import engine  # as above
        from muscope.lab.watch import Spent, Watch

        self._folder.drop_parts(self._claim)
        note = self._found()
        start = self._snapshot()
        try:
            training = engine.train(self._specs, self._rule, start)
        except (KeyError, ValueError) as error:
            raise CannotResume(f"the checkpoint is not one of this training: {error}") from error
        self._check_rows(note)
        self._take_over(note)
        self._recorder.tallies[:] = [one.tally() for one in note.counted]
        if self._rule is not None:
            self._rule.resume(note.curves, note.stopped)
        self._first_step = note.step + 1
        self._began_at = self._latest_at = time.monotonic()
        return training, Watch(Spent(*note.spent))

    def _found(self) -> Note:
        """What the checkpoint here says, if this attempt can go on from it."""
        from muscope.lab import checkpoint  # as above

        if not self._path.exists():
            raise CannotResume(self._why_not_here())
        if not self._path.is_file():  # whoever opens a pipe waits for its other end
            raise CannotResume(f"{self._path} is no file; remove it")
        try:
            note = Note.model_validate_json(checkpoint.note(self._path))
        except (checkpoint.Unusable, ValidationError) as error:
            raise self._corrupt(error) from error
        if not note.is_of(self._claim):
            raise CannotResume("the checkpoint is of other runs, as the bundle was split")
        difference = self._surroundings.difference(note.surroundings)
        if difference is not None:
            raise CannotResume(f"{difference} (checkpoint of attempt {note.attempt_no})")
        return note

    def _why_not_here(self) -> str:
        with self._db.read() as conn:
            earlier = resuming.latest(conn, self._claim)
        if earlier is None or earlier.checkpoint_step is None:
            return "no earlier attempt left a checkpoint"
        return (
            f"the checkpoint of attempt {earlier.attempt_no} at step {earlier.checkpoint_step} "
            f"is not here: worker {earlier.worker_id} left it in its own data directory"
        )

    def _snapshot(self) -> "Snapshot":
        from muscope.lab import checkpoint  # as above

        try:
            return checkpoint.read(self._path)
        except checkpoint.Unusable as error:
            raise self._corrupt(error) from error
        except (RuntimeError, MemoryError) as error:
            raise CannotResume(f"there was no memory to read its checkpoint: {error}") from error

    def _corrupt(self, error: Exception) -> CannotResume:
        """It is removed: nobody can go on from it."""
        self._path.unlink(missing_ok=True)
        what = "its note is not one of ours" if isinstance(error, ValidationError) else str(error)
        return CannotResume(f"the checkpoint was corrupt: {what}")

    def _check_rows(self, note: Note) -> None:
        with self._db.read() as conn:
            kept = resuming.kept(conn, self._claim, note.attempt, step=note.step)
        pairs = zip(self._claim.members, note.counted, strict=True)
        if not all(counted.is_of(kept[member.run_id]) for member, counted in pairs):
            raise CannotResume(
                f"the database does not hold what was recorded up to step {note.step}"
            )

    def _take_over(self, note: Note) -> None:
        text = f"went on after step {note.step}, where attempt {note.attempt_no} had left it"
        self._transaction(
            lambda conn: resuming.begin(conn, self._claim, note.attempt, step=note.step, note=text)
        )
        for steps in note.blocks(ROWS_AT_ONCE):
            self._transaction(partial(self._take_over_some, note.attempt, steps))
        log.info("%s: %s", self._name, text)

    def _take_over_some(self, attempt_id: int, steps: tuple[int, int], conn: Connection) -> None:
        resuming.take_over(conn, self._claim, attempt_id, steps=steps)

    def _explain(self, text: str) -> None:
        log.info("%s: %s", self._name, text)
        self._transaction(lambda conn: resuming.explain(conn, self._claim, text))

    def _transaction(self, work: Callable[[Connection], None]) -> None:
        def transaction() -> None:
            with self._db.write() as conn:
                work(conn)

        persist(transaction, patience_s=self._settings.lease_s)

    @property
    def _name(self) -> str:
        claim = self._claim
        return f"study {claim.study_id} bundle {claim.bundle_id} attempt {claim.attempt_no}"
