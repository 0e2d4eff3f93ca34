"""A new attempt goes on from a checkpoint, with the rows of training that nobody disturbed."""

import os
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, delete, func, select, update

from muscope.lab import engine
from muscope.lab.watch import Watch
from muscope.plan import plan
from muscope.records import StepRecord
from muscope.settings import Settings
from muscope.spec import StudySpec
from muscope.storage import bundles, endings, resuming, studies
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.storage.measurements import RunDigest
from muscope.storage.studies import RunRow
from muscope.storage.tables import attempt, bundle, measurement, progress
from muscope.vocabulary import RunState
from muscope_worker import checkpoint_folder, checkpoint_note, checkpoints
from muscope_worker.checkpoint_folder import CheckpointFolder
from muscope_worker.checkpoints import Checkpoints
from muscope_worker.execute import TrainingProcess, next_bundle
from tests.lab.test_checkpoint import Hostile
from tests.worker.studies import submit, tiny
from tests.worker.test_execute import after_step, lose, runs_of, work_off
from tests.worker.test_stages import sweep

STEPS = 6
SPEC = tiny(widths=(8, 16), steps=STEPS)
FIRST = "began at the first step: "


def went_on(step: int, attempt_no: int) -> str:
    return f"went on after step {step}, where attempt {attempt_no} had left it"


def settings(folder: Path, **others: float) -> Settings:
    """A checkpoint after every step, whatever time it took."""
    every = {"checkpoint_after_s": 0, "checkpoint_every_s": 1e-9}
    return Settings.model_validate(
        {"data_dir": folder, "heartbeat_s": 0.1, "threads": 1, **every, **others}
    )


def in_process(db: Database, folder: Path, **others: float) -> TrainingProcess:
    return TrainingProcess(settings(folder, **others), db, worker_id="test@here")


@pytest.fixture
def process(db: Database, tmp_path: Path) -> TrainingProcess:
    """A training process that leaves a checkpoint after every step."""
    return in_process(db, tmp_path)


@pytest.fixture
def study_id(db: Database) -> str:
    """A study of two bundles that waits in the queue."""
    return submit(db, SPEC)


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """The digests of that study, of a training without attempts."""
    return digests(SPEC)


def digests(spec: StudySpec) -> list[str]:
    engine.set_threads(1)
    found: list[RunDigest] = []
    for planned in plan(spec).bundles:
        own = [RunDigest() for _ in planned.runs]
        for record in engine.train(planned.runs):
            for row in record.measurements:
                own[row.member].add(record.step, row.tensor, row.kind, row.values)
        found.extend(own)
    return [one.hex() for one in found]


def lose_now(process: TrainingProcess) -> None:
    """The bundle of a worker that was killed may be claimed at once."""
    lose(process.db, process)
    with process.db.write() as conn:
        conn.execute(update(bundle).values(not_before=None))


