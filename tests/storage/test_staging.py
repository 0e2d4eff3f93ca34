"""A study goes on in stages: each is inserted once, by whoever sees that the last one has ended."""

import threading

import pytest

from muscope import plan
from muscope.records import Progress, StepRecord
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import bundles, losses, measurements, staging, studies, verdicts
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.verdicts.transfer import judge
from muscope.vocabulary import RunState, StudyIntent, StudyState, TransferVerdict
from tests.storage import world

OPTIMUM = -1.0


def transfer_spec(*, search: str = "adaptive", seeds: int = 2) -> StudySpec:
    """One MLP at two widths and nine learning rates."""
    model = ModelSpec(name="mlp", batch_size=8)
    return StudySpec.model_validate(
        {
            "name": "transfer",
            "kind": "lr_transfer",
            "arms": (
                Arm(model=model, optimizers=(OptimizerSpec(name="adamw", learning_rate=0.01),)),
            ),
            "parametrizations": (ParametrizationSpec(name="mup"),),
            "widths": (8, 16),
            "octaves": tuple(half / 2 for half in range(-6, 7)),
            "seeds": seeds,
            "steps": 2,
            "search": search,
        }
    )


def loss(octave: float, seed: int) -> float:
    """A parabola over the octaves."""
    return 2.0 + 0.1 * (octave - OPTIMUM) ** 2 + seed / 8


def complete(db: Database, claim: Claim) -> None:
    """Write the losses of every step and finish."""
    written = [
        StepRecord(
            step=step,
            measurements=(),
            progress=tuple(
                Progress(place, loss(member.spec.octave, member.spec.seed))
                for place, member in enumerate(claim.members)
            ),
        )
        for step in range(claim.members[0].spec.steps + 1)
    ]
    with db.write() as conn:
        for record in written:
            measurements.write(conn, claim, record)
        bundles.finish(conn, claim, bundles.count(conn, claim, world.outcomes(claim, written)))


def complete_stage(db: Database) -> None:
    """Execute everything that is queued."""
    while (claim := world.try_claim(db)) is not None:
        complete(db, claim)


def state(db: Database, study_id: str) -> StudyState:
    with db.read() as conn:
        found = studies.get(conn, study_id)
    assert found is not None
    return found.state


def due(db: Database) -> list[str]:
    with db.read() as conn:
        return staging.due(conn)


def test_a_search_goes_on_until_the_optima_are_found(db: Database) -> None:
    spec = transfer_spec()
    study_id = world.submit(db, spec)
    complete_stage(db)
    assert (due(db), state(db, study_id)) == ([study_id], StudyState.RUNNING)
    while staging.advance(db, study_id):
        complete_stage(db)
    assert (due(db), state(db, study_id)) == ([], StudyState.FINISHED)
    with db.read() as conn:
        runs = studies.runs(conn, study_id)
        trials = losses.trials(conn, study_id)
    (judged,) = judge.judge(spec, trials, runs_judged={}, final=True)
    assert [one.optimum for one in judged.optima] == [pytest.approx(OPTIMUM)] * 2
    assert [run.ordinal for run in runs] == list(range(len(runs)))
    assert [run.stage for run in runs] == sorted(run.stage for run in runs)
    assert len(runs) < spec.run_count


def test_a_full_grid_has_one_stage(db: Database) -> None:
    spec = transfer_spec(search="full")
    study_id = world.submit(db, spec)
    complete_stage(db)
    with db.read() as conn:
        found = studies.get(conn, study_id)
    assert found is not None
    assert (due(db), found.state, found.runs) == ([], StudyState.FINISHED, spec.run_count)


def test_a_stage_that_has_not_ended_is_not_followed(db: Database) -> None:
    study_id = world.submit(db, transfer_spec())
    world.claim(db)
    assert (due(db), staging.advance(db, study_id)) == ([], None)


