"""`kill -9` in the middle of a study: the study finishes, every measurement exactly once."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from muscope.settings import Settings
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import measurements, workers
from muscope.storage.database import Database, open_database
from muscope.vocabulary import RunState
from tests.e2e import house

pytestmark = pytest.mark.e2e

STEPS = 40


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A house that is kept open for the tests of this module."""
    folder = tmp_path_factory.mktemp("house")
    with house.up(folder, "--no-demo") as running:
        running.line("muscope is running", within_s=30)
        yield folder


@pytest.fixture
def db(data_dir: Path) -> Iterator[Database]:
    """The database of that house."""
    database = open_database(Settings(data_dir=data_dir))
    yield database
    database.close()


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """The digests of an undisturbed execution."""
    return house.reference(small_demo())


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
    db: Database, data_dir: Path, expected: list[str], kill: Callable[[Database, int], None]
) -> None:
    study_id = house.submit(db, Settings(data_dir=data_dir), small_demo())
    attempt = house.until(lambda: house.training(db), within_s=60, what="training")

    kill(db, attempt.pid)

    runs = house.finished(db, study_id, within_s=45)
    assert {run.state for run in runs} == {RunState.FINISHED}
    assert [run.digest for run in runs] == expected
    assert max(run.attempts for run in runs) == 2
    with db.read() as conn:
        samples = measurements.samples(conn, study_id)
    assert len({(s.variant, s.width, s.seed, s.step, s.tensor) for s in samples}) == len(samples)
    assert len(samples) == sum(run.row_count or 0 for run in runs)


def test_a_training_process_killed_while_it_waits_leaves_no_lock_behind(
    db: Database, data_dir: Path, expected: list[str]
) -> None:
    """As the kernel does when memory is short: it takes the largest process, busy or not."""
    with db.read() as conn:
        (row,) = workers.all_workers(conn)
    (waiting,) = psutil.Process(row.pid).children()
    waiting.kill()
    waiting.wait(10)

    study_id = house.submit(db, Settings(data_dir=data_dir), small_demo())
    runs = house.finished(db, study_id, within_s=45)
    assert [run.digest for run in runs] == expected
    assert {run.attempts for run in runs} == {1}
