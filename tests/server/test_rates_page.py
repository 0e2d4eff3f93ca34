"""A learning-rate study in pages, figure and JSON: its optima, and what is not bracketed."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from muscope import plan
from muscope.plots import lr_transfer
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import verdicts
from muscope.storage.database import open_database
from muscope.verdicts.transfer import judge
from muscope.verdicts.transfer.losses import Trial, of_run
from muscope_server import forms, urls
from tests.server import measured
from tests.server.conftest import fresh
from tests.server.running import running
from tests.server.soup import Soup


def sweep() -> StudySpec:
    """SP, whose optimum moves out of the grid, and µP, whose optimum stays."""
    sgd = OptimizerSpec(name="sgd", learning_rate=2**-4)
    return StudySpec(
        name="Does the rate stay?",
        kind="lr_transfer",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(sgd,)),),
        parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
        widths=(32, 64),
        octaves=(-1.0, 0.0, 1.0),
        seeds=2,
        steps=2,
        search="adaptive",
    )


def trials(spec: StudySpec) -> list[Trial]:
    sp = spec.variants[0].key
    return [
        Trial(
            run.variant.key,
            run.width,
            run.depth,
            run.octave,
            run.seed,
            2.0 + (run.octave + (run.variant.key == sp) * (run.width > 32)) ** 2,
        )
        for run in plan.runs(spec)
    ]


@pytest.fixture(scope="module")
def visitor(
    template_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, str]]:
    """Somebody who is in, and a judged study."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("rates"))
    with running(settings) as server, server.browser() as client:
        database = open_database(settings)
        spec = sweep()
        study_id = measured.submitted(database, spec)
        with database.write() as conn:
            judged = judge.judge(spec, trials(spec), runs_judged={}, final=True)
            verdicts.save(conn, study_id, judged)
        yield client, study_id
        database.close()


def test_the_page_shows_optima_and_says_where_there_is_none(
    visitor: tuple[httpx.Client, str],
) -> None:
    client, study_id = visitor
    text = Soup(client.get(urls.study(study_id)).raise_for_status().text).text
    assert "not bracketed" in text
    assert "no optimum at width 64" in text
    assert "−4.00" in text, "log2 of the rate, not the octave"


@pytest.mark.parametrize(
    "view", [{"tab": "runs"}, {"tab": "report"}, {"part": "header"}, {"part": "rates"}]
)
def test_every_tab_and_part_of_a_coordinate_check_answers_here_too(
    visitor: tuple[httpx.Client, str], view: dict[str, str]
) -> None:
    client, study_id = visitor
    client.get(urls.study(study_id, **view)).raise_for_status()


def test_the_figure_has_a_line_per_width_and_no_number_that_json_lacks(
    visitor: tuple[httpx.Client, str],
) -> None:
    client, study_id = visitor
    variant = sweep().variants[1].key
    figure = client.get(urls.rates_figure(study_id, variant)).raise_for_status().json()
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines+markers"]
    assert [trace["x"] for trace in lines] == [[-5.0, -4.0, -3.0]] * 2
    assert "optimum 2^−4.00" in figure["layout"]["meta"]["summary"]
    assert client.get(urls.rates_figure(study_id, "nobody")).status_code == 404


def test_before_a_verdict_the_page_names_no_empty_tolerance(
    template_dir: Path, tmp_path: Path
) -> None:
    settings = fresh(template_dir, tmp_path)
    with running(settings) as server, server.browser() as client:
        database = open_database(settings)
        text = client.get(urls.study(measured.submitted(database, sweep()))).text
        database.close()
    assert "± octaves" not in Soup(text).text


def test_neither_kind_of_study_has_the_tab_or_the_figure_of_the_other(
    visitor: tuple[httpx.Client, str], template_dir: Path, tmp_path: Path
) -> None:
    client, study_id = visitor
    variant = sweep().variants[1].key
    assert client.get(urls.figure(study_id, variant=variant)).status_code == 404
    settings = fresh(template_dir, tmp_path)
    with running(settings) as server, server.browser() as other:
        database = open_database(settings)
        check_id = measured.finished(database, measured.small("A check"))
        page = other.get(urls.study(check_id, tab="lr-transfer")).raise_for_status().text
        other.get(urls.study(check_id, part="rates")).raise_for_status()
        database.close()
    assert "Loss against learning rate" not in Soup(page).text
    assert "Slopes" in Soup(page).text


def test_nothing_judged_yet_is_an_empty_figure() -> None:
    figure = lr_transfer.figure(None)
    assert (figure["data"], figure["layout"]["meta"]["panels"]) == ([], 0)