def test_of_workers_at_once_one_inserts_the_next_stage(db: Database) -> None:
    study_id = world.submit(db, transfer_spec())
    complete_stage(db)
    begun: list[list[int] | None] = []
    start = threading.Barrier(4)

    def advance() -> None:
        start.wait()
        begun.append(staging.advance(db, study_id))

    threads = [threading.Thread(target=advance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as conn:
        waiting = bundles.queued_ids(conn, study_id)
    assert [bundle_ids for bundle_ids in begun if bundle_ids is not None] == [waiting]


def test_between_stages_a_study_can_be_cancelled(db: Database) -> None:
    study_id = world.submit(db, transfer_spec())
    complete_stage(db)
    with db.write() as conn:
        found = studies.cancel(conn, study_id)
    assert found is not None
    assert (found.intent, found.state) == (StudyIntent.CANCELLED, StudyState.CANCELLED)
    assert (due(db), staging.advance(db, study_id)) == ([], None)


def test_a_search_of_which_nothing_could_be_run_ends(db: Database) -> None:
    study_id = world.submit(db, transfer_spec())
    for _ in range(20):
        while (claim := world.try_claim(db)) is not None:
            with db.write() as conn:
                bundles.fail(conn, claim, code="E_TEST", text="a fault")
        if not staging.advance(db, study_id):
            break
    assert state(db, study_id) is StudyState.FAILED


def test_runs_that_diverged_count_as_infinitely_bad(db: Database) -> None:
    study_id = world.submit(db, transfer_spec(seeds=1))
    claim = world.claim(db)
    records = [
        StepRecord(step, (), tuple(Progress(m, float("nan")) for m in range(len(claim.members))))
        for step in range(3)
    ]
    with db.write() as conn:
        for record in records:
            measurements.write(conn, claim, record)
        ends = [
            bundles.Outcome(m.run_id, RunState.DIVERGED, 0, measurements.RunDigest().hex())
            for m in claim.members
        ]
        bundles.finish(conn, claim, bundles.count(conn, claim, ends))
    with db.read() as conn:
        trials = losses.trials(conn, study_id)
    assert {trial.loss for trial in trials} == {float("inf")}


def test_a_verdict_on_rates_is_kept_and_is_none_of_a_coordinate_check(db: Database) -> None:
    spec = transfer_spec(search="full")
    study_id = world.submit(db, spec)
    complete_stage(db)
    with db.write() as conn:
        trials = losses.trials(conn, study_id)
        counts = studies.runs_judged(conn, study_id)
        verdicts.save(conn, study_id, judge.judge(spec, trials, runs_judged=counts, final=True))
        assert verdicts.unjudged(conn) == []
        assert verdicts.of_study(conn, study_id) == []
        (judged,) = verdicts.of_transfer(conn, study_id)
        (summary,) = verdicts.of_studies(conn, [study_id])[study_id]
    assert summary.verdict is judged.verdict is TransferVerdict.TRANSFERS
    assert judged.runs_judged == judged.runs_planned == plan.plan(spec).run_count


def over_steps() -> StudySpec:
    """The same at one width, for two numbers of steps; its optimum lies beyond the grid."""
    data = transfer_spec(search="full").model_dump(exclude={"steps"})
    octaves, counts = (0.0, 1.0, 2.0), (1, 2)
    grid = {"widths": (8,), "step_counts": counts, "octaves": octaves, "extend_octaves": 3}
    return StudySpec.model_validate(data | grid)


def test_a_grid_grows_in_stages_until_every_place_has_its_optimum(db: Database) -> None:
    spec = over_steps()
    study_id = world.submit(db, spec)
    with db.read() as conn:
        assert len(studies.runs(conn, study_id)) == 2 * 2 * len(spec.octaves)
    stages = 1
    complete_stage(db)
    while staging.advance(db, study_id):
        stages += 1
        complete_stage(db)
    assert stages == 3  # an octave at a time, down to one beyond the optimum
    assert state(db, study_id) is StudyState.FINISHED
    with db.read() as conn:
        trials = losses.trials(conn, study_id)
        known = {(run.steps, run.octave) for run in studies.runs(conn, study_id)}
    assert known == {(steps, float(octave)) for steps in (1, 2) for octave in range(-2, 3)}
    (judged,) = judge.judge(spec, trials, runs_judged={}, final=True)
    assert [one.steps for one in judged.optima] == [1, 2]
    assert [one.optimum for one in judged.optima] == [pytest.approx(OPTIMUM, abs=0.01)] * 2
