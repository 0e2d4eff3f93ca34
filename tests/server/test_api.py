"""The JSON API: the journey of a submission, and what cannot be submitted (attacks.md D, F, G)."""

import json
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from muscope.settings import Settings
from muscope.spec import LARGEST_GRID
from muscope.storage import workers
from muscope.storage.workers import WorkerRow
from muscope_server import limits
from muscope_server.services import submission
from tests.server.harmless import assert_dressed, refused
from tests.server.running import Running, running
from tests.server.specs import small, with_model, with_optimizer

STUDIES = "/api/v1/studies"


@pytest.fixture
def script(shared: Running) -> Iterator[httpx.Client]:
    with shared.script() as found:
        yield found


def test_a_study_is_planned_submitted_read_and_cancelled(client: httpx.Client) -> None:
    planned = client.post("/api/v1/plans", json=small()).json()
    assert (planned["runs"], planned["bundles"]) == (4, 2)
    created = client.post(STUDIES, json=small())
    assert created.status_code == 201
    study_id = created.json()["id"]
    assert created.json()["url"] == f"/studies/{study_id}"
    assert created.headers["location"] == f"{STUDIES}/{study_id}"
    study = client.get(f"{STUDIES}/{study_id}").json()
    assert (study["state"], study["counts"], study["runs"]) == ("queued", {"queued": 4}, 4)
    assert study["spec"]["widths"] == [32, 64]
    assert client.get(STUDIES).json()["studies"][0]["id"] == study_id
    runs = client.get(f"{STUDIES}/{study_id}/runs").json()["runs"]
    assert [(run["width"], run["state"]) for run in runs] == [(32, "queued")] * 2 + [
        (64, "queued")
    ] * 2
    assert client.get(f"{STUDIES}/{study_id}/verdicts").json()["verdicts"] == []
    assert client.post(f"{STUDIES}/{study_id}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{STUDIES}/{study_id}/cancel").json()["state"] == "cancelled"


def test_the_catalogue_has_what_a_spec_can_name(script: httpx.Client) -> None:
    catalogue = script.get("/api/v1/catalogue").json()
    assert {"gpt", "mlp"} <= {entry["name"] for entry in catalogue["models"]}
    assert {"adamw", "sgd"} <= {entry["name"] for entry in catalogue["optimizers"]}
    assert {"sp", "mup"} <= {entry["name"] for entry in catalogue["parametrizations"]}


def test_the_description_of_the_api_names_every_route_and_loads_nothing_from_elsewhere(
    script: httpx.Client,
) -> None:
    assert STUDIES in script.get("/api/v1/openapi.json").json()["paths"]
    assert script.get("/docs").status_code == script.get("/redoc").status_code == 404


def test_one_key_makes_one_study_however_often_and_parallel_it_is_sent(server: Running) -> None:
    key = {"Idempotency-Key": "the one"}
    with server.script() as client, ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: client.post(STUDIES, json=small(), headers=key), range(20))
        )
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert client.get(STUDIES).json()["total"] == 1
        other = lambda: client.post(STUDIES, json=small(steps=3), headers=key)  # noqa: E731
        assert "the one" in refused(server, other, 409).json()["error"]["message"]


@pytest.mark.parametrize(
    "key", [b"", b"x" * 201, b"x" * 10_240, b"a\tb", b"\xc3\xa9", b"\x7f"], ids=repr
)
def test_a_key_that_is_not_short_printable_ascii_is_refused(
    shared: Running, script: httpx.Client, key: bytes
) -> None:
    headers = [(b"Idempotency-Key", key)]
    refused(shared, lambda: script.post(STUDIES, json=small(), headers=headers), 422, 400)


def variants(count: int) -> dict[str, Any]:
    rates = [{"name": "sgd", "learning_rate": 0.001 * (n + 1)} for n in range(count)]
    return small(arms=[{"model": {"name": "mlp", "batch_size": 8}, "optimizers": rates}])


