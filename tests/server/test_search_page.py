"""A hyperparameter search in pages, figures, CSV, JSON and report."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from muscope.cli import submit
from muscope.cli.remote import Remote
from muscope.reports.html import spec_yaml
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import verdicts
from muscope.storage.database import open_database
from muscope.tuning import Tuning
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope_server import forms, urls
from tests.core.searches import bowl, carried_out
from tests.server import measured
from tests.server.conftest import fresh
from tests.server.running import Running, running
from tests.server.soup import Soup
from tests.server.test_submit import run

RANGES = {"embedding_multiplier": (-2.0, 2.0), "readout_multiplier": (-2.0, 2.0)}


def search() -> StudySpec:
    """µP over its rate, its embedding and its readout, two at a time."""
    adam = OptimizerSpec(name="adamw", learning_rate=2**-6)
    return StudySpec(
        name="Which set?",
        kind="hyperparameter_search",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(adam,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(32, 64),
        octaves=(-1.0, 0.0, 1.0),
        seeds=3,
        steps=100,
        tuning=Tuning(
            method="pairwise",
            ranges=RANGES,
            keep=(5,),
        ),
    )


@pytest.fixture(scope="module")
def visitor(
    template_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, str, SearchJudgement]]:
    """Somebody who is in, and a judged search."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("search"))
    with running(settings) as server, server.browser() as client:
        database = open_database(settings)
        spec = search()
        study_id = measured.submitted(database, spec)
        _, judged = carried_out(spec, bowl)
        with database.write() as conn:
            verdicts.save(conn, study_id, (judged,))
        yield client, study_id, judged
        database.close()


Visitor = tuple[httpx.Client, str, SearchJudgement]


def test_the_page_names_the_set_to_take_and_what_stands_against_it(visitor: Visitor) -> None:
    client, study_id, judged = visitor
    text = Soup(client.get(urls.study(study_id)).raise_for_status().text).text
    assert judged.winning is not None
    assert f"{judged.winning.multipliers['embedding_multiplier']:.4g}" in text
    assert "holds" in text
    assert "with a correlation of" in text
    assert "at the end of what was tried" in text
    assert "Transfer error" in text


@pytest.mark.parametrize(
    "view", [{"tab": "runs"}, {"tab": "report"}, {"part": "header"}, {"part": "search"}]
)
def test_every_tab_and_part_answers(visitor: Visitor, view: dict[str, str]) -> None:
    client, study_id, _ = visitor
    client.get(urls.study(study_id, **view)).raise_for_status()


def test_a_clone_keeps_the_rule(visitor: Visitor) -> None:
    client, study_id, _ = visitor
    page = client.get(urls.clone(study_id)).raise_for_status().text
    assert "embedding_multiplier -2 to 2, readout_multiplier -2 to 2" in page


@pytest.mark.parametrize("shown", ["values", "pairs", "widths"])
def test_a_figure_has_a_panel_for_each_and_only_numbers(visitor: Visitor, shown: str) -> None:
    client, study_id, judged = visitor
    answer = client.get(urls.search_figure(study_id, judged.variant, shown)).raise_for_status()
    figure = json.loads(answer.text, parse_constant=pytest.fail)
    assert figure["layout"]["meta"]["panels"] == {"values": 3, "pairs": 3, "widths": 1}[shown]
    assert figure["data"]


def test_csv_and_json_say_what_was_judged(visitor: Visitor) -> None:
    client, study_id, judged = visitor
    text = client.get(urls.sets(study_id)).raise_for_status().text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == sum(len(one.widths) for one in judged.sets)
    assert {row["set"] for row in rows if row["is_winner"] == "True"} == {str(judged.winner)}
    said = client.get(f"{urls.api_study(study_id)}/verdicts").raise_for_status().json()
    assert SearchJudgement.model_validate(said["searches"][0]) == judged
    assert said["sentences"] == {judged.variant: judged.sentence()}
    (listed,) = client.get("/api/v1/studies").raise_for_status().json()["studies"]
    assert [one["verdict"] for one in listed["verdicts"]] == ["holds"]


def test_the_report_has_the_sets_and_their_figures(visitor: Visitor) -> None:
    client, study_id, judged = visitor
    report = client.get(urls.report(study_id)).raise_for_status().text
    assert judged.sentence() in Soup(report).text
    assert report.count('data-figure-of="search-') == 3


def test_a_study_of_another_kind_has_no_such_figure(visitor: Visitor) -> None:
    client, study_id, _ = visitor
    assert client.get(urls.search_figure(study_id, "another", "values")).status_code == 404
    assert client.get(urls.rates_figure(study_id, visitor[2].variant)).status_code == 404


def test_the_form_says_all_of_a_search() -> None:
    for spec in (search(), sampled()):
        values = forms.filled(spec).values
        assert "yaml" not in values
        assert forms.parse(values) == spec


def sampled() -> StudySpec:
    """The same drawn by a sampler."""
    tuning = Tuning(method="halton", samples=12, draw=3, ranges=RANGES, keep=(5,))
    return search().model_copy(update={"tuning": tuning})


def test_a_range_that_is_none_is_said_beside_its_field() -> None:
    values = {**forms.filled(search()).values, "tuning.ranges": "readout_multiplier from 1"}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(values)
    assert "name lowest to highest" in caught.value.errors["tuning.ranges"]


def test_the_verdict_of_a_search_is_printed(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = server.app.state.database
    _, judged = carried_out(search(), bowl)

    def train(remote: Remote, study_id: str) -> str:
        with database.write() as conn:
            verdicts.save(conn, study_id, (judged,))
        return "finished"

    monkeypatch.setattr(submit, "_follow", train)
    path = tmp_path / "search.yaml"
    path.write_text(spec_yaml(search()))
    result = run(str(path), "--url", server.origin, "--token", server.token, "--wait")
    assert result.exit_code == 0, result.output
    assert f"holds: {judged.sentence()}" in " ".join(result.output.split())
