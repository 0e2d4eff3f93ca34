"""A study that has ended adds to itself: by the page's button, the form, and the JSON API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from muscope.spec import StudySpec
from muscope.storage import reuse, studies
from muscope.storage.database import Database, open_database
from muscope_server import urls
from tests.server import measured
from tests.server.conftest import fresh
from tests.server.running import Running, running
from tests.server.soup import Soup


@pytest.fixture
def database(server: Running) -> Iterator[Database]:
    found = open_database(server.settings)
    yield found
    found.close()


@pytest.fixture
def open_study(database: Database) -> str:
    return measured.undecided(database)


@pytest.fixture(scope="module")
def refusing(
    template_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, str, dict[str, Any]]]:
    """Somebody who is in, an open study and its spec, for those who are refused."""
    with running(fresh(template_dir, tmp_path_factory.mktemp("extend"))) as server:
        database = open_database(server.settings)
        study_id = measured.undecided(database)
        with server.script() as client:
            yield client, study_id, spec_of(database, study_id).model_dump(mode="json")
        database.close()


def page(visitor: httpx.Client, url: str) -> Soup:
    answer = visitor.get(url)
    assert answer.status_code == 200, answer.text
    return Soup(answer.text)


def extensions(database: Database, study_id: str) -> list[str]:
    with database.read() as conn:
        return [found for found, _ in reuse.extensions(conn, study_id)]


def spec_of(database: Database, study_id: str) -> StudySpec:
    with database.read() as conn:
        row = studies.get(conn, study_id)
    assert row is not None
    assert isinstance(row.spec, StudySpec)
    return row.spec


def test_the_button_says_what_it_adds_and_two_clicks_make_one_study(
    database: Database, visitor: httpx.Client, open_study: str
) -> None:
    offer = page(visitor, urls.study(open_study))
    text = offer.by_id("extend")
    assert "Add 2 seeds and width 1024: 24 new runs, " in text
    assert "16 runs of this study are reused" in text
    fields = {name: offer.inputs[name] for name in ("addition", "key")}
    answers = [visitor.post(urls.extend(open_study), data=fields) for _ in range(2)]
    (new,) = extensions(database, open_study)
    assert {answer.headers["location"] for answer in answers} == {urls.study(new)}
    assert spec_of(database, new).widths == (64, 128, 256, 512, 1024)

    header = page(visitor, urls.study(new))
    assert "0 of 24 new runs ended, 16 reused" in header.text
    assert urls.study(open_study) in header.links
    assert not header.by_id("extend")  # it still runs
    before = page(visitor, urls.study(open_study))
    assert urls.study(new) in before.links
    assert "Add 2 seeds" not in before.text


def test_the_form_is_filled_in_with_the_change_marked(
    database: Database, visitor: httpx.Client, open_study: str
) -> None:
    form = page(visitor, urls.extension(open_study))
    assert form.inputs["seeds"] == "4"
    assert form.inputs["widths"] == "64, 128, 256, 512, 1024"
    assert form.inputs["extends"] == open_study
    assert form.text.count("changed") == 2
    assert "new runs24" in "".join(form.by_id("plan").split("\n")).replace("  ", "")
    answer = visitor.post(urls.new_study, data=form.inputs | {"seeds": "3"})
    assert answer.status_code == 303, answer.text
    (new,) = extensions(database, open_study)
    assert spec_of(database, new).seeds == 3


def test_the_form_says_beside_the_field_what_an_extension_cannot(
    visitor: httpx.Client, open_study: str
) -> None:
    form = page(visitor, urls.extension(open_study))
    answer = visitor.post(urls.new_study, data=form.inputs | {"widths": "64, 128, 256"})
    assert answer.status_code == 422
    assert "has 512 too, and an extension drops nothing; add it" in answer.text


def test_a_study_that_is_decided_can_be_extended_by_hand(
    database: Database, visitor: httpx.Client
) -> None:
    study_id = measured.finished(database, measured.small())
    offer = page(visitor, urls.study(study_id))
    assert "The verdict asks for nothing that can be added" in offer.by_id("extend")
    assert urls.extension(study_id) in offer.links
    form = page(visitor, urls.extension(study_id))
    assert (form.inputs["seeds"], form.inputs["extends"]) == ("2", study_id)
    assert "nothing is added to the study that it extends" in form.by_id("plan")


def test_a_clone_of_an_extension_extends_nothing(
    database: Database, visitor: httpx.Client, client: httpx.Client, open_study: str
) -> None:
    new = client.post(f"/api/v1/studies/{open_study}/extend").json()["id"]
    assert "extends" not in page(visitor, urls.clone(new)).inputs


def test_the_api_adds_what_is_advised_or_what_is_said(
    client: httpx.Client, open_study: str
) -> None:
    answer = client.post(f"/api/v1/studies/{open_study}/extend")
    assert answer.status_code == 201, answer.text
    advised = answer.json()
    assert (advised["extends"], advised["runs"], advised["reused"]) == (open_study, 40, 16)
    assert answer.headers["location"] == advised["api_url"]
    said = client.post(
        f"/api/v1/studies/{open_study}/extend",
        json={"depths": [2]},
        headers={"Idempotency-Key": "a"},
    )
    assert (said.json()["runs"], said.json()["reused"]) == (32, 16)
    again = client.post(
        f"/api/v1/studies/{open_study}/extend",
        json={"depths": [2]},
        headers={"Idempotency-Key": "a"},
    )
    assert (again.status_code, again.json()["id"]) == (200, said.json()["id"])
    study = client.get(advised["api_url"]).json()
    assert (study["extends"], study["reused"], study["state"]) == (open_study, 16, "queued")
    runs = client.get(f"{advised['api_url']}/runs").json()["runs"]
    assert {run["reused_from"] for run in runs} == {None, open_study}


def test_a_plan_of_an_extension_is_of_what_is_new(
    database: Database, client: httpx.Client, open_study: str
) -> None:
    spec = spec_of(database, open_study).model_dump(mode="json")
    whole = client.post("/api/v1/plans", json=spec).json()
    left = client.post("/api/v1/plans", json=spec | {"extends": open_study, "seeds": 3}).json()
    assert (whole["runs"], left["runs"], left["reused"]) == (16, 8, 16)
    assert left["flops"] == pytest.approx(whole["flops"] / 2)


@pytest.mark.parametrize(
    ("change", "path", "sentence"),
    [
        ({"extends": "nobody"}, "extends", "there is no study 'nobody' here to extend"),
        ({"extends": "../x"}, "extends", "must be the id of a study"),
        ({"steps": 3}, "steps", "an extension keeps it as in the study that it extends (2, not 3)"),
        ({"seeds": 1}, "seeds", "take at least 2, not 1"),
        ({"widths": [64, 128]}, "widths", "has 256, 512 too"),
        ({"base_width": 32, "widths": [32, 64, 128, 256, 512]}, "base_width", "(64, not 32)"),
        ({"seeds": 2}, "", "nothing is added"),
        (
            {"kind": "lr_transfer", "octaves": [-1, 0, 1], "record": "losses", "batches": "fresh"},
            "kind",
            "(coordinate_check, not lr_transfer)",
        ),
    ],
)
def test_a_spec_that_is_no_extension_is_refused_by_field(
    refusing: tuple[httpx.Client, str, dict[str, Any]],
    change: dict[str, object],
    path: str,
    sentence: str,
) -> None:
    client, study_id, spec = refusing
    body = spec | {"extends": study_id, "seeds": 4} | change
    answer = client.post("/api/v1/studies", json=body)
    assert answer.status_code == 422, answer.text
    (field,) = answer.json()["error"]["fields"]
    assert (field["path"], sentence in field["message"]) == (path, True), field


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"seeds": 1}, 422, "seeds: the study that it extends has 2"),
        ({"seeds": 65}, 422, "seeds: must be at most 64, got 65"),
        ({"seeds": "4"}, 422, 'seeds: must be a whole number, got "4"'),
        ({"widths": [64]}, 422, "nothing is added"),
        ({"widths": [0]}, 422, "widths[0]: must be at least 1"),
        ({"octaves": [1]}, 422, "octaves is for studies of kind lr_transfer"),
        ({"steps": 9}, 422, "steps: unknown field; allowed: seeds, widths, depths"),
        ({"seeds": 64, "widths": list(range(600, 650))}, 422, "at most 2000"),
        ([4], 422, "must be a mapping of fields"),
    ],
)
def test_an_addition_that_cannot_be_is_one_sentence(
    refusing: tuple[httpx.Client, str, dict[str, Any]], body: object, status: int, sentence: str
) -> None:
    client, study_id, _ = refusing
    answer = client.post(f"/api/v1/studies/{study_id}/extend", json=body)
    assert (answer.status_code, sentence in answer.json()["error"]["message"]) == (
        status,
        True,
    ), answer.text


def test_what_cannot_be_extended_says_why(
    database: Database, client: httpx.Client, visitor: httpx.Client
) -> None:
    assert client.post("/api/v1/studies/nobody/extend").status_code == 404
    waiting = measured.submitted(database, measured.small())
    still_runs = client.post(f"/api/v1/studies/{waiting}/extend", json={"seeds": 4})
    assert (still_runs.status_code, still_runs.json()["error"]["code"]) == (409, "study_runs")
    with database.write() as conn:
        studies.cancel(conn, waiting)
    decided = client.post(f"/api/v1/studies/{waiting}/extend")
    assert (decided.status_code, decided.json()["error"]["code"]) == (422, "nothing_to_add")
    taken = client.post(f"/api/v1/studies/{waiting}/extend", json={"seeds": 4}).json()
    assert (taken["reused"], taken["not_reused"]) == (0, "16 cancelled")
    assert "; trained again: 16 cancelled." in page(visitor, taken["url"]).text


def test_the_runs_tab_and_the_report_name_what_is_reused(
    database: Database, visitor: httpx.Client, client: httpx.Client, open_study: str
) -> None:
    new = client.post(f"/api/v1/studies/{open_study}/extend", json={"seeds": 3}).json()["id"]
    while measured.train_next(database, spec_of(database, new), new):
        pass
    runs = page(visitor, urls.study(new, tab="runs"))
    assert runs.text.count(f"reused from study {open_study}") == 16
    assert "time 12.0 s" in runs.text  # of the four bundles of its own
    assert f"study {open_study}: 16 of 24 runs reused" in page(visitor, urls.report(new)).text
    old, whole = (
        client.get(urls.measurements(study)).text.splitlines() for study in (open_study, new)
    )
    assert set(old) < set(whole)
    assert len(whole) - 1 == (len(old) - 1) * 3 // 2