INVALID: dict[str, tuple[Any, str]] = {
    "width 0": (small(widths=[0, 64]), "widths.0"),
    "width -1": (small(widths=[-1, 64]), "widths.0"),
    "width -2**63": (small(widths=[-(2**63), 64]), "widths.0"),
    "width 2**63": (small(widths=[64, 2**63]), "widths.1"),
    "width 2**64": (small(widths=[64, 2**64]), "widths.1"),
    "width true": (small(widths=[True, 64]), "widths.0"),
    "width text": (small(widths=["32", 64]), "widths.0"),
    "width 64.0": (small(widths=[32, 64.0]), "widths.1"),
    "width null": (small(widths=[None, 64]), "widths.0"),
    "range": (small(widths={"start": 1, "stop": 1e12, "step": 1}), "widths"),
    "one width": (small(widths=[64]), "widths"),
    "no width": (small(widths=[]), "widths"),
    "width twice": (small(widths=[64, 64]), "widths"),
    "depth 513": (small(depths=[513]), "depths.0"),
    "seeds 65": (small(seeds=65), "seeds"),
    "seeds 1e9": (small(seeds=10**9), "seeds"),
    "steps 0": (small(steps=0), "steps"),
    "rows": (small(steps=100_000, seeds=64, widths=[32, 64, 96, 128]), "steps"),
    "slopes": (small(depths=[*range(491, 513)]), "steps"),
    "record": (small(record="everything"), "record"),
    "base width": (small(base_width=128), ""),
    "unknown field": (small(path="/etc/passwd"), "path"),
    "unknown field inside": (with_model(device="cuda:99"), "arms.0.model.device"),
    "unknown model": (with_model(name="os:system"), "arms.0.model"),
    "unknown optimizer": (with_optimizer(name="__class__"), "arms.0.optimizers.0"),
    "unknown dtype": (small(dtype="meta"), "dtype"),
    "unknown version": (small(version=2), "version"),
    "learning rate 0": (with_optimizer(learning_rate=0), "arms.0.optimizers.0.learning_rate"),
    "learning rate -1": (with_optimizer(learning_rate=-1), "arms.0.optimizers.0.learning_rate"),
    "learning rate text": (
        with_optimizer(learning_rate="{0.__class__}"),
        "arms.0.optimizers.0.learning_rate",
    ),
    "option of another": (with_optimizer(options={"beta1": 0.5}), "arms.0.optimizers.0"),
    "option too large": (with_optimizer(options={"momentum": 2.0}), "arms.0.optimizers.0"),
    "option text": (with_optimizer(options={"momentum": "0"}), "arms.0.optimizers.0"),
    "option list": (
        with_optimizer(options={"momentum": [0]}),
        "arms.0.optimizers.0.options.momentum",
    ),
    "heads": (
        with_model(name="gpt", options={"head_size": 48, "sequence_length": 8}),
        "",
    ),
    "too many runs": (small(widths=list(range(1, 65)), depths=list(range(1, 33))), ""),
    "too many variants": (variants(65), "arms.0.optimizers"),
    "variant twice": (small(parametrizations=[{"name": "sp"}] * 2), ""),
    "control character": (small(name="x\n2026-11-22 INFO admin login"), "name"),
    "bidirectional": (small(name="a\u202eb"), "name"),
    "not NFC": (small(name="e\u0301"), "name"),
    "long name": (small(name="x" * 121), "name"),
    "empty name": (small(name=""), "name"),
    "blank name": (small(name="   "), "name"),
    "zero in name": (small(name="a\x00b"), "name"),
    "no object": ([small()], ""),
    "a text": ("study", ""),
    "null": (None, ""),
    "nothing": ({}, "name"),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "path"), INVALID.values(), ids=INVALID)
def test_what_cannot_be_trained_is_refused_by_field(
    shared: Running, script: httpx.Client, spec: Any, path: str
) -> None:
    body = json.dumps(spec).encode()
    headers = {"Content-Type": "application/json"}
    start = time.process_time()
    response = refused(shared, lambda: script.post(STUDIES, content=body, headers=headers), 422)
    assert time.process_time() - start < 1.0
    error = response.json()["error"]
    assert error["code"] == "invalid_spec"
    assert any(field["path"] == path for field in error["fields"]), error
    assert len(error["message"]) > 10


def test_a_body_with_a_hundred_thousand_faults_is_refused_quickly(
    shared: Running, script: httpx.Client
) -> None:
    spec = small(widths=[32, 64], depths=["x"] * 100_000)
    refused(shared, lambda: script.post(STUDIES, json=spec), 422)
    many = small() | {f"field{n}": n for n in range(50_000)}
    refused(shared, lambda: script.post(STUDIES, json=many), 422)


def test_the_grid_is_counted_before_it_is_expanded(shared: Running, script: httpx.Client) -> None:
    rates = [{"name": "sgd", "learning_rate": 0.001 * (n + 1)} for n in range(64)]
    arms = [{"model": {"name": "mlp", "batch_size": n + 1}, "optimizers": rates} for n in range(16)]
    huge = small(arms=arms, widths=list(range(1, 65)), depths=list(range(1, 65)), seeds=64)
    start = time.process_time()
    response = refused(shared, lambda: script.post(STUDIES, json=huge), 422)
    assert time.process_time() - start < 1.0
    assert str(16 * 64 * 2 * 64 * 64 * 64) in response.json()["error"]["message"]
    assert str(LARGEST_GRID) in response.json()["error"]["message"]


def test_the_deepest_grid_is_planned_and_refused_in_a_moment(script: httpx.Client) -> None:
    depths = list(range(512 - 62, 513))
    deep = small(
        widths=list(range(33, 48)), depths=depths, parametrizations=[{"name": "sp"}], steps=1
    )
    gpt = {"name": "gpt", "batch_size": 1, "options": {"head_size": 1, "sequence_length": 2}}
    deep["arms"][0]["model"] = gpt
    start = time.process_time()
    response = script.post("/api/v1/plans", json=deep)
    assert time.process_time() - start < 2.0
    assert response.status_code == 422
    assert f"at most {limits.CELLS}" in response.json()["error"]["message"]


