"""The worker judges recorded studies: while they go on, when they end, and when they grow."""

from itertools import pairwise

import pytest

from muscope.records import Sample, Values
from muscope.storage import studies, verdicts
from muscope.storage.database import Database
from muscope.verdicts import recorded
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, Role, TensorKind
from muscope_worker.judgement import catch_up
from tests.storage.recorded import add, batch, begin, opening, whole

WIDTHS = (64, 128, 256, 512)


def judged(db: Database, study_id: str) -> list[VariantVerdict]:
    """The verdicts after whoever looks has judged what is unjudged."""
    with db.read() as conn:
        lacking = verdicts.unjudged(conn)
    for one in lacking:
        catch_up(db, one, patience_s=5)
    with db.read() as conn:
        return verdicts.of_study(conn, study_id)


def record(db: Database, seeds: tuple[int, ...], growth: float, label: str = "mine") -> str:
    places = [(width, seed) for width in WIDTHS for seed in seeds]
    made = (opening(width=width, seed=seed, label=label) for width, seed in places)
    return [whole(db, one, growth=growth) for one in made][-1]


def test_every_variant_is_judged_on_its_own_runs(db: Database) -> None:
    record(db, (0, 40), 0.0, "flat one")
    study_id = record(db, (7, 8, 9), 1.0, "growing one")
    found = {entry.variant: entry for entry in judged(db, study_id)}
    assert found["flat one"].verdict is CellVerdict.FLAT
    assert found["growing one"].verdict is CellVerdict.GROWS
    assert [entry.runs_judged for entry in found.values()] == [8, 12]
    assert all(entry.final for entry in found.values())


def test_a_study_that_grows_after_its_verdict_is_judged_again(db: Database) -> None:
    study_id = record(db, (0, 1), 0.0)
    (first,) = judged(db, study_id)
    assert (first.final, first.runs_judged) == (True, 8)
    record(db, (2,), 0.0)
    (second,) = judged(db, study_id)
    assert (second.final, second.runs_judged) == (True, 12)


def test_a_run_that_begins_while_others_are_judged_is_not_forgotten(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = record(db, (0, 1), 0.0)
    judge, late = recorded.judge, [opening(width=64, seed=2)]

    def judge_late(*args: object, **how: object) -> object:
        if late:
            whole(db, late.pop())
        return judge(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(recorded, "judge", judge_late)
    judged(db, study_id)
    (found,) = judged(db, study_id)
    assert (found.final, found.runs_judged) == (True, 9)


def test_what_goes_on_is_judged_so_far(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "LIVE_S", 0.0)
    for width in WIDTHS:
        for seed in range(3):
            what = opening(width=width, seed=seed)
            study_id = begin(db, what).study_id
            for step in range(2 if width == 512 else 4):
                add(db, what, batch(step, width=width, growth=1.0))
    (found,) = judged(db, study_id)
    assert (found.verdict, found.final) == (CellVerdict.GROWS, False)
    assert {cell.step for cell in found.cells} == {0, 1}
    with db.read() as conn:
        assert studies.get(conn, study_id) is not None
        assert verdicts.unjudged(conn) == []


def test_of_many_steps_the_first_and_ever_sparser_ones_are_judged() -> None:
    samples = [s for width in WIDTHS for s in _steps(width, 1000)]
    found = recorded.judged_steps(samples, 20)
    assert len(found) <= 20
    assert found[:8] == tuple(range(8))
    assert found[-1] == 999
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert gaps == sorted(gaps)


def _steps(width: int, steps: int) -> list[Sample]:
    place = (Role.HIDDEN, TensorKind.ACTIVATION, Values(l1=1.0))
    return [Sample("mine", width, 0, 0, step, "hidden", *place) for step in range(steps)]
