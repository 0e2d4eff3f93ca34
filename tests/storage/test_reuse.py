"""A study that extends another trains only what is new, and reads what the other one trained."""

import threading
from collections.abc import Mapping

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import IntegrityError

from muscope import __version__, plan
from muscope.extension import Addition, NotGrown, grown
from muscope.spec import StudySpec
from muscope.storage import (
    attempts,
    budgets,
    bundles,
    doctor,
    losses,
    measurements,
    reuse,
    staging,
    studies,
    verdicts,
)
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.storage.studies import StudyRow
from muscope.storage.tables import attempt, measurement, run, study
from muscope.verdicts import judge
from muscope.vocabulary import RunState, StudyIntent, StudyState
from tests.storage import test_staging, world

SEEDS = Addition(seeds=3)


def claim(db: Database) -> Claim | None:
    """The next bundle, for a worker of this version."""
    with db.write() as conn:
        return bundles.claim(
            conn, worker_id="w1", pid=1, code_version=__version__, lease_s=world.LEASE_S
        )


def complete_all(db: Database) -> int:
    """Execute everything that is queued; give how many runs that were."""
    trained = 0
    while (found := claim(db)) is not None:
        trained += len(found.members)
        world.complete(db, found)
    return trained


def done(db: Database, spec: StudySpec | None = None) -> str:
    """A study of which everything was trained by this version."""
    study_id = world.submit(db, spec)
    complete_all(db)
    return study_id


def extend(db: Database, study_id: str, addition: Addition = SEEDS) -> str:
    """A study that extends another, submitted."""
    return world.submit(db, grown(row(db, study_id).spec, study_id, addition))


def row(db: Database, study_id: str) -> StudyRow:
    with db.read() as conn:
        found = studies.get(conn, study_id)
    assert found is not None
    assert isinstance(found.spec, StudySpec)
    return found


def created(db: Database, study_id: str) -> Mapping[str, object]:
    """What the event says that every study begins with."""
    with db.read() as conn:
        return studies.creation(conn, study_id)


def test_only_what_is_new_is_trained_and_what_is_read_is_everything(db: Database) -> None:
    old = done(db)
    new = extend(db, old, Addition(seeds=3, widths=(32,)))
    before = row(db, new)
    assert (before.extends, before.runs, before.reused) == (old, 2 * 3 * 3, 8)
    assert (before.state, created(db, new)["not_reused"]) == (StudyState.QUEUED, "")
    assert complete_all(db) == 10
    assert row(db, new).state is StudyState.FINISHED
    with db.read() as conn:
        runs = studies.runs(conn, new)
        samples = measurements.samples(conn, new)
    # as if it had been trained by itself: the same places in the same order
    alone = row(db, new).spec
    planned = [one for bundle in plan.plan(alone).bundles for one in bundle.runs]
    assert [(one.variant, one.width, one.seed) for one in runs] == [
        (one.variant.key, one.width, one.seed) for one in planned
    ]
    assert {one.reused_from for one in runs if one.width < 32 and one.seed < 2} == {old}
    assert sum(one.reused_from is None for one in runs) == 10
    assert len(samples) == sum(plan.rows(one) for one in planned)
    assert all(one.device is None and one.train_loss is not None for one in runs)


def test_nothing_is_copied(db: Database) -> None:
    def rows() -> int:
        with db.read() as conn:
            return len(conn.execute(measurement.select()).all())

    old = done(db)
    before = rows()
    new = extend(db, old)
    assert rows() == before
    with db.read() as conn:
        assert measurements.samples(conn, new) == measurements.samples(conn, old)
        assert list(measurements.csv_rows(conn, new)) == list(measurements.csv_rows(conn, old))


def test_the_verdict_reads_both(db: Database) -> None:
    old = done(db)
    new = extend(db, old)
    with db.read() as conn:
        assert new in verdicts.unjudged(conn)  # what is reused is judged at once
        assert studies.runs_judged(conn, new) == studies.runs_judged(conn, old)
    complete_all(db)
    spec = row(db, new).spec
    with db.read() as conn:
        samples, counts = measurements.samples(conn, new), studies.runs_judged(conn, new)
    judged = judge.judge(spec, samples, runs_judged=counts, final=True)
    assert {one.runs_judged for one in judged} == {6}
    assert {cell.seeds for one in judged for cell in one.cells} == {3}


