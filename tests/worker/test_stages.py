"""A study in stages, trained for real: one worker carries it to its end, another takes it over."""

import math

import pytest

from muscope import costs, in_process
from muscope.plan import plan, rows
from muscope.plan import runs as grid
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from muscope.storage import budgets, losses, staging, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.doctor import violations
from muscope.storage.studies import RunRow
from muscope.verdicts.transfer import judge
from muscope.vocabulary import RunState, StudyState
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import catch_up
from tests.worker.studies import submit, tiny


def sweep() -> StudySpec:
    """µP of a small MLP with SGD at two widths, searched adaptively over nine rates."""
    return StudySpec(
        name="sweep",
        kind="lr_transfer",
        arms=(
            Arm(
                model=ModelSpec(name="mlp", batch_size=16),
                optimizers=(OptimizerSpec(name="sgd", learning_rate=0.25),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(16, 32),
        depths=(1,),
        octaves=tuple(float(octave) for octave in range(-4, 5)),
        seeds=2,
        steps=12,
        search="adaptive",
    )


def state(db: Database, study_id: str) -> StudyState:
    with db.read() as conn:
        found = studies.get(conn, study_id)
    assert found is not None
    return found.state


def test_a_worker_carries_a_search_to_its_verdict(db: Database, process: TrainingProcess) -> None:
    spec = sweep()
    study_id = submit(db, spec)
    while next_bundle(process):
        pass
    assert state(db, study_id) is StudyState.FINISHED
    with db.read() as conn:
        (found,) = verdicts.of_transfer(conn, study_id)
    assert found.final
    assert found.runs_judged < plan(spec).run_count
    # the same study without queue or database ends with the same judgement
    *_, (_, trials) = in_process.sweep(spec)
    (here,) = judge.judge(spec, trials, runs_judged={found.variant: len(trials)}, final=True)
    assert here.runs_judged == found.runs_judged
    assert [one.optimum for one in here.optima] == pytest.approx(
        [one.optimum for one in found.optima]
    )


def test_runs_far_from_the_best_rate_end_half_way_and_say_so(
    db: Database, process: TrainingProcess
) -> None:
    spec = sweep()
    study_id = submit(db, spec)
    while next_bundle(process):
        pass
    with db.read() as conn:
        assert violations(conn) == []
        runs = studies.runs(conn, study_id)
        trials, taken = losses.trials(conn, study_id), budgets.of_study(conn, study_id)
    stopped = [run for run in runs if run.state is RunState.SKIPPED]
    assert stopped
    for run in stopped:
        assert run.error_text
        assert run.error_text.startswith("stopped early at step 6 of 12: half-way")
        assert run.row_count == rows(_spec_of(spec, run), until=6)
        assert run.train_loss is not None
    ends = {(one.state, one.step, one.at_step is None) for one in trials if one.stopped}
    assert ends == {(RunState.SKIPPED, 6, False)}
    *_, (_, here) = in_process.sweep(spec)
    assert {(one.state, one.step) for one in here if one.stopped} == {(RunState.SKIPPED, 6)}
    worst = {(one.width, one.octave, one.seed) for one in trials if one.loss == math.inf}
    assert worst >= {(run.width, run.octave, run.seed) for run in stopped}
    steps = {RunState.SKIPPED: 7}  # the update at step 6 was taken too
    shorter = [
        _spec_of(spec, run).model_copy(update={"steps": steps.get(run.state, 12)}) for run in runs
    ]
    assert sum(one.budget.flops for one in taken if one.budget) == sum(map(costs.flops, shorter))


def _spec_of(spec: StudySpec, run: RunRow) -> RunSpec:
    place = (run.width, run.octave, run.seed)
    return next(one for one in grid(spec) if (one.width, one.octave, one.seed) == place)


def test_a_full_grid_is_trained_to_the_end(db: Database, process: TrainingProcess) -> None:
    spec = sweep().model_copy(update={"search": "full"})
    study_id = submit(db, spec)
    next_bundle(process)
    with db.read() as conn:
        states = {run.state for run in studies.runs(conn, study_id)}
    assert RunState.SKIPPED not in states


def test_the_word_of_a_new_stage_is_spread(db: Database, process: TrainingProcess) -> None:
    told: list[int] = []
    telling = TrainingProcess(process.settings, db, worker_id="telling@here", tell=told.extend)
    submit(db, sweep())
    next_bundle(telling)
    assert told


def test_a_stage_that_a_dead_worker_left_is_begun_by_another(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = submit(db, sweep())
    with monkeypatch.context() as dying:
        dying.setattr("muscope_worker.execute.catch_up", lambda *_, **__: [])
        next_bundle(process)
    with db.read() as conn:
        assert staging.due(conn) == [study_id]
    assert state(db, study_id) is StudyState.RUNNING
    assert catch_up(db, study_id, patience_s=1.0)
    with db.read() as conn:
        assert staging.due(conn) == []


def test_a_coordinate_check_that_stops_early_goes_on_where_it_has_not(
    db: Database, process: TrainingProcess
) -> None:
    spec = tiny(steps=1).model_copy(update={"stop_early": True, "seeds": 6})
    study_id = submit(db, spec)
    with db.read() as conn:
        first = len(studies.runs(conn, study_id))
    while next_bundle(process):
        pass
    with db.read() as conn:
        runs = studies.runs(conn, study_id)
        found = verdicts.of_study(conn, study_id)
    stopped = {one.variant for one in found if one.stopped_early}
    assert state(db, study_id) is StudyState.FINISHED
    assert all(one.final for one in found)
    assert first == spec.run_count // 2
    assert {run.variant for run in runs if run.stage == 1} == {
        variant.key for variant in spec.variants
    } - stopped
