"""A study that could not tell is extended, trained for real: the verdict is that of one study."""

import pytest

from muscope.extension import Addition, grown, recommended
from muscope.spec import StudySpec
from muscope.storage import studies, verdicts
from muscope.storage.database import Database
from muscope.storage.doctor import violations
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import CellVerdict
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import catch_up
from tests.worker.studies import submit, tiny

WIDTHS = (32, 64, 128, 256)
ENOUGH = Addition(seeds=24)
"""Of what is advised no more is promised than how likely it decides."""


def trained(db: Database, process: TrainingProcess, spec: StudySpec) -> str:
    """A study that was trained to its end, and judged."""
    study_id = submit(db, spec)
    catch_up(db, study_id, patience_s=1.0)  # as the supervisors do while it waits
    while next_bundle(process):
        pass
    return study_id


def judged(db: Database, study_id: str) -> list[VariantVerdict]:
    with db.read() as conn:
        return verdicts.of_study(conn, study_id)


def new_runs(db: Database, study_id: str) -> int:
    with db.read() as conn:
        return sum(run.reused_from is None for run in studies.runs(conn, study_id))


def place(cell: Cell) -> tuple[object, ...]:
    return (cell.tensor, cell.kind, cell.depth, cell.step, cell.statistic, cell.seeds, cell.widths)


def assert_same_verdicts(here: list[VariantVerdict], there: list[VariantVerdict]) -> None:
    for ours, theirs in zip(here, there, strict=True):
        assert (ours.variant, ours.verdict, ours.final) == (
            theirs.variant, theirs.verdict, theirs.final
        )  # fmt: skip
        assert ours.runs_judged == theirs.runs_judged == ours.runs_planned
        assert [place(cell) for cell in ours.cells] == [place(cell) for cell in theirs.cells]
        assert [cell.verdict for cell in ours.cells] == [cell.verdict for cell in theirs.cells]
        slopes = [cell.slope for cell in theirs.cells]
        # float32: the members of a bundle are stacked, and here it has fewer
        assert [cell.slope for cell in ours.cells] == pytest.approx(slopes, abs=1e-4)


def test_an_extension_is_judged_as_if_it_had_trained_everything(
    db: Database, process: TrainingProcess
) -> None:
    spec = tiny(widths=WIDTHS, learning_rate=0.05)
    old = trained(db, process, spec)
    before = {one.variant: one.verdict for one in judged(db, old)}
    assert CellVerdict.INCONCLUSIVE in before.values()
    assert recommended(spec, judged(db, old)) is not None
    whole = grown(spec, old, ENOUGH)
    new = trained(db, process, whole)
    assert new_runs(db, new) == whole.run_count - spec.run_count
    alone = trained(db, process, whole.model_copy(update={"extends": None}))
    assert new_runs(db, alone) == whole.run_count

    assert CellVerdict.INCONCLUSIVE not in {one.verdict for one in judged(db, new)}
    assert_same_verdicts(judged(db, new), judged(db, alone))
    with db.read() as conn:
        assert violations(conn) == []


def test_a_study_that_stops_early_goes_on_from_the_looks_it_had(
    db: Database, process: TrainingProcess
) -> None:
    spec = tiny(steps=1, widths=WIDTHS).model_copy(update={"stop_early": True, "seeds": 3})
    old = trained(db, process, spec)
    whole = grown(spec, old, Addition(seeds=12))  # looks after 3, 6 and 12
    new = trained(db, process, whole)
    alone = trained(db, process, whole.model_copy(update={"extends": None}))
    assert new_runs(db, new) == new_runs(db, alone) - spec.run_count
    assert [one.stopped_early for one in judged(db, new)] == [
        one.stopped_early for one in judged(db, alone)
    ]
    assert_same_verdicts(judged(db, new), judged(db, alone))
