"""The recipe of a study over HTTP: the page, its links and downloads, and what is refused."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from muscope.cli import app
from muscope.recipe import Recipe
from muscope.spec import StudySpec
from muscope.storage import verdicts
from muscope.storage.database import open_database
from muscope_server import urls
from tests.core.recipes import study, swept
from tests.server import measured
from tests.server.conftest import fresh
from tests.server.running import Running, running
from tests.server.soup import Soup


def cerebras() -> StudySpec:
    return study("cerebras", model="gpt").model_copy(update={"name": "Large <one>"})


class Visitor:
    """Somebody who is in, a judged study, and one that nobody has judged."""

    def __init__(self, server: Running, client: httpx.Client, judged: str, waiting: str) -> None:
        self.server, self.client, self.judged, self.waiting = server, client, judged, waiting

    def recipe(self, **query: str) -> httpx.Response:
        return self.client.get(urls.recipe(self.judged, **{"width": "512", **query}))


@pytest.fixture(scope="module")
def visitor(template_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    settings = fresh(template_dir, tmp_path_factory.mktemp("recipe"))
    with running(settings) as server, server.browser() as client:
        database = open_database(settings)
        ids = [measured.submitted(database, cerebras()) for _ in range(2)]
        with database.write() as conn:
            verdicts.save(conn, ids[0], swept(cerebras()))
        yield Visitor(server, client, *ids)
        database.close()


def test_the_page_opens_with_a_target_and_shows_its_numbers_with_their_sources(
    visitor: Visitor,
) -> None:
    page = visitor.client.get(urls.study(visitor.judged, tab="recipe")).raise_for_status().text
    text = Soup(page).text
    assert "width 512, depth 2" in text, "four times the largest width"
    assert "Dey et al. 2023 (Cerebras-GPT), Table 14" in text
    assert "90 % interval" in text
    assert "blocks.*.attn.q" in text
    assert "configuration is that of a Llama" in text, "why a format is not offered"
    assert "A file for Cerebras or nanotron is read again by the meaning of its keys" in text


def test_a_link_keeps_the_target_and_its_downloads_are_for_it(visitor: Visitor) -> None:
    key = cerebras().variants[0].key
    view = {"tab": "recipe", "variant": key, "width": "1024", "depth": "6"}
    page = visitor.client.get(urls.study(visitor.judged, **view)).raise_for_status().text
    assert "Depth 6 lies outside the depths that were trained" in Soup(page).text
    wanted = urls.recipe(visitor.judged, variant=key, width="1024", depth="6", format="cerebras")
    assert wanted.replace("&", "&amp;") in page
    assert yaml.safe_load(visitor.client.get(wanted).raise_for_status().text)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ({"width": "0"}, "width must be a whole number from 1"),
        ({"width": "500"}, "not a multiple of the head size 16"),
        ({"width": "wide"}, "must be a whole number, got 'wide'"),
        ({"depth": "0"}, "depth must be a whole number from 1"),
        ({"variant": "nobody"}, "0 variants have 'nobody' in their key"),
    ],
)
def test_a_target_that_cannot_be_is_explained_where_it_was_typed(
    visitor: Visitor, view: dict[str, str], said: str
) -> None:
    url = urls.study(visitor.judged, tab="recipe", **view)
    page = visitor.client.get(url).raise_for_status().text
    assert said in Soup(page).text
    assert urls.recipe(visitor.judged) not in page, "nothing to download"


def test_before_a_verdict_the_page_says_that_there_is_none(visitor: Visitor) -> None:
    page = visitor.client.get(urls.study(visitor.waiting, tab="recipe")).raise_for_status().text
    assert "has not been judged yet" in Soup(page).text
    answer = visitor.client.get(urls.recipe(visitor.waiting, width="512"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_judged")


def test_every_format_comes_as_a_file(visitor: Visitor) -> None:
    found = Recipe.model_validate(visitor.recipe().raise_for_status().json())
    assert (found.width, found.depth) == (512, 2)
    python = visitor.recipe(format="pytorch").raise_for_status()
    assert "recipe-512.py" in python.headers["Content-Disposition"]
    ast.parse(python.text)
    assert "trainer" in yaml.safe_load(visitor.recipe(format="cerebras").text)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"format": "nanotron"}, 422, "that of a Llama"),
        ({"format": "onnx"}, 422, "format: must be 'pytorch', 'cerebras', 'nanotron' or 'json'"),
        ({"width": "0"}, 422, 'width: must be at least 1, got "0"'),
        ({"variant": "nobody"}, 422, "0 variants have 'nobody' in their key"),
        ({"width": "64.0"}, 422, "width: must be a whole number, got '64.0'"),
        ({"widht": "64"}, 422, "widht: unknown or repeated; allowed, once each: width, depth"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    visitor: Visitor, query: dict[str, str], status: int, said: str
) -> None:
    answer = visitor.recipe(**query)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


def test_a_study_that_is_not_there_has_no_recipe(visitor: Visitor) -> None:
    assert visitor.client.get(urls.recipe("nothing", width="64")).status_code == 404


def test_the_report_has_the_recipe_of_every_variant(visitor: Visitor) -> None:
    text = Soup(visitor.client.get(urls.report(visitor.judged)).raise_for_status().text).text
    assert "AdamW · width 512, depth 2" in text
    assert "blocks.*.mlp.down" in text


def test_the_command_asks_a_server_and_writes_a_file(visitor: Visitor, tmp_path: Path) -> None:
    where = tmp_path / "mup.yaml"
    asked = ["recipe", visitor.judged, "--width", "512", "--depth", "4", "--format", "cerebras"]
    server = ["--url", visitor.server.origin, "--token", visitor.server.token]
    told = CliRunner().invoke(app, [*asked, *server, "-o", str(where)])
    assert told.exit_code == 0, told.output
    assert yaml.safe_load(where.read_text())["trainer"]["init"]["model"]["num_hidden_layers"] == 4
    assert "WARNING: Depth 4 lies outside" in told.stderr


def test_the_command_reads_what_a_check_printed(tmp_path: Path) -> None:
    spec = study("mup")
    rows = [{"sentence": one.sentence(), **one.model_dump(mode="json")} for one in swept(spec)]
    written = {"study": spec.model_dump(mode="json"), "verdicts": rows}
    (tmp_path / "study.json").write_text(json.dumps(written))
    asked = ["recipe", str(tmp_path / "study.json"), "--width", "512", "--format", "json"]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert Recipe.model_validate_json(told.stdout).rate.width == 128
    over = CliRunner().invoke(app, [*asked, "-o", str(tmp_path / "study.json")])
    assert (over.exit_code, "is the study itself" in over.stderr) == (2, True)


@pytest.mark.parametrize(
    ("study_", "said"), [("nothing.json", "cannot be read"), ("pyproject.toml", "is no result")]
)
def test_the_command_refuses_what_is_no_study(study_: str, said: str) -> None:
    told = CliRunner().invoke(app, ["recipe", study_, "--width", "64"])
    assert (told.exit_code, said in told.stderr) == (2, True)
