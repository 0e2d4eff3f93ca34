"""A hyperparameter search carried by a worker: its sets, its verdict, and who goes on with it."""

from pathlib import Path

import pytest
from sqlalchemy import select

from muscope import in_process
from muscope.plan import plan
from muscope.settings import Settings
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import sets, staging, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.doctor import violations
from muscope.storage.tables import progress
from muscope.tuning import Method, Tuning
from muscope.verdicts.hyperparameters.judge import judge
from muscope.vocabulary import StudyState
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import catch_up
from tests.worker.studies import submit


def search(method: Method) -> StudySpec:
    """µP of a small MLP: its rate, its embedding and its readout."""
    samples = 4 if method in ("sobol", "halton", "random") else 0
    adam = OptimizerSpec(name="adamw", learning_rate=2**-6)
    return StudySpec(
        name="search",
        kind="hyperparameter_search",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=16), optimizers=(adam,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(16, 32),
        depths=(1,),
        octaves=(-1.0, 0.0, 1.0),
        seeds=2,
        steps=12,
        held_out=2,
        tuning=Tuning(
            method=method,
            samples=samples,
            ranges={"embedding_multiplier": (-1.0, 1.0), "readout_multiplier": (-1.0, 1.0)},
            keep=(2,),
        ),
    )


def to_the_end(database: Database, folder: Path, spec: StudySpec) -> str:
    """The study, trained by one worker."""
    settings = Settings(data_dir=folder, heartbeat_s=0.1, threads=1)
    process = TrainingProcess(settings, database, worker_id="test@here")
    study_id = submit(database, spec)
    while next_bundle(process):
        pass
    return study_id


@pytest.mark.parametrize("method", ["independent", "sobol"])
def test_a_worker_carries_a_search_to_its_verdict(
    database: Database, tmp_path: Path, method: Method
) -> None:
    spec = search(method)
    study_id = to_the_end(database, tmp_path, spec)
    with database.read() as conn:
        assert violations(conn) == []
        (found,) = verdicts.of_search(conn, study_id)
        row, ended = studies.get(conn, study_id), sets.trials(conn, study_id)
    assert row is not None
    assert row.state is StudyState.FINISHED
    assert found.final
    assert found.runs_judged == len(ended) <= plan(spec).run_count
    # the same study without queue or database tries the same sets and ends alike
    *_, (_, trials) = in_process.search(spec)
    (here,) = judge(spec, trials, runs_judged={found.variant: len(trials)}, final=True)
    assert [one.hyperparameters for one in here.sets] == [one.hyperparameters for one in found.sets]
    assert (here.winner, here.chosen) == (found.winner, found.chosen)


def test_every_step_of_a_search_has_the_norm_of_its_gradient(db: Database, tmp_path: Path) -> None:
    to_the_end(db, tmp_path, search("independent"))
    with db.read() as conn:
        steps = conn.execute(select(progress.c.step, progress.c.grad_norm)).all()
    assert {row.step for row in steps if row.grad_norm is None} == {12}, "no update, no gradient"
    assert all(row.grad_norm > 0 for row in steps if row.step < 12)


def test_a_search_that_a_dead_worker_left_goes_on_with_the_same_sets(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = search("halton")
    study_id = submit(db, spec)
    with monkeypatch.context() as dying:
        dying.setattr("muscope_worker.execute.catch_up", lambda *_, **__: [])
        next_bundle(process)
    with db.read() as conn:
        assert staging.due(conn) == [study_id]
    assert catch_up(db, study_id, patience_s=1.0)
    while next_bundle(process):
        pass
    with db.read() as conn:
        known = {one.point for one in sets.trials(conn, study_id) if one.width == 16}
    *_, (_, trials) = in_process.search(spec)
    assert known == {one.point for one in trials if one.width == 16}
