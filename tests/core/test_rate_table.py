"""The tables of a learning-rate study: what a cell that is no number says."""

import io
import math
from csv import DictReader

import pytest

from muscope import plan
from muscope.plots import lr_transfer
from muscope.reports import csv, rate_table
from muscope.spec import StudySpec
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial, of_run
from tests.core.test_transfer import spec, trials


@pytest.fixture
def study() -> StudySpec:
    return spec(widths=(32, 64), seeds=2)


def test_a_diverged_cell_is_named_and_one_that_was_not_tried_too(study: StudySpec) -> None:
    found = [
        trial._replace(loss=math.inf if trial.octave == 2 else trial.loss)
        for trial in trials(study, drift=0.0)
        if (trial.width, trial.octave) != (64, -2)
    ]
    (judged,) = judge(study, found, runs_judged={}, final=True)
    narrow, wide = rate_table.losses(judged).rows
    assert narrow.losses[-1].words == "2 of 2 diverged"
    assert wide.losses[0].words == "not tried"
    assert [loss.is_best for loss in narrow.losses].count(True) == 1


def test_what_was_stopped_early_has_not_diverged(study: StudySpec) -> None:
    found = [
        trial._replace(loss=math.inf, stopped=trial.seed == 0) if trial.octave == 2 else trial
        for trial in trials(study, drift=0.0)
    ]
    (judged,) = judge(study, found, runs_judged={}, final=True)
    (words,) = {row.losses[-1].words for row in rate_table.losses(judged).rows}
    assert words == "1 of 2 diverged, 1 of 2 stopped early"
    cells = [one.cells[-1] for one in judged.optima]
    assert {(cell.diverged, cell.stopped, cell.loss) for cell in cells} == {(1, 1, None)}
    assert "5 rates tried, 1 diverged" in lr_transfer.summary(judged)


def test_a_run_that_was_stopped_early_is_told_from_one_that_diverged_in_the_csv(
    study: StudySpec,
) -> None:
    run = next(plan.runs(study)).model_copy(update={"steps": 40})
    lost = of_run(run, math.inf, start=4.0, train_loss=None, step=40)
    ended_early = of_run(
        run, math.inf, start=4.0, train_loss=3.5, stopped=True, step=20, at_step=3.25
    )
    rows = list(DictReader(io.StringIO("".join(csv.losses(study, [lost, ended_early])))))
    names = ("state", "loss", "step", "steps")
    assert [[row[name] for name in names] for row in rows] == [
        ["diverged", "inf", "40", "40"],
        ["skipped", "3.25", "20", "40"],
    ]


def test_a_run_is_a_line_of_the_csv_with_its_own_rate(study: StudySpec) -> None:
    first = plan.runs(study)
    run = next(iter(first))
    trial = Trial(run.variant.key, run.width, run.depth, 1.0, run.seed, 2.5, 4.0)
    _, line = csv.losses(study, [trial])
    rate = repr(run.variant.optimizer.learning_rate * 2)
    assert line.split(",")[3:] == [
        "1.0", rate, "0", "2.5", "4.0", "", "", "", "", "finished", "\r\n",
    ]  # fmt: skip


def test_a_run_of_another_length_says_so_in_the_csv_with_both_its_losses(study: StudySpec) -> None:
    run = next(plan.runs(study)).model_copy(update={"sequence_length": 16, "steps": 40})
    header, line = csv.losses(study, [of_run(run, 2.5, start=4.0, train_loss=2.75)])
    assert header.endswith("loss,start,train_loss,batch_size,sequence_length,steps,state,step\r\n")
    assert line.endswith("2.5,4.0,2.75,,16,40,finished,\r\n")
