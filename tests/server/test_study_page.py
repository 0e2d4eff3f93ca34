"""The page of a study, tab by tab, while it waits, runs and after it has ended."""

from dataclasses import replace

import httpx
import pytest

from muscope.storage import bundles, resuming, studies
from muscope.storage.database import open_database
from muscope.storage.verdicts import VerdictSummary
from muscope.vocabulary import Axis, CellVerdict, TransferVerdict
from muscope_server import urls
from muscope_server.study_page.line import line
from tests.server import measured, swept
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.world import World


def test_the_verdict_tab_says_it_in_a_sentence_and_shows_every_slope(world: World) -> None:
    page = world.soup(urls.study(world.study_id))
    assert "change since step 0: exponent" in page.text, "it opens on what decides"
    assert "grows in 3 of 3 tensors" in page.text
    assert "flat in all 3 tensors" in page.text
    assert "as its theory says" in page.text
    assert "not width-stable" in page.text
    assert "+1.00" in page.text
    assert "theory +1" in page.text
    assert "Excused: a µP readout shrinks at initialization." in page.text


def test_the_runs_tab_lists_every_run(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="runs"))
    assert page.count("tbody tr") == 16 + 4  # runs, and bundles in the budget
    assert "16 runs" in page.text


def test_the_report_tab_previews_the_content_of_the_file(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="report"))
    assert "How the verdict is computed" in page.text
    assert "torch" in page.text
    assert page.count("iframe") == 0


def test_the_chart_tab_says_each_chart_in_words_and_asks_for_its_figure(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="coordinate-check", statistic="change"))
    assert "3 tensors at 4 widths from 64 to 512, 2 seeds" in page.text
    assert len(page.figures) == 2
    for url in page.figures:
        figure = world.visitor.get(url).json()
        assert figure["layout"]["meta"]["panels"] == 2
        assert figure["layout"]["xaxis"]["tickvals"] == [64, 128, 256, 512]


@pytest.mark.parametrize(
    "query", ["variant=nobody", "", "variant=x&statistic=loudness"], ids=["stranger", "none", "odd"]
)
def test_a_figure_that_cannot_be_is_refused(world: World, query: str) -> None:
    answer = world.visitor.get(f"{urls.api_study(world.study_id)}/figures/coordinate-check?{query}")
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]["message"]


def varied(world: World) -> str:
    """A study of two depths and two batch sizes."""
    changes = {"widths": (64, 128), "depths": (1, 2), "batch_sizes": (4, 8), "seeds": 1}
    return measured.finished(world.database, measured.small().model_copy(update=changes))


def test_a_study_of_several_depths_and_batch_sizes_is_looked_at_over_each(world: World) -> None:
    study_id = varied(world)
    page = world.visitor.get(urls.study(study_id, tab="coordinate-check", axis="depth")).text
    for axis in (Axis.WIDTH, Axis.DEPTH, Axis.BATCH, Axis.STEP):
        assert f'<option value="{axis}"' in page
    layout = world.visitor.get(Soup(page).figures[0]).json()["layout"]
    assert layout["meta"]["xTitle"] == "depth"
    assert layout["xaxis"]["ticktext"] == ["1", "2"]
    assert "at 2 depths from 1 to 2" in layout["meta"]["summary"]
    runs = world.soup(urls.study(study_id, tab="runs")).text
    assert "depth 2, batch size 8" in runs
    assert "variant width depth batch size seed" in runs


def test_an_axis_that_a_study_does_not_have_is_width(world: World) -> None:
    page = world.visitor.get(
        urls.study(world.study_id, tab="coordinate-check", axis="batch_size")
    ).text
    assert '<option value="batch_size"' not in page
    assert not any("axis=" in figure for figure in Soup(page).figures)


@pytest.mark.parametrize("part", ["header", "verdict", "runs"])
def test_a_part_is_the_same_as_in_the_whole_page(world: World, part: str) -> None:
    tab = part if part == "runs" else "verdict"
    whole = world.visitor.get(urls.study(world.study_id, tab=tab)).text
    fragment = world.visitor.get(urls.part(world.study_id, part)).text
    assert "<html" not in fragment
    assert " ".join(fragment.split()) in " ".join(whole.split())


@pytest.mark.parametrize("query", ["?tab=secrets", "?part=secrets"])
def test_a_tab_or_part_that_is_not_there_is_not_found(world: World, query: str) -> None:
    world.soup(f"/studies/{world.study_id}{query}", status=404)


def test_a_queued_study_without_a_worker_says_why_it_waits_and_can_be_cancelled(
    server: Running, visitor: httpx.Client
) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    database.close()
    assert "No worker is there" in Soup(visitor.get(urls.study(study_id)).text).by_id("waiting")
    assert "muscope worker" in visitor.get("/workers").text
    answer = visitor.post(urls.cancel(study_id))
    assert answer.status_code == 303
    assert "cancelled" in Soup(visitor.get(answer.headers["location"]).text).by_id("study-header")


