"""The Compare page and its twins: variants of one or several studies, and what cannot be."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from muscope.client import Client
from muscope.storage import events, taken
from muscope.storage.database import Database, open_database
from muscope_server import urls
from tests.server import measured, recorded, swept
from tests.server.conftest import fresh
from tests.server.running import Running, running
from tests.server.soup import Soup

SP, MUP = (variant.key for variant in swept.sweep().variants)
OF_CHECK = [variant.key for variant in measured.small().variants]


@dataclass(frozen=True)
class Shelf:
    """A visitor, a finished sweep, one that goes on, and a finished coordinate check."""

    visitor: httpx.Client
    database: Database
    sweep: str
    live: str
    check: str

    def both(self) -> list[str]:
        """SP and µP of the sweep."""
        return [f"{self.sweep}:{SP}", f"{self.sweep}:{MUP}"]

    def sizes(self) -> list[str]:
        """SP and µP of the coordinate check."""
        return [f"{self.check}:{key}" for key in OF_CHECK]

    def page(self, chosen: list[str], **view: str) -> str:
        return self.visitor.get(urls.compare(chosen, **view)).raise_for_status().text


@pytest.fixture(scope="module")
def shelf(template_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    settings = fresh(template_dir, tmp_path_factory.mktemp("compare"))
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        check = measured.finished(database, measured.small())
        sweep = swept.finished(database, swept.sweep())
        longer = swept.sweep("Going on", widths=(32, 64, 128, 256))
        live = measured.submitted(database, longer)
        swept.train_next(database, longer, live)
        yield Shelf(visitor, database, sweep, live, check)
        database.close()


def test_the_page_puts_two_variants_beside_each_other(shelf: Shelf) -> None:
    page = Soup(shelf.page(shelf.both()))
    assert "A and B: the same data, so that differences are taken seed by seed" in page.text
    assert "B − A width 128, depth 2 1.9173 at −4.00 1.9513 at −5.00" in page.text
    assert "↓ lower" in page.text
    assert len(page.figures) == 3
    for url in page.figures:
        assert shelf.visitor.get(url).raise_for_status().json()["layout"]["meta"]["panels"] >= 1


def test_panels_have_locked_axes_and_what_diverged_is_a_gap(shelf: Shelf) -> None:
    figure = shelf.visitor.get(urls.comparison_figure(shelf.both(), "curves")).json()
    layout = figure["layout"]
    assert layout["meta"]["panels"] == 2
    assert layout["yaxis"]["range"] == layout["yaxis2"]["range"]
    assert layout["xaxis"]["range"] == layout["xaxis2"]["range"]
    lines = {(line["name"], line["xaxis"]): line["x"] for line in figure["data"]}
    assert lines["width 128", "x"] == [-6.0, -5.0, -4.0, -3.0]


def test_who_is_subtracted_is_chosen_and_turns_every_sign(shelf: Shelf) -> None:
    other = shelf.page(shelf.both(), against=shelf.both()[1])
    assert "A − B" in Soup(other).text
    assert "↑ higher" in Soup(other).text
    figure = shelf.visitor.get(
        urls.comparison_figure(shelf.both(), "best", against=shelf.both()[1])
    ).json()
    points = [trace["y"][0] for trace in figure["data"] if trace["mode"] == "markers"]
    assert all(value > 0 for value in points)


def test_coordinate_checks_are_compared_by_their_slopes(shelf: Shelf) -> None:
    page = Soup(shelf.page(shelf.sizes(), statistic="change"))
    assert "B − A input, change since step 0, step 2, depth 1 0.00 +1.00 −1.00" in page.text
    ratio = shelf.visitor.get(
        urls.comparison_figure(shelf.sizes(), "ratios", statistic="change")
    ).json()
    assert ratio["layout"]["meta"]["yTitle"] == "over that of A"


def test_the_json_has_every_difference_and_the_csv_a_row_for_each(shelf: Shelf) -> None:
    answer = shelf.visitor.get(urls.comparison(shelf.both())).raise_for_status().json()
    assert [one["letter"] for one in answer["variants"]] == ["A", "B"]
    assert [one["verdict"] for one in answer["variants"]] == ["drifts", "transfers"]
    (pair,) = answer["pairs"]
    text = shelf.visitor.get(urls.comparison_csv(shelf.both(), "differences")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(pair["differences"]) == 3 + 15 + 1 + 1
    assert {row["first_variant"] for row in rows} == {SP}
    table = shelf.visitor.get(urls.comparison_csv(shelf.both(), "variants")).text
    assert [row["variant"] for row in csv.DictReader(io.StringIO(table))] == [SP, MUP]


def test_variants_of_several_studies_are_compared_where_they_overlap(shelf: Shelf) -> None:
    answer = shelf.visitor.get(
        urls.comparison([f"{shelf.sweep}:{MUP}", f"{shelf.live}:{MUP}"])
    ).json()
    best = [
        one
        for one in answer["pairs"][0]["differences"]
        if one["quantity"] == "loss at each one's best rate"
    ]
    assert [one["at"]["width"] for one in best] == [32]
    assert [one["word"] for one in best] == ["alike"], "the same runs"
    text = shelf.page([f"{shelf.sweep}:{MUP}", f"{shelf.live}:{MUP}"])
    assert 'data-live="yes"' in text
    assert "32, 64, 128, 256" in text


def test_device_time_is_shared_among_the_runs_of_a_bundle(shelf: Shelf) -> None:
    with shelf.database.read() as conn:
        shares = taken.device_seconds(conn, shelf.sweep)
        nothing = taken.device_seconds(conn, "nobody")
    # three bundles of 6 s, half of the runs of each
    assert shares == pytest.approx({SP: 9.0, MUP: 9.0})
    assert nothing == {}


def test_a_check_beside_a_sweep_is_shown_with_a_sentence(shelf: Shelf) -> None:
    text = Soup(shelf.page([shelf.sizes()[0], shelf.both()[0]])).text
    assert "no number in common" in text
    assert "not comparable, because these differ: kind of study" in text


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ([], ""),
        (["SWEEP:SP"], "One variant is chosen; a comparison needs two at least"),
        (["SWEEP:SP", "SWEEP:SP"], "One variant is chosen"),
        (["SWEEP:SP", "nosuch:thing"], "1 chosen variant is not there"),
        (["SWEEP:SP", "<b>:x", "../etc", ""], "3 chosen variants are not there"),
        ([f"SWEEP:{n}" for n in range(50)], "50 variants are chosen; at most 8"),
    ],
    ids=["none", "one", "twice", "unknown", "odd", "fifty"],
)
def test_what_cannot_be_compared_is_said_and_the_choice_stays(
    shelf: Shelf, chosen: list[str], sentence: str
) -> None:
    known = [one.replace("SWEEP", shelf.sweep).replace(":SP", f":{SP}") for one in chosen]
    page = shelf.page(known)
    assert sentence in Soup(page).text
    assert f'value="{shelf.sweep}:{MUP}"' in page
    assert not Soup(page).figures
    refused = shelf.visitor.get(urls.comparison(known))
    assert refused.status_code in (404, 422)
    assert refused.json()["error"]["message"]


def test_a_figure_that_is_not_there_is_not_found(shelf: Shelf) -> None:
    answer = shelf.visitor.get(urls.comparison_figure(shelf.both(), "nothing"))
    assert answer.status_code == 404


def test_the_part_is_the_same_as_in_the_whole_page(shelf: Shelf) -> None:
    whole = shelf.page(shelf.both(), against=shelf.both()[1])
    part = shelf.page(shelf.both(), against=shelf.both()[1], part="comparison")
    assert "<html" not in part
    assert " ".join(part.split()) in " ".join(whole.split())
    assert shelf.visitor.get("/compare?part=secrets").status_code == 404


def test_the_study_page_and_the_list_lead_here(shelf: Shelf) -> None:
    study = Soup(shelf.visitor.get(urls.study(shelf.sweep)).text)
    assert urls.compare(shelf.both()) in study.links
    assert urls.compare() in Soup(shelf.visitor.get("/").text).links


def test_a_part_that_was_seen_is_not_sent_again_until_a_run_has_ended(shelf: Shelf) -> None:
    chosen = [f"{shelf.live}:{SP}", f"{shelf.live}:{MUP}"]
    again = re.search(r'hx-get="([^"]+)"', shelf.page(chosen))
    assert again is not None
    address = again.group(1).replace("&amp;", "&")
    assert shelf.visitor.get(address).status_code == 204
    swept.train_next(shelf.database, swept.sweep("Going on", widths=(32, 64, 128, 256)), shelf.live)
    assert "width 64, depth 2" in shelf.visitor.get(address).raise_for_status().text


def test_events_of_several_studies_come_in_one_stream_that_resumes(shelf: Shelf) -> None:
    address = urls.comparison_events([shelf.sweep, shelf.check])
    with shelf.visitor.stream("GET", address) as stream:
        lines = list(stream.iter_lines())
    seen = [json.loads(line[6:]) for line in lines if line.startswith('data: {"')]
    for study in (shelf.sweep, shelf.check):
        numbers = [one["seq"] for one in seen if one["study"] == study]
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers
    positions = [line[4:] for line in lines if line.startswith("id: ")]
    last = shelf.visitor.get(address, headers={"Last-Event-ID": positions[-1]})
    assert last.status_code == 204, "nothing can follow: both are over"
    with shelf.visitor.stream("GET", f"{address}&after={positions[-3]}") as stream:
        assert sum(line.startswith("id: ") for line in stream.iter_lines()) == 2


def test_what_happens_in_any_of_several_studies_is_told_with_the_place_in_all(
    shelf: Shelf,
) -> None:
    spec = swept.sweep("One of two", widths=(32, 64))
    ids = [measured.submitted(shelf.database, spec) for _ in range(2)]
    seen = [shelf.visitor.get(urls.api_study(one)).json()["event_seq"] for one in ids]
    address = f"{urls.comparison_events(ids)}&after={seen[0]},{seen[1]}"
    with shelf.visitor.stream("GET", address) as stream:
        lines = stream.iter_lines()
        for place in (1, 0, 1):
            seen[place] += 1
            with shelf.database.write() as conn:
                events.append(conn, ids[place], "step")
            found = told(lines)
            assert json.loads(found["data"])["study"] == ids[place]
            assert found["id"] == f"{seen[0]},{seen[1]}"


def told(lines: Iterator[str]) -> dict[str, str]:
    """The fields of the next event."""
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        found |= {name: value} if name in ("data", "id") else {}
        if not line and "id" in found:
            return found
    raise AssertionError("the stream has ended")


@pytest.mark.parametrize("after", ["7", "1,2,3", "x", "1,", "-1,2", "1,9999999999"])
def test_a_position_that_is_none_in_these_studies_is_refused(shelf: Shelf, after: str) -> None:
    address = urls.comparison_events([shelf.sweep, shelf.check])
    assert shelf.visitor.get(f"{address}&after={after}").status_code == 422
    assert shelf.visitor.get(address, headers={"Last-Event-ID": after}).status_code == 422


def test_recorded_studies_are_compared_by_slopes_and_never_paired(server: Running) -> None:
    pushing = Client(server.origin, server.token)
    chosen = []
    for name, growth in (("flat", 0.0), ("grown", 0.5)):
        address = pushing.push(recorded.pushed(name, {"hidden": growth}))
        chosen.append(f"{address.rpartition('/')[2]}:{recorded.pushed().variant.label}")
    recorded.judge(server.app.state.database)
    with server.browser() as visitor:
        page = Soup(visitor.get(urls.compare(chosen)).raise_for_status().text)
        grid = visitor.get(urls.study(chosen[0].partition(":")[0], tab="grid")).raise_for_status()
    assert "the data of a recording, which nobody knows" in page.text
    assert "B − A hidden, change since step 0, step 1, depth 0 +0.50 0.00 +0.50" in page.text
    assert "3 unpaired" in page.text
    assert grid.text.count('<a class="cell') == 12
