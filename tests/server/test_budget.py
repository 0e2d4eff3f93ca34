"""What a study will take, before it is submitted, and what it took, afterwards."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from muscope.machine import Machine
from muscope.storage import workers
from muscope.storage.database import Database, open_database
from muscope_server import urls
from tests.core.machines import ROUND
from tests.server import measured
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.specs import small
from tests.server.world import World


@pytest.fixture
def database(server: Running) -> Iterator[Database]:
    """The database of a server that has no study and no worker yet."""
    found = open_database(server.settings)
    yield found
    found.close()


def greet(database: Database, name: str, machine: Machine | None) -> None:
    with database.write() as conn:
        workers.beat(conn, replace(measured.WORKER, id=name, machine=machine))


def test_the_plan_says_how_long_it_takes_on_the_workers_that_are_there(
    database: Database, client: httpx.Client
) -> None:
    def planned() -> tuple[float | None, str]:
        answer = client.post("/api/v1/plans", json=small()).json()
        return answer["seconds"], answer["time"]

    assert planned() == (None, "no worker is there, so nobody knows how long it takes")
    greet(database, "one", None)
    seconds, words = planned()
    assert seconds is None
    assert words.startswith("no worker has been calibrated yet")
    greet(database, "one", ROUND)
    alone, words = planned()
    assert alone
    assert words.startswith(("about ", "less than"))
    assert words.endswith(" on this worker")
    greet(database, "two", ROUND)
    together, words = planned()
    assert together
    assert alone / 2 <= together < alone
    assert words.endswith(" on these 2 workers")


def test_the_form_shows_the_same_time(world: World) -> None:
    page = world.soup(urls.new_study)
    assert "on this worker" in page.by_id("plan")


def test_the_runs_tab_shows_what_every_bundle_took_and_all_of_them(world: World) -> None:
    page = world.soup(urls.study(world.study_id, tab="runs"))
    assert "mlp, sgd, width 512, depth 1" in page.text
    assert "time 12.0 s" in page.text  # four bundles of 3 s
    assert "peak memory 3 MiB" in page.text
    assert "of the matrix-product ceiling" in page.text
    assert {urls.budget(world.study_id), f"{urls.budget(world.study_id)}.csv"} <= set(page.links)


def test_the_json_and_the_csv_say_the_same(world: World) -> None:
    found = world.visitor.get(urls.budget(world.study_id)).json()
    answer = world.visitor.get(f"{urls.budget(world.study_id)}.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["width"] for row in rows] == ["64", "128", "256", "512"]
    assert found["total"]["time_s"] == 12.0
    for bundle, row in zip(found["bundles"], rows, strict=True):
        assert float(row["fraction"]) == bundle["budget"]["fraction"]
        assert float(row["flops"]) == bundle["budget"]["flops"]
        assert int(row["peak_bytes"]) == bundle["budget"]["peak_bytes"]


def test_a_study_that_waits_has_taken_nothing(database: Database, client: httpx.Client) -> None:
    study_id = measured.submitted(database, measured.small())
    assert client.get(f"/api/v1/studies/{study_id}/budget").json()["total"] is None


def test_the_report_names_threads_products_and_budget(world: World) -> None:
    page = Soup(world.visitor.get(urls.report(world.study_id)).text)
    assert "of the matrix-product ceiling" in page.text
    assert "float32 products" in page.text


def test_the_workers_page_shows_the_ceiling(world: World) -> None:
    assert "100 GFLOP/s" in world.soup(urls.workers).text