def test_the_json_and_the_list_of_studies_tell_the_verdict(
    visitor: tuple[httpx.Client, str],
) -> None:
    client, study_id = visitor
    answer = client.get(f"{urls.api_study(study_id)}/verdicts").raise_for_status().json()
    assert [one["verdict"] for one in answer["transfers"]] == ["not_bracketed", "transfers"]
    assert set(answer["sentences"]) == {variant.key for variant in sweep().variants}
    assert "not bracketed" in Soup(client.get(urls.studies).raise_for_status().text).text


def test_a_learning_rate_study_survives_the_form() -> None:
    values = forms.from_spec(sweep())
    assert forms.parse(values) == sweep()
    assert json.loads(sweep().model_dump_json())["kind"] == "lr_transfer"


def test_what_is_wrong_with_the_rates_is_said_beside_them() -> None:
    values = forms.from_spec(sweep()) | {"octaves": "-1, fast, 1"}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(values)
    assert "a number is needed here" in caught.value.errors["octaves"]


def test_the_table_of_losses_marks_the_best_of_every_width(
    visitor: tuple[httpx.Client, str],
) -> None:
    client, study_id = visitor
    text = client.get(urls.study(study_id)).text
    assert text.count("<strong>2.0000</strong>") == 4  # two variants, two widths
    assert "Lingle's criterion): yes" in Soup(text).text


def test_the_report_has_the_tables_and_the_figure_of_the_page(
    visitor: tuple[httpx.Client, str],
) -> None:
    client, study_id = visitor
    text = client.get(urls.report(study_id)).raise_for_status().text
    assert "Is the best learning rate of a small model still the best one" in text
    assert "no optimum at width 64" in text
    assert text.count("data-figure-of=") == 4  # losses and optima of two variants
    preview = client.get(urls.study(study_id, tab="report")).raise_for_status().text
    assert "no optimum at width 64" in preview


def test_the_losses_of_a_study_without_an_ended_run_are_a_header(
    visitor: tuple[httpx.Client, str],
) -> None:
    client, study_id = visitor
    text = client.get(urls.losses(study_id)).raise_for_status().text
    assert text.startswith("variant,width,depth,octave,learning_rate,seed,loss,start,train_loss,")
    assert text.count("\r\n") == 1


def over_steps() -> StudySpec:
    """µP of a GPT for two numbers of steps, at two depths."""
    gpt = ModelSpec(name="gpt", batch_size=8, options={"head_size": 16})
    sgd = OptimizerSpec(name="sgd", learning_rate=2**-4)
    return StudySpec(
        name="For how long?",
        kind="lr_transfer",
        arms=(Arm(model=gpt, optimizers=(sgd,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(32,),
        depths=(1, 2),
        step_counts=(100, 200),
        octaves=(-1.0, 0.0, 1.0),
        seeds=2,
        held_out=1,
        extend_octaves=2,
    )


def test_a_study_over_other_axes_is_looked_at_over_each(template_dir: Path, tmp_path: Path) -> None:
    spec, settings = over_steps(), fresh(template_dir, tmp_path)
    found = [of_run(r, 2 + r.octave**2, start=9.0, train_loss=2.5) for r in plan.runs(spec)]
    with running(settings) as server, server.browser() as client:
        database = open_database(settings)
        study_id = measured.submitted(database, spec)
        with database.write() as conn:
            verdicts.save(conn, study_id, judge.judge(spec, found, runs_judged={}, final=True))
        pages = {
            axis: client.get(urls.study(study_id, axis=axis)).raise_for_status().text
            for axis in ("", "depth", "steps", "batch_size")
        }
        figures = {
            axis: [
                client.get(url).raise_for_status().json()["layout"] for url in Soup(page).figures
            ]
            for axis, page in pages.items()
        }
        runs = Soup(client.get(urls.study(study_id, tab="runs")).text).text
        database.close()
    assert "variant width depth steps learning rate seed" in runs
    for axis in ("", "depth", "batch_size"):  # what it does not vary is what it asks over
        assert [layout["meta"]["xTitle"] for layout in figures[axis]] == [
            "log₂(learning rate)",
            "depth",
        ]
        assert [note["text"] for note in figures[axis][1]["annotations"]] == [
            "100 steps",
            "200 steps",
        ]
    assert [note["text"] for note in figures["steps"][1]["annotations"]] == ["depth 1", "depth 2"]
    said = Soup(pages["steps"]).text
    assert "best held-out loss training loss there" in said
    assert "Over number of steps at depth 2" in said


def test_a_study_over_other_axes_survives_the_form() -> None:
    assert forms.parse(forms.from_spec(over_steps())) == over_steps()
