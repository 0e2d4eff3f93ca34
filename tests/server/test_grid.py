"""The Grid tab: a cell per run, its state in a word, and a way to the run."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from muscope.reports import run_grid
from muscope.reports.run_grid import PlacedRun
from muscope.reports.templating import environment
from muscope.storage.database import open_database
from muscope.vocabulary import RunState
from muscope_server import urls
from muscope_server.contexts import GridContext
from tests.server import measured, swept
from tests.server.conftest import fresh
from tests.server.running import running
from tests.server.soup import Soup
from tests.server.world import World


@pytest.fixture(scope="module")
def swept_world(template_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A finished sweep of 90 runs, three of which diverged."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("grid"))
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        yield World(database, visitor, swept.finished(database, swept.sweep()))
        database.close()


def cells(text: str) -> list[tuple[str, str, str]]:
    """(look, title, words) of every cell."""
    found = re.findall(r'<a class="cell ([\w-]+)" href="[^"]+" title="([^"]+)">([^<]+)</a>', text)
    return [(look, title, words) for look, title, words in found]


def test_every_run_of_a_sweep_has_a_cell_and_what_diverged_is_named(swept_world: World) -> None:
    text = swept_world.visitor.get(urls.study(swept_world.study_id, tab="grid")).text
    found = cells(text)
    assert len(found) == 90
    assert "90 runs: 87 finished, 3 diverged" in Soup(text).text
    lost = [cell for cell in found if cell[0] == "diverged"]
    assert len(lost) == 3
    assert {words for _, _, words in lost} == {"diverged"}
    looks = {look for look, _, _ in found} - {"diverged"}
    assert looks == {f"heat-{level}" for level in range(7)}


def test_the_least_loss_has_the_strongest_colour(swept_world: World) -> None:
    text = swept_world.visitor.get(urls.study(swept_world.study_id, tab="grid")).text
    known = [(float(words), look) for look, _, words in cells(text) if look != "diverged"]
    assert min(known)[1] == "heat-0"
    assert max(known)[1] == "heat-6"


def test_a_cell_leads_to_its_run(swept_world: World) -> None:
    text = swept_world.visitor.get(urls.study(swept_world.study_id, tab="grid")).text
    numbers = [int(number) for number in re.findall(r"tab=runs#run-(\d+)", text)]
    assert sorted(numbers) == list(range(1, 91))
    runs = swept_world.visitor.get(urls.study(swept_world.study_id, tab="runs")).text
    answer = swept_world.visitor.get(urls.grid(swept_world.study_id)).json()["runs"]
    lost = next(run for run in answer if run["state"] == "diverged")
    row = re.search(rf'<tr id="run-{lost["number"]}">(.*?)</tr>', runs, re.DOTALL)
    assert row is not None
    assert "diverged" in row.group(1)


def test_the_twins_hold_every_run(swept_world: World) -> None:
    answer = swept_world.visitor.get(urls.grid(swept_world.study_id)).raise_for_status()
    runs = answer.json()["runs"]
    text = swept_world.visitor.get(f"{urls.grid(swept_world.study_id)}.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(runs) == 90
    assert [float(row["log2_rate"]) for row in rows] == [run["column"] for run in runs]
    assert {row["state"] for row in rows} == {"finished", "diverged"}


def test_a_coordinate_check_has_widths_and_seeds_and_waits_in_words(world: World) -> None:
    text = world.visitor.get(urls.study(world.study_id, tab="grid")).text
    assert len(cells(text)) == 16
    assert "width 64, seed 0: loss" in text
    study_id = measured.submitted(world.database, measured.small("Not yet"))
    waiting = cells(world.visitor.get(urls.study(study_id, tab="grid")).text)
    assert {(look, words) for look, _, words in waiting} == {("queued", "waits")}


def test_depths_and_batch_sizes_have_tables_of_their_own(world: World) -> None:
    changes = {"widths": (64, 128), "depths": (1, 2), "batch_sizes": (4, 8), "seeds": 1}
    spec = measured.small().model_copy(update=changes)
    study_id = measured.submitted(world.database, spec)
    page = Soup(world.visitor.get(urls.study(study_id, tab="grid")).text)
    assert page.count("table") == 2 * 2 * 2
    assert "depth 2, batch size 8" in page.text


def test_what_was_stopped_early_has_one_name_and_a_joined_study_a_scale_each(
    swept_world: World,
) -> None:
    def run(number: int, *, is_check: bool) -> PlacedRun:
        group = "check" if is_check else ""
        state = RunState.SKIPPED
        return PlacedRun(number, "v", "V", group, (), 64, 0, 0.0, is_check, state, 2.5, step=6)

    runs = [run(1, is_check=False), run(2, is_check=False)]
    assert run_grid.counts(runs) == "2 runs: 2 stopped early"
    (facet,) = run_grid.facets(runs)
    assert {cell.words for cell in facet.rows[0].cells[0]} == {"stopped early"}
    text = Soup(swept_world.visitor.get(urls.study(swept_world.study_id, tab="grid")).text).text
    assert "failed stopped early running" in text
    assert "have a scale each" not in text
    both = GridContext(run_grid.facets([*runs, run(3, is_check=True)]), "", True, True, True)
    page = environment().get_template("_grid_tab.html")
    study = SimpleNamespace(id="x")
    assert "have a scale each" in page.render(grid=both, study=study, urls=urls)