def killed_at(step: int, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until a step is stored, then no more: the checkpoint is of the one before."""
    leave = Checkpoints.leave_if_due

    def leave_or_die(self: Checkpoints, at: int, training: engine.Training, watch: Watch) -> None:
        if at == step:
            self._recorder.flush()
            lose_now(process)
        leave(self, at, training, watch)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "leave_if_due", leave_or_die)
        next_bundle(process)


def notes(db: Database) -> list[str | None]:
    """What the attempts say of where they began, without those of which there is nothing to say."""
    with db.read() as conn:
        found = conn.execute(select(attempt.c.resume_note).order_by(attempt.c.id)).scalars()
        return [note for note in found if note is not None]


def file(process: TrainingProcess) -> Path:
    """The one checkpoint that there is."""
    (path,) = process.settings.checkpoints_folder.iterdir()
    return path


EVERY, NEVER = 1e-9, 3600.0
"""Seconds from one checkpoint to the next."""


@pytest.mark.parametrize(
    ("deaths", "left_at"),
    [
        ([(3, EVERY)], [(2, 1)]),
        # the second one leaves none of its own
        ([(3, EVERY), (5, NEVER)], [(2, 1), (2, 1)]),
        ([(2, EVERY), (5, EVERY)], [(1, 1), (4, 2)]),
    ],
    ids=["one death", "a death before a checkpoint", "two checkpoints"],
)
def test_what_was_killed_goes_on_where_the_latest_checkpoint_was(
    process: TrainingProcess,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    deaths: list[tuple[int, float]],
    left_at: list[tuple[int, int]],
) -> None:
    study_id = submit(process.db, SPEC)
    for step, every_s in deaths:
        dying = in_process(process.db, process.settings.data_dir, checkpoint_every_s=every_s)
        killed_at(step, dying, monkeypatch)
    trained = steps_trained(monkeypatch)
    work_off(process)

    assert_undisturbed(process, study_id, expected)
    assert notes(process.db) == [went_on(*one) for one in left_at]
    first = left_at[-1][0] + 1
    assert trained[: STEPS - first + 1] == list(range(first, STEPS + 1))
    assert list(process.settings.checkpoints_folder.iterdir()) == []


def assert_undisturbed(process: TrainingProcess, study_id: str, expected: list[str]) -> None:
    """Its runs have the rows of training that nobody disturbed."""
    runs = runs_of(process.db, study_id)
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert [run.digest for run in runs] == expected


def steps_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that the engine gives from now on."""
    found: list[int] = []
    told = engine.Training.__next__

    def next_step(self: engine.Training) -> StepRecord:
        record = told(self)
        found.append(record.step)
        return record

    monkeypatch.setattr(engine.Training, "__next__", next_step)
    return found


def test_rows_are_taken_over_and_those_after_the_checkpoint_are_not(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(3, process, monkeypatch)
    next_bundle(process)
    with db.read() as conn:
        ids = list(conn.execute(select(attempt.c.id).order_by(attempt.c.id)).scalars())
        for table in (measurement, progress):
            steps = select(table.c.step).distinct().order_by(table.c.step)
            first, second = (
                list(conn.execute(steps.where(table.c.attempt_id == one)).scalars()) for one in ids
            )
            assert (first, second) == ([3], list(range(STEPS + 1)))


def test_who_dies_while_it_takes_over_leaves_rows_with_both(
    process: TrainingProcess,
    study_id: str,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed_at(3, process, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "ROWS_AT_ONCE", 1)
        taken: list[tuple[int, int]] = []

        def take_over(
            conn: Connection, claim: Claim, first: int, *, steps: tuple[int, int]
        ) -> None:
            if taken:
                raise bundles.LeaseLost
            taken.append(steps)
            work(conn, claim, first, steps=steps)

        work = resuming.take_over
        patched.setattr(resuming, "take_over", take_over)
        next_bundle(process)
    lose_now(process)
    work_off(process)

    assert taken == [(0, 0)]
    assert_undisturbed(process, study_id, expected)
    assert notes(process.db) == [went_on(2, 1)] * 2


def test_what_took_the_first_part_counts_in_the_budget(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(3, process, monkeypatch)
    note = checkpoint_note.Note.model_validate_json(read_note(file(process)))
    next_bundle(process)
    with db.read() as conn:
        row = conn.execute(select(attempt).where(attempt.c.attempt_no == 2)).one()
    assert row.warm_up_s == note.spent[0] > 0
    assert row.train_s > note.spent[1] > 0


def read_note(path: Path) -> str:
    from muscope.lab import checkpoint

    return checkpoint.note(path)


Change = Callable[[TrainingProcess, pytest.MonkeyPatch], None]


def replaced(what: str, value: object) -> Change:
    """Something of the surroundings is another one than it was."""
    return lambda _, monkeypatch: monkeypatch.setattr(what, value)


def corrupt(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    content = bytearray(file(process).read_bytes())
    content[-1] ^= 1
    file(process).write_bytes(content)


def cut_off(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    file(process).write_bytes(file(process).read_bytes()[:1000])


def hostile(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    file(process).write_bytes(pickle.dumps(Hostile(process.settings.data_dir / "it ran")))


def away(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    file(process).unlink()


def pipe(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    """Whoever opens it waits for somebody who writes."""
    path = file(process)
    path.unlink()
    os.mkfifo(path)


def folder(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    path = file(process)
    path.unlink()
    path.mkdir()


def too_large_to_read(process: TrainingProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("muscope.lab.checkpoint._read", lambda path, count: read(path))


def without_step_1_of(table: Table) -> Change:
    """As after the restore of an older backup."""

    def lose_rows(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
        with process.db.write() as conn:
            conn.execute(delete(table).where(table.c.step == 1))

    return lose_rows


def split(process: TrainingProcess, _: pytest.MonkeyPatch) -> None:
    """As after a second death."""
    with process.db.write() as conn:
        ids = conn.execute(select(func.min(bundle.c.id))).scalar_one()
        endings.split(conn, ids, most=2)


@pytest.mark.parametrize(
    "case",
    [
        (
            replaced("muscope_worker.checkpoint_note.code", lambda: "muscope 9.9.9 (0)"),
            "the code differs: muscope .* there, muscope 9.9.9 .*attempt 1",
        ),
        (
            replaced("muscope.lab.environment.processor", lambda: "Abacus"),
            "the processor differs: .* there, Abacus here",
        ),
        (replaced("torch.__version__", "9.9.0"), "torch differs: .* there, 9.9.0 here"),
        (corrupt, "the checkpoint was corrupt: its numbers are not those that were written"),
        (cut_off, "the checkpoint was corrupt: it cannot be read"),
        (hostile, "the checkpoint was corrupt: it cannot be read"),
        (pipe, r"/.*\.safetensors is no file; remove it"),
        (folder, r"/.*\.safetensors is no file; remove it"),
        (too_large_to_read, "there was no memory to read its checkpoint: DefaultCPUAllocator"),
        (away, "the checkpoint of attempt 1 at step 2 is not here: worker test@here left it"),
        (without_step_1_of(measurement), "the database does not hold what was recorded up to"),
        (without_step_1_of(progress), "the database does not hold what was recorded up to step 2"),
        (split, "the checkpoint is of other runs, as the bundle was split"),
    ],
)
def test_who_cannot_go_on_says_why_and_begins_at_the_first_step(
    process: TrainingProcess,
    study_id: str,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Change, str],
) -> None:
    change, reason = case
    killed_at(3, process, monkeypatch)
    change(process, monkeypatch)
    trained = steps_trained(monkeypatch)
    next_bundle(process)

    (note,) = notes(process.db)
    assert re.match(FIRST + reason, note)
    assert trained == list(range(STEPS + 1))
    runs = [run for run in runs_of(process.db, study_id) if run.state is RunState.FINISHED]
    if change is not split:  # whose bundles are smaller, so sums round differently
        assert [run.digest for run in runs] == expected[:4]
    assert not (process.settings.data_dir / "it ran").exists()


@pytest.mark.parametrize(
    "others",
    [{}, {"checkpoint_gib": 1e-6}, {"checkpoint_gib": 0}, {"checkpoint_after_s": 600}],
    ids=["no disk left", "over the limit", "switched off", "too short"],
)
def test_training_without_room_or_need_leaves_none_and_ends_well(
    process: TrainingProcess,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    others: dict[str, float],
) -> None:
    if not others:
        monkeypatch.setattr(checkpoint_folder, "LEFT_FREE_BYTES", 2**62)
    study_id, folder = submit(process.db, SPEC), process.settings.checkpoints_folder
    process = in_process(process.db, process.settings.data_dir, **others)
    killed_at(3, process, monkeypatch)
    assert not folder.exists() or not list(folder.iterdir())
    work_off(process)
    assert_undisturbed(process, study_id, expected)
    assert notes(process.db) == [FIRST + "no earlier attempt left a checkpoint"]


def test_a_folder_that_cannot_be_written_to_fails_nothing(
    process: TrainingProcess, study_id: str, expected: list[str]
) -> None:
    process.settings.checkpoints_folder.write_text("not a folder")
    work_off(process)
    assert_undisturbed(process, study_id, expected)


def test_who_is_asked_to_stop_leaves_one_at_once(
    db: Database,
    tmp_path: Path,
    study_id: str,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = in_process(db, tmp_path, checkpoint_every_s=3600)
    with monkeypatch.context() as patched:
        after_step(patched, 3, process.stop.set)
        next_bundle(process)
    work_off(process)
    assert_undisturbed(process, study_id, expected)
    assert notes(db) == [went_on(3, 1)]


def test_the_checkpoint_of_what_was_cancelled_is_removed(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(3, process, monkeypatch)
    folder = CheckpointFolder(process.settings)
    folder.sweep(db)
    assert file(process)
    with db.write() as conn:
        studies.cancel(conn, study_id)
    folder.sweep(db)
    assert list(process.settings.checkpoints_folder.iterdir()) == []


def test_only_what_nobody_needs_is_swept(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(3, process, monkeypatch)
    path, folder = file(process), process.settings.checkpoints_folder
    kept = {path.name, "notes.txt", f"{path.name}.77.part", ".tmpAb12cd"}
    gone = {f"{study_id}-999.safetensors", "other-1.safetensors", "other-1.safetensors.5.part"}
    for name in (kept | gone) - {path.name}:
        (folder / name).write_text("")
    CheckpointFolder(process.settings).sweep(db)
    assert {one.name for one in folder.iterdir()} == kept
    monkeypatch.setattr(checkpoint_folder, "STALE_S", -1.0)
    CheckpointFolder(process.settings).sweep(db)
    assert {one.name for one in folder.iterdir()} == {path.name, "notes.txt"}


def test_divergence_before_the_checkpoint_is_known_after_it(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = tiny(learning_rate=1e6, widths=(8, 16), steps=8)
    first, second = submit(db, wild), submit(db, wild)
    killed_at(7, process, monkeypatch)
    work_off(process)
    disturbed, calm = runs_of(db, first), runs_of(db, second)
    assert RunState.DIVERGED in {run.state for run in calm}
    assert [told(run) for run in disturbed] == [told(run) for run in calm]


def told(run: RunRow) -> tuple[object, ...]:
    return (
        run.state,
        run.digest,
        run.first_nonfinite_step,
        run.first_nonfinite_tensor,
        run.error_text,
    )


@pytest.mark.parametrize("step", [3, 8])
def test_a_search_stops_the_same_runs_when_it_is_gone_on_with(
    db: Database, process: TrainingProcess, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the rung the rule needs the curves so far, after it whom it has stopped."""
    first, second = submit(db, sweep()), submit(db, sweep())
    killed_at(step, process, monkeypatch)
    next_bundle(process)
    next_bundle(process)
    disturbed, calm = (
        [run for run in runs_of(db, one) if run.stage == 0] for one in (first, second)
    )
    assert {run.state for run in calm} == {RunState.FINISHED, RunState.SKIPPED}
    assert [told(run) for run in disturbed] == [told(run) for run in calm]
    assert curves(db, disturbed) == curves(db, calm)
    assert notes(db) == [went_on(step - 1, 1)]


def curves(db: Database, runs: Sequence[RunRow]) -> list[list[tuple[float, ...]]]:
    """Every loss of these runs, on held-out data too."""
    columns = (progress.c.step, progress.c.train_loss, progress.c.eval_loss)
    with db.read() as conn:
        return [
            [
                tuple(row)
                for row in conn.execute(
                    select(*columns)
                    .where(progress.c.run_id == run.id)
                    .where(progress.c.attempt_id == run.accepted_attempt)
                    .order_by(progress.c.step)
                )
            ]
            for run in runs
        ]
