"""The tables of a learning-rate study: what a cell that is no number says."""

import math

import pytest

from muscope import plan
from muscope.reports import csv, rate_table
from muscope.spec import StudySpec
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial
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


def test_a_run_is_a_line_of_the_csv_with_its_own_rate(study: StudySpec) -> None:
    first = plan.runs(study)
    run = next(iter(first))
    trial = Trial(run.variant.key, run.width, run.depth, 1.0, run.seed, 2.5, 4.0)
    _, line = csv.losses(study, [trial])
    assert line.split(",")[3:] == ["1.0", repr(run.variant.optimizer.learning_rate * 2),
                                   "0", "2.5", "4.0\r\n"]  # fmt: skip
