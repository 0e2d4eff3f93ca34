"""A study that checks sizes and sweeps rates: each part as if it were alone, both judged."""

import pytest

from muscope import in_process, plan
from muscope.spec import CheckSpec, StudySpec
from muscope.storage import losses, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.doctor import violations
from muscope.verdicts import judge
from muscope.verdicts.transfer import judge as transfer
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import RunState, StudyState
from muscope_worker.execute import TrainingProcess, next_bundle
from tests.worker.studies import submit
from tests.worker.test_stages import state, sweep


def joined() -> StudySpec:
    """The adaptive sweep of an MLP with a check of three seeds."""
    asked = sweep().model_dump() | {"check": CheckSpec(seeds=3, steps=2).model_dump()}
    return StudySpec.model_validate(asked)


def slopes(judged: VariantVerdict) -> list[float]:
    return [cell.slope for cell in judged.cells if cell.slope is not None]


def test_both_parts_are_trained_and_judged_as_if_alone(
    db: Database, process: TrainingProcess
) -> None:
    spec = joined()
    study_id, finals = submit(db, spec), set()
    while next_bundle(process):
        with db.read() as conn:
            found = [*verdicts.of_study(conn, study_id), *verdicts.of_transfer(conn, study_id)]
        finals.add(tuple(one.final for one in found))
    assert (True, False) in finals, "the check is final while the sweep goes on"
    assert (False, True) not in finals
    assert state(db, study_id) is StudyState.FINISHED
    check, alone = spec.parts
    with db.read() as conn:
        assert violations(conn) == []
        (checked,) = verdicts.of_study(conn, study_id)
        (swept,) = verdicts.of_transfer(conn, study_id)
        trials, runs = losses.trials(conn, study_id), studies.runs(conn, study_id)
        assert verdicts.unjudged(conn) == []
    assert checked.final
    assert swept.final
    assert (checked.runs_judged, checked.runs_planned) == (6, 6)
    assert {run.state for run in runs[:6]} == {RunState.FINISHED}, "no check ends as hopeless"
    arrivals = in_process.train(tuple(plan.bundles(plan.runs(check))))
    samples = [sample for arrival in arrivals for sample in arrival.samples]
    (here,) = judge.judge(check, samples, runs_judged={checked.variant: 6}, final=True)
    # a database keeps what float32 gave; 1e-6 for bundles that were stacked otherwise
    assert slopes(checked) == pytest.approx(slopes(here), abs=1e-6)
    *_, (_, known) = in_process.sweep(alone)
    assert len(trials) == len(known)
    (rates,) = transfer.judge(
        alone, known, runs_judged={swept.variant: swept.runs_judged}, final=True
    )
    assert [one.optimum for one in rates.optima] == pytest.approx(
        [one.optimum for one in swept.optima]
    )