def test_an_extension_of_an_extension_refers_to_what_was_trained(db: Database) -> None:
    first = done(db)
    second = extend(db, first)
    assert complete_all(db) == 4
    third = extend(db, second, Addition(seeds=4))
    assert (row(db, third).reused, complete_all(db)) == (12, 4)
    with db.read() as conn:
        origins = [one.reused_from for one in studies.runs(conn, third)]
    assert {origin: origins.count(origin) for origin in set(origins)} == {
        first: 8, second: 4, None: 4
    }  # fmt: skip


def test_what_diverged_is_reused_and_what_failed_is_not(db: Database) -> None:
    old = world.submit(db)
    held = claim(db)
    assert held is not None
    world.complete(db, held, nan_in=[1])
    held = claim(db)
    assert held is not None
    with db.write() as conn:
        bundles.fail(conn, held, code="E_TEST", text="a fault")
    new = extend(db, old)
    assert (row(db, new).reused, created(db, new)["not_reused"]) == (4, "4 failed")
    assert row(db, new).counts == {
        RunState.QUEUED: 8, RunState.FINISHED: 3, RunState.DIVERGED: 1
    }  # fmt: skip
    assert complete_all(db) == 8


def test_another_code_version_is_trained_again_and_said(db: Database) -> None:
    old = done(db)
    with db.write() as conn:
        of_first = attempt.c.bundle_id == studies.runs(conn, old)[0].bundle_id
        conn.execute(update(attempt).where(of_first).values(code_version="0.0.9"))
    new = extend(db, old)
    said = f"4 trained by muscope 0.0.9, this is {__version__}"
    assert (row(db, new).reused, created(db, new)["not_reused"]) == (4, said)


def test_runs_of_another_spec_are_not_reused(db: Database) -> None:
    old = done(db)
    with db.write() as conn:  # as a version with other digests would have left it
        first = studies.runs(conn, old)[0].id
        conn.execute(update(run).where(run.c.id == first).values(spec_digest="0" * 64))
    new = extend(db, old)
    assert (row(db, new).reused, created(db, new)["not_reused"]) == (7, "1 differ in their spec")


def test_of_a_cancelled_study_what_it_had_trained_is_reused(db: Database) -> None:
    old = world.submit(db)
    held = claim(db)
    assert held is not None
    world.complete(db, held)
    with db.write() as conn:
        studies.cancel(conn, old)
    new = extend(db, old)
    assert (row(db, new).reused, created(db, new)["not_reused"]) == (4, "4 cancelled")
    assert complete_all(db) == 8


def test_a_study_that_still_runs_is_not_extended(db: Database) -> None:
    old = world.submit(db)
    with pytest.raises(reuse.StillRuns, match=f"study {old} still runs; wait until it has ended"):
        extend(db, old)
    held = claim(db)
    assert held is not None
    with pytest.raises(reuse.StillRuns):
        extend(db, old)


def test_a_study_that_is_not_there_is_not_extended(db: Database) -> None:
    spec = world.small_spec()
    with pytest.raises(reuse.NoSuchStudy, match="there is no study 'nobody' here to extend"):
        world.submit(db, grown(spec, "nobody", SEEDS))
    old = done(db)
    with db.write() as conn:
        conn.execute(update(study).where(study.c.id == old).values(intent=StudyIntent.DELETED))
    with pytest.raises(reuse.NoSuchStudy):
        extend(db, old)


def test_a_spec_that_drops_a_width_is_not_an_extension(db: Database) -> None:
    old = done(db)
    spec = world.small_spec(widths=(8, 32), seeds=3).model_copy(update={"extends": old})
    with pytest.raises(NotGrown, match="has 16 too, and an extension drops nothing; add it"):
        world.submit(db, spec)


def test_two_clicks_give_one_study(db: Database) -> None:
    old = done(db)
    spec = grown(row(db, old).spec, old, SEEDS)
    answers: list[tuple[str, bool]] = []
    start = threading.Barrier(4)

    def click() -> None:
        start.wait()
        with db.write() as conn:
            answers.append(studies.create(conn, spec, plan.plan(spec), idempotency_key="extend"))

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({study_id for study_id, _ in answers}) == 1
    assert sorted(is_new for _, is_new in answers) == [False, False, False, True]
    with db.read() as conn:
        assert [found for found, _ in reuse.extensions(conn, old)] == [answers[0][0]]


