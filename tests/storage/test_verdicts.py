"""Verdicts: replaced as a whole, final ones kept."""

from muscope import plan
from muscope.spec import CheckSpec, StudySpec
from muscope.storage import events, losses, studies, verdicts
from muscope.storage.database import Database
from muscope.verdicts import judge
from muscope.verdicts.transfer import judge as transfer
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict
from tests.storage import world
from tests.storage.test_staging import transfer_spec


def judged(
    spec: StudySpec, verdict: CellVerdict, *, final: bool, runs: int = 4
) -> list[VariantVerdict]:
    return [
        VariantVerdict(
            variant=variant.key,
            label=variant.label,
            verdict=verdict,
            final=final,
            runs_judged=runs,
            runs_planned=4,
            tensors=(),
            cells=(),
        )
        for variant in reversed(spec.variants)
    ]


def test_verdicts_come_back_in_the_order_of_the_spec(db: Database) -> None:
    spec = world.small_spec()
    study_id = world.submit(db, spec)
    given = judged(spec, CellVerdict.FLAT, final=False)
    with db.write() as conn:
        verdicts.save(conn, study_id, given)
        verdicts.save(conn, study_id, given)
        assert verdicts.of_study(conn, study_id) == given[::-1]
        badges = verdicts.of_studies(conn, [study_id, "other"])
        last = events.since(conn, study_id, 0)[-1]
    assert [badge.variant for badge in badges[study_id]] == [v.key for v in spec.variants]
    assert badges["other"] == []
    assert (last.kind, last.data) == ("verdict", {"final": False})


def test_a_final_verdict_does_not_give_way_to_a_provisional_one(db: Database) -> None:
    spec = world.small_spec()
    study_id = world.submit(db, spec)
    with db.write() as conn:
        verdicts.save(conn, study_id, judged(spec, CellVerdict.FLAT, final=True))
        verdicts.save(conn, study_id, judged(spec, CellVerdict.GROWS, final=False))
        assert {entry.verdict for entry in verdicts.of_study(conn, study_id)} == {CellVerdict.FLAT}


def test_a_verdict_on_more_runs_does_not_give_way_to_one_on_fewer(db: Database) -> None:
    spec = world.small_spec()
    study_id = world.submit(db, spec)
    with db.write() as conn:
        verdicts.save(conn, study_id, judged(spec, CellVerdict.FLAT, final=False, runs=3))
        verdicts.save(conn, study_id, judged(spec, CellVerdict.GROWS, final=False, runs=2))
        assert {entry.verdict for entry in verdicts.of_study(conn, study_id)} == {CellVerdict.FLAT}


def test_a_study_whose_last_results_no_verdict_counts_is_unjudged(db: Database) -> None:
    spec = world.small_spec(widths=(8, 16, 32))
    study_id = world.submit(db, spec)
    for runs in (2, 4):  # of each of two variants, a bundle at a time
        world.complete(db, world.claim(db))
        with db.write() as conn:
            assert verdicts.unjudged(conn) == [study_id]
            verdicts.save(conn, study_id, judged(spec, CellVerdict.FLAT, final=False, runs=runs))
            assert verdicts.unjudged(conn) == []


def test_a_study_that_ended_without_a_final_verdict_is_unjudged(db: Database) -> None:
    spec = world.small_spec()
    world.submit(db)  # has not ended
    cancelled = world.submit(db)  # will end without rows
    ended = world.submit(db, spec)
    with db.write() as conn:
        studies.cancel(conn, cancelled)
    while (held := world.try_claim(db)) is not None:
        if held.study_id == ended:
            world.complete(db, held)
    with db.write() as conn:
        assert verdicts.unjudged(conn) == [ended]
        verdicts.save(conn, ended, judged(spec, CellVerdict.FLAT, final=False))
        assert verdicts.unjudged(conn) == [ended]
        verdicts.save(conn, ended, judged(spec, CellVerdict.FLAT, final=True))
        assert verdicts.unjudged(conn) == []


def test_a_study_that_checks_and_sweeps_has_a_verdict_of_each_kind(db: Database) -> None:
    spec = transfer_spec().model_copy(update={"check": CheckSpec(seeds=2, steps=4)})
    with db.write() as conn:
        study_id, _ = studies.create(conn, spec, plan.plan(spec))
        swept = transfer.judge(spec.sweep or spec, [], runs_judged={}, final=False)
        checked = judge.judge(spec.coordinate_check or spec, [], runs_judged={}, final=True)
        verdicts.save(conn, study_id, [*checked, *swept])
    with db.read() as conn:
        assert verdicts.of_study(conn, study_id) == list(checked)
        assert verdicts.of_transfer(conn, study_id) == list(swept)
        found = verdicts.of_studies(conn, [study_id])[study_id]
        runs = studies.runs_judged(conn, study_id)
        of_check = [run for run in studies.runs(conn, study_id) if run.record != "losses"]
        assert studies.has_open_runs(conn, study_id, losses.is_of_sweep())
        assert studies.has_open_runs(conn, study_id, ~losses.is_of_sweep())
    assert len(of_check) == 2 * len(spec.widths) * len(spec.variants)
    assert [(one.kind, one.final) for one in found] == [
        ("coordinate_check", True),
        ("lr_transfer", False),
    ]
    assert runs == {}
