"""Studies that record more than activations: what page, figure, CSV and JSON show of it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from muscope.recording import STATISTICS, Record
from muscope.records import Values
from muscope.storage import measurements, studies, verdicts
from muscope.storage.database import Database, open_database
from muscope.verdicts.judge import judge
from muscope.vocabulary import Statistic, TensorKind
from muscope_server import forms, urls
from tests.server import measured
from tests.server.conftest import fresh
from tests.server.running import running
from tests.server.soup import Soup


def study_of(database: Database, record: Record) -> str:
    """A study with rows of all its kinds, judged by the judge."""
    spec = measured.small().model_copy(update={"record": record})
    study_id = measured.finished(database, spec)
    with database.write() as conn:
        samples = measurements.samples(conn, study_id)
        counts = studies.runs_judged(conn, study_id)
        verdicts.save(conn, study_id, judge(spec, samples, runs_judged=counts, final=True))
    return study_id


@pytest.fixture(scope="module")
def visitor(
    template_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, str]]:
    """Somebody who is in, and a study that recorded everything."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("kinds"))
    with running(settings) as server, server.browser() as client:
        database = open_database(settings)
        yield client, study_of(database, "full")
        database.close()


def soup(visitor: tuple[httpx.Client, str], **view: str) -> Soup:
    client, study_id = visitor
    return Soup(client.get(urls.study(study_id, **view)).raise_for_status().text)


def test_growth_of_a_contribution_is_in_the_verdict(visitor: tuple[httpx.Client, str]) -> None:
    page = soup(visitor)
    assert "grows in 6 of 6 tensors" in page.text, "three activations, three weights"
    assert "contribution of weights" in soup(visitor, kind="weight").text


@pytest.mark.parametrize("kind", TensorKind)
def test_every_kind_has_a_table_and_a_figure_of_every_statistic(
    visitor: tuple[httpx.Client, str], kind: TensorKind
) -> None:
    for statistic in STATISTICS["full"][kind]:
        view = urls.shown(kind, statistic)
        assert "exponent of width" in soup(visitor, **view).text
        page = soup(visitor, tab="coordinate-check", **view)
        for url in page.figures:
            assert visitor[0].get(url).json()["layout"]["meta"]["yTitle"]


def test_a_statistic_that_a_kind_lacks_gives_way_to_its_first(
    visitor: tuple[httpx.Client, str],
) -> None:
    assert "size (l1) of updates" in soup(visitor, kind="update", statistic="change").text


@pytest.mark.parametrize("tab", ["verdict", "coordinate-check"])
def test_a_choice_is_shown_without_a_button_wherever_there_is_one(
    visitor: tuple[httpx.Client, str], tab: str
) -> None:
    page = visitor[0].get(urls.study(visitor[1], tab=tab)).raise_for_status().text
    assert 'id="kind" name="kind" data-submit' in page
    assert "js/choices.js" in page


def test_sizes_of_weights_carry_no_verdict(visitor: tuple[httpx.Client, str]) -> None:
    table = soup(visitor, kind="gradient", statistic="l1")
    assert "verdict over" not in table.text


def test_csv_and_figure_have_the_same_numbers(visitor: tuple[httpx.Client, str]) -> None:
    client, study_id = visitor
    rows = list(csv.DictReader(io.StringIO(client.get(urls.measurements(study_id)).text)))
    assert tuple(rows[0])[9:] == Values._fields == tuple(Statistic)
    assert {row["kind"] for row in rows} == set(TensorKind)
    variant = next(row["variant"] for row in rows if "-sp-" in row["variant"])
    at = {"variant": variant, "kind": "weight", "tensor": "readout", "step": "2"}
    found = [row for row in rows if at.items() <= row.items()]
    by_width: dict[int, list[float]] = {}
    for row in found:
        by_width.setdefault(int(row["width"]), []).append(float(row["contribution"]))
    view = urls.shown("weight", "contribution", "readout")
    figure = client.get(urls.figure(study_id, variant=variant, **view)).json()
    *_, drawn = (trace for trace in figure["data"] if trace.get("name") == "output")
    points = dict(zip(drawn["x"], drawn["y"], strict=True))
    assert {width: points[width] for width in by_width} == pytest.approx(
        {width: sum(values) / len(values) for width, values in by_width.items()}
    )


def test_the_json_of_the_verdicts_names_the_kind(visitor: tuple[httpx.Client, str]) -> None:
    client, study_id = visitor
    found = client.get(f"{urls.api_study(study_id)}/verdicts").json()["verdicts"][0]
    assert {cell["kind"] for cell in found["cells"]} == set(TensorKind)
    assert {tensor["kind"] for tensor in found["tensors"]} == {"activation", "weight"}


def test_the_report_shows_contributions_too(visitor: tuple[httpx.Client, str]) -> None:
    client, study_id = visitor
    text = client.get(urls.report(study_id)).text
    assert text.count("contribution of weights") >= 4, "2 charts, 2 tables"


def test_the_form_offers_every_choice_and_gives_it_to_the_spec() -> None:
    assert ["losses", *forms.RECORDS] == list(STATISTICS)  # what every study records anyway
    values = forms.from_spec(measured.small())
    for record in forms.RECORDS:
        assert forms.parse({**values, "record": record}).record == record
    with pytest.raises(forms.FormErrors) as raised:
        forms.parse({**values, "record": "everything"})
    assert list(raised.value.errors) == ["record"]