def test_a_study_whose_runs_failed_says_why(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    with database.write() as conn:
        claim = bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0", lease_s=60)
        assert claim
        bundles.fail(conn, claim, code="E_DATA", text="tale.txt <is> not there; put it there")
    database.close()
    page = Soup(visitor.get(urls.study(study_id)).text)
    assert page.by_id("failure") == "Why runs failed: tale.txt <is> not there; put it there"
    visitor.post(urls.cancel(study_id))


def test_runs_that_were_begun_again_say_where(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    how = {"worker_id": "lab-1", "pid": 1, "code_version": "0", "lease_s": 60.0}
    with database.write() as conn:
        first = bundles.claim(conn, **how)
        assert first
        bundles.hand_back(conn, first)
        second = bundles.claim(conn, **how)
        assert second
        resuming.explain(conn, second, "began at the first step: torch differs")
    database.close()
    said = "attempt 2: began at the first step: torch differs"
    assert said in Soup(visitor.get(urls.study(study_id, tab="runs")).text).text
    runs = visitor.get(f"{urls.api_study(study_id)}/runs").json()["runs"]
    assert {run["resume_note"] for run in runs} == {"began at the first step: torch differs", None}
    visitor.post(urls.cancel(study_id))


def test_a_cancelled_study_says_what_its_verdict_lacks(
    server: Running, visitor: httpx.Client
) -> None:
    database = open_database(server.settings)
    spec = measured.small()
    study_id = measured.submitted(database, spec)
    measured.train_next(database, spec, study_id)
    assert "so far" in Soup(visitor.get(urls.study(study_id)).text).text
    visitor.post(urls.cancel(study_id))
    database.close()
    page = Soup(visitor.get(urls.study(study_id)).text)
    assert "4 of 16 runs finished" in page.by_id("study-header")
    assert "incomplete: 2 of 8 runs judged, width 64" in page.text
    assert "so far" not in page.text
    assert "incomplete" in Soup(visitor.get("/").text).first("tbody")
    charts = Soup(visitor.get(urls.study(study_id, tab="coordinate-check")).text).text
    assert "at 1 of 4 widths (64)" in charts


def test_a_study_that_never_ran_promises_nothing(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    study_id = measured.submitted(database, measured.small())
    database.close()
    visitor.post(urls.cancel(study_id))
    page = Soup(visitor.get(urls.study(study_id)).text)
    header = " ".join(page.by_id("study-header").split())
    assert "0 of 16 runs finished submitted" in header
    assert "not judged nothing was measured" in page.text
    assert "yet" not in page.text


def test_a_bundle_is_counted_within_its_study(server: Running, visitor: httpx.Client) -> None:
    database = open_database(server.settings)
    measured.finished(database, measured.small("before"))
    spec = measured.small()
    study_id = measured.submitted(database, spec)
    measured.train_next(database, spec, study_id)
    with database.write() as conn:
        bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0.1.0", lease_s=60)
    database.close()
    header = Soup(visitor.get(urls.study(study_id)).text).by_id("study-header")
    assert "bundle 2 of 4 at step 0 of 2" in header
    assert "bundle 2 of 4" in Soup(visitor.get("/workers").text).text


@pytest.mark.parametrize(
    ("runs", "word", "standing"),
    [
        (12, CellVerdict.GROWS, ""),
        (40, CellVerdict.INCONCLUSIVE, ""),
        (12, CellVerdict.INCONCLUSIVE, "incomplete"),
        (13, CellVerdict.GROWS, "incomplete"),
    ],
)
def test_a_badge_of_a_variant_that_stopped_early_is_firm(
    world: World, runs: int, word: CellVerdict, standing: str
) -> None:
    """Of four widths with 3, 5 and 10 seeds."""
    with world.database.read() as conn:
        row = studies.get(conn, world.study_id)
    assert row is not None
    spec = row.spec.model_copy(update={"seeds": 10, "stop_early": True})
    summary = VerdictSummary(spec.variants[0].key, word, final=True, runs_judged=runs)
    badge, *_ = line(replace(row, spec=spec), [summary]).badges
    assert badge.standing == standing


@pytest.mark.parametrize(
    ("changes", "is_harmless"),
    [({}, False), ({"widths": (32,), "batch_sizes": (4, 8, 16)}, True)],
)
def test_a_drift_over_batch_size_has_no_badge_of_a_fault(
    world: World, changes: dict[str, object], *, is_harmless: bool
) -> None:
    with world.database.read() as conn:
        row = studies.get(conn, world.study_id)
    assert row is not None
    spec = swept.sweep(**changes)
    key, drifts = spec.variants[0].key, TransferVerdict.DRIFTS
    summary = VerdictSummary(key, drifts, final=True, runs_judged=45, kind="lr_transfer")
    badge, *_ = line(replace(row, spec=spec), [summary]).badges
    assert (badge.verdict, badge.is_harmless) == (drifts, is_harmless)
