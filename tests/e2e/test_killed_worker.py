"""`kill -9` in the middle of a study: it goes on from its checkpoint, every measurement once."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from sqlalchemy import select

from muscope.lab import engine
from muscope.plan import plan
from muscope.settings import Settings
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import measurements, workers
from muscope.storage.bundles import LiveAttempt
from muscope.storage.database import Database, open_database
from muscope.storage.studies import RunRow
from muscope.storage.tables import attempt, progress
from muscope.vocabulary import RunState
from tests.e2e import house

pytestmark = pytest.mark.e2e

STEPS = 40


class Expected(NamedTuple):
    """Of every run, in order: the digest of its measurements, and its losses."""

    digests: list[str]
    losses: list[list[float]]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A house that is kept open for the tests of this module."""
    folder = tmp_path_factory.mktemp("house")
    checkpoints = {"MUSCOPE_CHECKPOINT_AFTER_S": "0", "MUSCOPE_CHECKPOINT_EVERY_S": "0.1"}
    with house.up(folder, "--no-demo", env=checkpoints) as running:
        running.line("muscope is running", within_s=30)
        yield folder


@pytest.fixture
def db(data_dir: Path) -> Iterator[Database]:
    """The database of that house."""
    database = open_database(Settings(data_dir=data_dir))
    yield database
    database.close()


@pytest.fixture(scope="module")
def expected() -> Expected:
    """What an undisturbed execution gives."""
    found = [list(engine.train(bundle.runs)) for bundle in plan(small_demo()).bundles]
    curves = [
        [record.progress[place].train_loss for record in records]
        for records in found
        for place in range(len(records[0].progress))
    ]
    return Expected(house.reference(small_demo()), curves)


def small_demo() -> StudySpec:
    """The demo's transformer, small, with steps enough to be killed between two of them."""
    adamw = OptimizerSpec(name="adamw", learning_rate=3e-3)
    options = {"head_size": 16, "sequence_length": 16}
    return StudySpec(
        name="small demo",
        arms=(
            Arm(model=ModelSpec(name="gpt", batch_size=2, options=options), optimizers=(adamw,)),
        ),
        parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
        widths=(16, 32),
        depths=(1,),
        seeds=2,
        steps=STEPS,
    )


def with_checkpoint(db: Database) -> LiveAttempt | None:
    """What is being trained now, once it could go on from a file."""
    live = house.training(db)
    if live is None:
        return None
    with db.read() as conn:
        step = select(attempt.c.checkpoint_step).where(attempt.c.id == live.attempt_id)
        return None if conn.execute(step).scalar() is None else live


def losses(db: Database, runs: Sequence[RunRow]) -> list[list[float]]:
    """Every training loss of every run."""
    found = []
    with db.read() as conn:
        for run in runs:
            curve = select(progress.c.train_loss).where(
                progress.c.run_id == run.id, progress.c.attempt_id == run.accepted_attempt
            )
            found.append(list(conn.execute(curve.order_by(progress.c.step)).scalars()))
    return found


def is_empty(folder: Path) -> bool:
    """Whether there is a folder with nothing in it."""
    return folder.is_dir() and not list(folder.iterdir())


def kill_worker(db: Database, training_pid: int) -> None:
    """Kill the worker with all its processes at once."""
    with db.read() as conn:
        (row,) = workers.all_workers(conn)
    assert psutil.Process(training_pid).ppid() == row.pid
    os.killpg(row.pid, signal.SIGKILL)


def kill_training_process(db: Database, training_pid: int) -> None:
    """Kill only the process that trains."""
    os.kill(training_pid, signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_worker, kill_training_process])
def test_a_killed_study_finishes_with_every_measurement_once(
    db: Database, data_dir: Path, expected: Expected, kill: Callable[[Database, int], None]
) -> None:
    study_id = house.submit(db, Settings(data_dir=data_dir), small_demo())
    live = house.until(lambda: with_checkpoint(db), within_s=60, what="a checkpoint")

    kill(db, live.pid)

    runs = house.finished(db, study_id, within_s=45)
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert [run.digest for run in runs] == expected.digests
    assert losses(db, runs) == expected.losses
    (note,) = {run.resume_note for run in runs if run.attempts == 2}
    assert note is not None
    assert note.startswith("went on after step ")
    assert house.until(lambda: is_empty(data_dir / "checkpoints"), within_s=10, what="no files")
    with db.read() as conn:
        samples = measurements.samples(conn, study_id)
    assert len({(s.variant, s.width, s.seed, s.step, s.tensor) for s in samples}) == len(samples)
    assert len(samples) == sum(run.row_count or 0 for run in runs)


def test_a_training_process_killed_while_it_waits_leaves_no_lock_behind(
    db: Database, data_dir: Path, expected: Expected
) -> None:
    """As the kernel does when memory is short: it takes the largest process, busy or not."""
    with db.read() as conn:
        (row,) = workers.all_workers(conn)
    (waiting,) = psutil.Process(row.pid).children()
    waiting.kill()
    waiting.wait(10)

    study_id = house.submit(db, Settings(data_dir=data_dir), small_demo())
    runs = house.finished(db, study_id, within_s=45)
    assert [run.digest for run in runs] == expected.digests
    assert {run.attempts for run in runs} == {1}