def test_the_same_addition_in_other_words_is_the_same_study(db: Database) -> None:
    """By no key, and by keys of their own: what the verdict advised, and what somebody typed."""
    old = done(db)
    first = extend(db, old)
    assert extend(db, old) == first
    spec = grown(row(db, old).spec, old, SEEDS)
    with db.write() as conn:
        answer = studies.create(conn, spec, plan.plan(spec), idempotency_key="another")
        assert answer == (first, False)
    assert extend(db, old, Addition(seeds=4)) != first


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_an_addition_that_came_to_nothing_can_be_asked_for_again(
    db: Database, state: RunState
) -> None:
    old = done(db)
    first = extend(db, old)
    if state is RunState.CANCELLED:
        with db.write() as conn:
            studies.cancel(conn, first)
    else:
        found = claim(db)
        assert found is not None
        with db.write() as conn:
            bundles.fail(conn, found, code="E_LAB", text="no")
    assert extend(db, old) != first


def test_runs_that_another_study_reads_cannot_be_removed(db: Database) -> None:
    """Deleting as a whole transaction: the measurements are there again when it is refused."""
    old = done(db)
    new = extend(db, old)
    complete_all(db)
    with db.read() as conn:
        before = measurements.samples(conn, new)
        own = [one.id for one in studies.runs(conn, old)]
        assert reuse.holds_back(conn, old) == [new]
        assert reuse.holds_back(conn, new) == []

    def purge() -> None:
        with db.write() as conn:
            conn.execute(delete(measurement).where(measurement.c.run_id.in_(own)))
            conn.execute(delete(run).where(run.c.id.in_(own)))

    with pytest.raises(IntegrityError):
        purge()
    with db.read() as conn:
        assert measurements.samples(conn, new) == before


def test_a_study_in_the_trash_is_read_all_the_same(db: Database) -> None:
    old = done(db)
    new = extend(db, old)
    with db.write() as conn:
        before = measurements.samples(conn, new)
        conn.execute(update(study).where(study.c.id == old).values(deleted_at=1.0))
        assert measurements.samples(conn, new) == before


def test_the_budget_names_what_is_reused_and_the_environment_knows_it(db: Database) -> None:
    old = done(db)
    with db.write() as conn:
        conn.execute(update(attempt).values(device="cpu", torch_version="1", data_digest="ab"))
    new = extend(db, old)
    with db.read() as conn:
        found = budgets.of_study(conn, new)
        assert attempts.surroundings(conn, new) == attempts.surroundings(conn, old) != []
    assert [(one.number, one.reused, one.runs) for one in found] == [
        (1, False, 2), (2, False, 2), (3, True, 4), (4, True, 4)
    ]  # fmt: skip


def test_losses_of_reused_runs_are_read_where_they_are(db: Database) -> None:
    old = world.submit(db, test_staging.transfer_spec(search="full"))
    while (held := claim(db)) is not None:
        test_staging.complete(db, held)
    new = extend(db, old, Addition(octaves=(4.0,)))
    with db.read() as conn:
        assert losses.trials(conn, new) == losses.trials(conn, old)
        assert len(losses.trials(conn, new)) == 2 * 2 * 13
    assert row(db, new).counts[RunState.QUEUED] == 2 * 2


def test_a_search_that_is_extended_asks_only_for_what_was_not_tried(db: Database) -> None:
    def to_the_end(study_id: str) -> int:
        trained = 0
        while True:
            while (held := claim(db)) is not None:
                trained += len(held.members)
                test_staging.complete(db, held)
            if staging.advance(db, study_id) is None:
                return trained

    spec = test_staging.transfer_spec()
    old = world.submit(db, spec)
    tried = to_the_end(old)
    new = extend(db, old, Addition(widths=(32,)))
    assert row(db, new).state is StudyState.RUNNING  # its first stage was trained before
    trained = to_the_end(new)
    found = row(db, new)
    assert (found.state, found.reused) == (StudyState.FINISHED, tried)
    alone = world.submit(db, found.spec.model_copy(update={"extends": None}))
    assert to_the_end(alone) == tried + trained
    with db.read() as conn:
        assert losses.trials(conn, new) == losses.trials(conn, alone)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE run SET digest = 'x' WHERE reuses IS NOT NULL",
        "UPDATE run SET spec_digest = 'x' WHERE reuses IS NOT NULL",
        "UPDATE study SET extends = NULL",
    ],
)
def test_the_doctor_finds_a_run_that_does_not_say_what_it_reuses(
    database: Database, damage: str
) -> None:
    extend(database, done(database))
    with database.write() as conn:
        conn.execute(text(damage))
        assert "says the same of itself in both" in "\n".join(doctor.violations(conn))
