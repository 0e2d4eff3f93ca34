"""Published learning rates over our figures: marked as such, and only where they belong."""

import json
import math

import pytest

from muscope import plan, presets
from muscope.plots import lr_transfer, optima, published_rates
from muscope.presets import PRESETS, PublishedRates
from muscope.presets.published import Curve
from muscope.reports import published_table
from muscope.spec import StudySpec
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import of_run
from muscope.verdicts.transfer.types import TransferJudgement

VALLEY: Curve = {-8.0: 3.2, -6.0: 3.0, -4.0: 3.2}
EDGE: Curve = {-8.0: 3.0, -6.0: 3.1, -4.0: 3.2}
SOURCE = PublishedRates("A row, a source", "a source", {128: VALLEY, 512: EDGE})


def study(name: str) -> StudySpec:
    (spec,) = PRESETS[name].studies("laptop")
    return spec


def measured(spec: StudySpec) -> TransferJudgement:
    """As if every width were best at the optimizer's own rate."""
    trials = [
        of_run(run, 2.0 + run.octave**2, start=None, train_loss=None) for run in plan.runs(spec)
    ]
    return judge(spec, trials, runs_judged={}, final=True)[0]


def test_published_optima_are_laid_over_ours_and_change_nothing_of_it() -> None:
    own = lr_transfer.figure(measured(study("lingle-sp")))
    drawn = published_rates.over_losses(own, SOURCE)
    *before, last = drawn["data"]
    assert before == own["data"]
    assert (last["name"], last["x"]) == ("published optima", [pytest.approx(-6.0)])
    assert "Width 512: best at 2^−8.00, the edge of its grid." in drawn["layout"]["meta"]["summary"]
    json.dumps(drawn, allow_nan=False)


def test_over_width_a_published_optimum_stands_at_its_own_width() -> None:
    own = optima.figure(measured(study("lingle-sp")))
    drawn = published_rates.over_optima(own, SOURCE)
    assert drawn["data"][-1]["x"] == [128]
    assert set(drawn["layout"]["xaxis"]["tickvals"]) == {32, 64, 128}
    assert published_rates.over_optima(own, None) == own


def test_an_axis_holds_what_was_published_far_from_what_was_measured() -> None:
    own = optima.figure(measured(study("lingle-sp")))
    far = PublishedRates("A row", "a source", {4096: {-20.0: 3.2, -18.0: 3.0, -16.0: 3.2}})
    layout = published_rates.over_optima(own, far)["layout"]
    assert layout["xaxis"]["range"][1] > math.log10(4096)
    assert layout["yaxis"]["range"][0] < -18


def test_every_published_optimum_is_within_the_figure_of_published_losses() -> None:
    for preset in PRESETS.values():
        if preset.rates is not None and preset.rates.losses:
            drawn = published_rates.figure(preset.rates)
            low, high = drawn["layout"]["yaxis"]["range"]
            best = [min(curve.values()) for curve in preset.rates.losses.values()]
            assert low < min(best)
            assert max(best) < high


def test_where_nothing_was_measured_nothing_is_laid_over_it() -> None:
    empty = lr_transfer.figure(None)
    assert published_rates.over_losses(empty, SOURCE) == empty


def test_published_losses_have_a_figure_of_their_own_in_dashes() -> None:
    drawn = published_rates.figure(SOURCE)
    lines = [trace for trace in drawn["data"] if trace["mode"] == "lines+markers"]
    assert [trace["name"] for trace in lines] == ["published, width 128", "published, width 512"]
    assert {trace["line"]["dash"] for trace in lines} == {"dash"}
    json.dumps(drawn, allow_nan=False)


def test_the_table_has_the_optimum_by_our_code_and_the_best_cell_marked() -> None:
    table = published_table.table(SOURCE)
    first, second = table.rows
    assert (first.optimum, second.optimum) == ("−6.00", "not bracketed")
    assert [cell.words for cell in second.cells if cell.is_best] == ["3.000"]
    assert "criterion): no." in table.sentence


def test_one_rate_belongs_to_the_parametrization_that_it_was_printed_for() -> None:
    spec = study("cerebras-gpt")
    found = {
        variant.parametrization.name: presets.published_rates(spec, variant.key)
        for variant in spec.variants
    }
    assert found["sp"] is None
    assert found["cerebras"] is not None
    assert math.log2(found["cerebras"].rate or 1) == pytest.approx(-7.38, abs=0.01)  # 6e-3


@pytest.mark.parametrize("name", [None, "gone-since", "transfer-demo"])
def test_a_study_without_published_rates_has_none(name: str | None) -> None:
    spec = study("transfer-demo").model_copy(update={"preset": name})
    assert presets.published_rates(spec, spec.variants[0].key) is None
