"""A study that checks and sweeps, in pages, list, form, JSON and report: both, and why."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from muscope.spec import CheckSpec, StudySpec, canonical_json
from muscope.storage import verdicts
from muscope.storage.database import open_database
from muscope.verdicts.transfer import judge
from muscope_server import forms, urls
from tests.core.test_joined import checked, spec, trials
from tests.server import measured
from tests.server.conftest import fresh
from tests.server.running import running
from tests.server.soup import Soup


def drifting() -> StudySpec:
    """µP with decay that MiniCPM's rules leave to the learning rate."""
    data = json.loads(canonical_json(spec(widths=(64, 128, 256), steps=100, check=CheckSpec())))
    data["arms"][0]["optimizers"][0]["options"]["weight_decay"] = 0.1
    data["parametrizations"] = [{"name": "minicpm"}]
    return StudySpec.model_validate_json(json.dumps(data))


@pytest.fixture(scope="module")
def visitor(
    template_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, str, str]]:
    """Somebody who is in, a study whose check passes and whose rate drifts, and its sweep alone."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("joined"))
    with running(settings) as server, server.browser() as client:
        database, study = open_database(settings), drifting()
        alone = study.sweep or study
        swept = judge.judge(alone, trials(study, drift=-0.6), runs_judged={}, final=True)
        both, one = (measured.submitted(database, spec) for spec in (study, alone))
        with database.write() as conn:
            verdicts.save(conn, both, [checked(study, passes=True), *swept])
            verdicts.save(conn, one, swept)
        yield client, both, one
        database.close()


def test_a_sweep_alone_says_its_reasons_beside_its_rates(
    visitor: tuple[httpx.Client, str, str],
) -> None:
    client, _, alone = visitor
    text = Soup(client.get(urls.study(alone)).raise_for_status().text).text
    assert "Known reasons" in text
    assert "Weight decay is multiplied by a learning rate" in text
    assert "Add a coordinate check" in text


def test_the_page_opens_on_what_both_say_with_the_reasons_that_apply(
    visitor: tuple[httpx.Client, str, str],
) -> None:
    client, study_id, _ = visitor
    page = Soup(client.get(urls.study(study_id)).raise_for_status().text)
    assert "The coordinate check passes, and yet the best learning rate moves" in page.text
    assert "Weight decay is multiplied by a learning rate that changes with width" in page.text
    assert "at width 256 is 0.25 times that at width 64" in page.text
    assert "Lingle 2024" in page.text
    assert "Norms have trainable gains" not in page.text


def test_the_list_has_a_badge_for_each_of_the_two(visitor: tuple[httpx.Client, str, str]) -> None:
    client, *_ = visitor
    text = Soup(client.get("/").raise_for_status().text).text
    assert "· check" in text
    assert "· learning rate" in text
    assert "flat" in text
    assert "drifts" in text


@pytest.mark.parametrize(
    "tab", ["verdict", "coordinate-check", "lr-transfer", "runs", "recipe", "report"]
)
def test_every_tab_of_both_kinds_is_there(visitor: tuple[httpx.Client, str, str], tab: str) -> None:
    client, study_id, _ = visitor
    page = client.get(urls.study(study_id, tab=tab)).raise_for_status().text
    assert f"tab={tab}" in page
    assert 'aria-current="page"' in page


def test_the_json_says_the_same_as_the_page(visitor: tuple[httpx.Client, str, str]) -> None:
    client, study_id, _ = visitor
    found = client.get(f"{urls.api_study(study_id)}/verdicts").raise_for_status().json()
    (one,) = found["joined"]
    assert (one["outcome"], one["check"], one["transfer"]) == ("only_check", "flat", "drifts")
    assert one["reasons"][0]["key"] == "coupled_decay"
    assert all(reason["source"] and reason["advice"] for reason in one["reasons"])
    assert found["sentences"][one["variant"]] == one["sentence"]


def test_the_report_has_both_parts(visitor: tuple[httpx.Client, str, str]) -> None:
    client, study_id, _ = visitor
    text = Soup(client.get(urls.report(study_id)).raise_for_status().text).text
    assert "Check and learning rate together" in text
    assert "rate times weight_decay" in text


def test_the_form_asks_for_a_check_and_reads_it_back() -> None:
    study = drifting()
    assert forms.parse(forms.from_spec(study)) == study
    without = {name: text for name, text in forms.from_spec(study).items() if name != "check"}
    assert forms.parse(without) == study.sweep


def test_what_is_wrong_with_the_check_stands_beside_its_field() -> None:
    values = forms.from_spec(drifting()) | {"check.seeds": "many"}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(values)
    assert set(caught.value.errors) == {"check.seeds"}