def test_what_fits_no_worker_is_refused_with_both_sizes(server: Running) -> None:
    row = WorkerRow("gpu0", "host", 1, "cpu", 2**30, "muscope", 1, "torch")
    with server.app.state.database.write() as conn:
        workers.beat(conn, row)
    large = small(widths=[64, 65_536], depths=[512])
    with server.script() as client:
        message = refused(server, lambda: client.post(STUDIES, json=large), 422).json()
    assert "the largest worker has 1.0 GiB" in message["error"]["message"]


def test_odd_names_are_stored_literally(client: httpx.Client) -> None:
    for name in (
        "{{7*7}}", "${jndi:ldap://x}", "<img src=x onerror=alert(1)>", "=1+1", "__class__",
        "' or 1=1--",
    ):  # fmt: skip
        study_id = client.post(STUDIES, json=small(name=name)).json()["id"]
        response = client.get(f"{STUDIES}/{study_id}")
        assert response.json()["name"] == name
        assert response.headers["content-type"] == "application/json"
        assert "&lt;" not in response.text


def test_more_studies_than_an_hour_takes_are_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "STUDIES_PER_HOUR", 2)
    with server.script() as client:
        for number in range(2):
            key = {"Idempotency-Key": f"{number}"}
            assert client.post(STUDIES, json=small(), headers=key).status_code == 201
        response = refused(server, lambda: client.post(STUDIES, json=small()), 429)
        assert 3500 < int(response.headers["retry-after"]) <= 3600
        assert client.post(STUDIES, json=small(), headers=key).status_code == 200
    assert limits.STUDIES_PER_HOUR == 60


def test_more_runs_than_may_wait_are_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "QUEUED_RUNS", 5)
    with server.script() as client:
        assert client.post(STUDIES, json=small()).status_code == 201
        response = refused(server, lambda: client.post(STUDIES, json=small()), 429)
    assert int(response.headers["retry-after"]) > 0
    assert limits.QUEUED_RUNS == 5_000


@pytest.mark.parametrize(
    "study_id",
    [
        "nosuch",
        "x" * 17,
        "x" * 5000,
        "%2e%2e",
        "a b",
        "é",
        "%27%20or%201=1--",
        "1%0d%0aX:1",
        "%F0%9F",
    ],
)
@pytest.mark.parametrize("part", ["", "/runs", "/verdicts", "/events"])
def test_an_unknown_study_is_not_found(
    shared: Running, script: httpx.Client, study_id: str, part: str
) -> None:
    response = script.get(f"{STUDIES}/{study_id}{part}")
    assert response.status_code == 404
    assert_dressed(response)
    assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "query",
    [
        "sort=(select 1)", "sort=name;drop table study", "sort=", "q=%25", "limit=0", "limit=201",
        "limit=-1", "limit=x", "limit=1e1", "limit=", "offset=-1", f"offset={2**64}", "offset=1.5",
        "limit=1&limit=2", "__class__=1", "q=" + "(a+)+$" * 2000, "offset=٣٣x",
    ],
)  # fmt: skip
def test_parameters_of_the_list_are_known_and_within_bounds(
    shared: Running, script: httpx.Client, query: str
) -> None:
    refused(shared, lambda: script.get(f"{STUDIES}?{query}"), 422)


def test_the_list_comes_in_pages(client: httpx.Client) -> None:
    ids = [client.post(STUDIES, json=small(name=f"n{n}")).json()["id"] for n in range(3)]
    page = client.get(STUDIES, params={"limit": 2, "offset": 1}).json()
    assert [study["id"] for study in page["studies"]] == ids[1::-1]
    assert page["total"] == 3


def test_a_database_that_is_locked_is_a_503_that_says_when_to_come_back(
    server: Running,
) -> None:
    database = server.app.state.database
    with server.script() as client, closing(sqlite3.connect(database.file)) as other:
        with database.write() as conn:  # the one connection of the pool, told to be impatient
            conn.exec_driver_sql("PRAGMA busy_timeout=100")
        other.execute("BEGIN EXCLUSIVE")
        response = client.post(STUDIES, json=small())
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert_dressed(response)
        assert client.get(STUDIES).status_code == 200
        other.rollback()
        assert client.post(STUDIES, json=small()).status_code == 201


def test_a_study_is_accepted_while_the_broker_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"})
    with running(away) as server, server.script() as client:
        start = time.monotonic()
        response = client.post(STUDIES, json=small())
        assert response.status_code == 201
        assert time.monotonic() - start < 3.0  # a refused Redis takes six seconds to say so
        study = client.get(f"{STUDIES}/{response.json()['id']}").json()
    assert study["state"] == "queued"


def test_a_refusal_speaks_as_the_command_line_does_and_keeps_its_paths(
    client: httpx.Client,
) -> None:
    error = client.post(STUDIES, json=with_model(batch_size=0)).json()["error"]
    assert error["message"].startswith("arms[0].model.batch_size: ")
    assert error["fields"][0]["path"] == "arms.0.model.batch_size"
