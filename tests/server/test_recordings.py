"""Recorders send over HTTP; what they sent is on the pages like any other study."""

import json
from dataclasses import replace

import httpx
import pytest

from muscope.client import Client
from muscope.records import Sample
from muscope.storage import verdicts
from muscope.verdicts import own
from muscope.verdicts.own import OwnGrid
from muscope.vocabulary import CellVerdict
from muscope_server.errors import Refusal
from muscope_server.limits import RECORDER_BURST, RECORDER_REQUESTS_PER_S
from muscope_server.pace import Pace
from tests.server import recorded
from tests.server.harmless import refused
from tests.server.running import Running
from tests.server.soup import Soup
from tests.storage.recorded import batch, opening

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def study(server: Running) -> str:
    """A study that was pushed and judged: hidden sizes grow, the readout is shown only."""
    grown = recorded.pushed(exponents={"hidden": 0.5, "readout": 1.0})
    page = Client(server.origin, server.token).push(grown)
    recorded.judge(server.app.state.database)
    return page.rpartition("/")[2]


def test_a_pushed_study_is_judged_there_as_it_was_here(server: Running, study: str) -> None:
    here = recorded.pushed(exponents={"hidden": 0.5, "readout": 1.0})
    grid = OwnGrid(recorded.WIDTHS, 3, 12)
    samples = [sample for run in here.runs for sample in run.samples]
    expected = own.judge_own(here.variant, grid, here.tensors, samples, runs_judged=12, final=True)
    with server.app.state.database.read() as conn:
        (found,) = verdicts.of_study(conn, study)
    assert found.verdict is CellVerdict.GROWS
    assert (found.final, found.runs_judged, found.runs_planned) == (True, 12, 12)
    words = [(t.tensor, t.verdict) for t in found.tensors]
    assert words == [(t.tensor, t.verdict) for t in expected.tensors]
    assert [cell.slope for cell in found.cells] == [cell.slope for cell in expected.cells]


def test_pushing_twice_is_pushing_once(server: Running, client: httpx.Client) -> None:
    pushing = Client(server.origin, server.token)
    assert pushing.push(recorded.pushed()) == pushing.push(recorded.pushed())
    (study,) = client.get("/api/v1/studies").json()["studies"]
    assert (study["runs"], study["kind"], study["state"]) == (12, "recorded", "finished")
    rows = client.get(f"/api/v1/studies/{study['id']}/measurements.csv").text.splitlines()
    assert len(rows) == 1 + 12 * 2 * 3


def test_every_page_of_a_recorded_study_opens(server: Running, study: str) -> None:
    with server.browser() as visitor:
        assert "grows" in Soup(visitor.get("/").text).text
        for tab in ("verdict", "coordinate-check", "grid", "runs", "recipe", "report"):
            answer = visitor.get(f"/studies/{study}", params={"tab": tab})
            assert answer.status_code == 200, answer.text
            assert "my_model.py:build · its own AdamW" in answer.text
        runs = Soup(visitor.get(f"/studies/{study}", params={"tab": "runs"}).text).text
        assert "my_model.py:build · its own AdamW 64 – 0 finished" in runs, "no depth was given"
        label = recorded.pushed().variant.label
        for path in (
            f"/api/v1/studies/{study}/report.html",
            f"/api/v1/studies/{study}/budget",
            f"/api/v1/studies/{study}/runs",
            f"/api/v1/studies/{study}",
        ):
            assert visitor.get(path).status_code == 200, path
        figure = visitor.get(
            f"/api/v1/studies/{study}/figures/coordinate-check", params={"variant": label}
        )
        assert "3 tensors at 4 widths" in figure.json()["layout"]["meta"]["summary"]
        assert visitor.get("/studies/new", params={"clone": study}).status_code == 404


def test_a_recording_without_changes_opens_on_sizes(server: Running) -> None:
    whole = recorded.pushed("sizes only")
    runs = [replace(run, samples=tuple(map(without_change, run.samples))) for run in whole.runs]
    page = Client(server.origin, server.token).push(replace(whole, runs=runs))
    recorded.judge(server.app.state.database)
    with server.browser() as visitor:
        opened = Soup(visitor.get(page).text).text
        drawn = Soup(visitor.get(page, params={"tab": "coordinate-check"}).text).text
    assert "size (l1): exponent of width" in opened
    assert "3 tensors at 4 widths" in drawn


def without_change(sample: Sample) -> Sample:
    return replace(sample, values=sample.values._replace(change=None))


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"width": 0}, 422, "width"),
        ({"width": 2**63}, 422, "width"),
        ({"width": True}, 422, "width"),
        ({"recording": "../x"}, 422, "recording"),
        ({"study": "a\nb"}, 422, "control"),
        ({"study": "\u202eevil"}, 422, "bidirectional"),
        ({"key": "x" * 121}, 422, "key"),
        ({"environment": {"host": "x" * 201}}, 422, "environment"),
        ({"environment": {"device": "a\x1b[31m"}}, 422, "control"),
        ({"what": 1}, 422, "what"),
        ({"variant": {"label": "a", "optimizers": {"hidden": "__class__"}}}, 422, "allowed"),
        ({"variant": {"label": "a", "optimizers": {"hidden": ["adam"]}}}, 422, "variant"),
        ({"variant": {"label": "a", "parametrization": {"name": "os:system"}}}, 422, "allowed"),
    ],
)
def test_an_opening_that_cannot_be_is_refused(
    shared: Running, change: dict[str, object], status: int, said: str
) -> None:
    body = json.loads(opening().model_dump_json()) | change
    with shared.script() as client:
        answer = refused(shared, lambda: client.post("/api/v1/recordings", json=body), status)
    assert said in answer.text


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ('{"seq": 0, "losses": [{"step": 0, "train": NaN}]}', 400, "in quotes"),
        ('{"seq": 0, "losses": [{"step": -1, "train": 1.0}]}', 422, "step"),
        ('{"seq": 0, "losses": [{"step": 2147483648, "train": 1.0}]}', 422, "step"),
        ('{"seq": 0, "losses": [{"step": 1.5, "train": 1.0}]}', 422, "step"),
        ('{"seq": 0, "losses": [{"step": 0, "train": "infinite"}]}', 422, "train"),
        ('{"seq": 0, "rows": [{"step": 0, "tensor": 0, "values": {"l1": 1.0}}]}', 422, "tensor"),
        (
            '{"seq": 0, "tensors": [{"name": "a", "role": "hidden"}], '
            '"rows": [{"step": 0, "tensor": 0, "values": {"mean": -1.0, "l1": -1.0}}]}',
            422,
            "l1 cannot be negative",
        ),
        ('{"seq": 0, "tensors": [{"name": "%s", "role": "hidden"}]}' % ("x" * 201), 422, "name"),
        ('{"seq": 0, "tensors": [{"name": "a", "role": "boss"}]}', 422, "role"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(
    shared: Running, text: str, status: int, said: str
) -> None:
    path = f"/api/v1/recordings/{opening().recording}/batches"
    with shared.script() as client:
        client.post("/api/v1/recordings", content=opening().model_dump_json(), headers=JSON)
        answer = refused(shared, lambda: client.post(path, content=text, headers=JSON), status)
    assert said in answer.text


def test_too_many_rows_or_bytes_are_refused(server: Running, client: httpx.Client) -> None:
    path = f"/api/v1/recordings/{opening().recording}/batches"
    row = {"step": 0, "tensor": 0, "values": {"l1": 1}}
    many = {"seq": 0, "tensors": [{"name": "a", "role": "hidden"}], "rows": [row] * 20_001}
    refused(server, lambda: client.post(path, json=many), 422)
    large = b" " * (4 * 1024 * 1024 + 1)
    refused(server, lambda: client.post(path, content=large, headers=JSON), 413)


def test_a_recording_that_nobody_began_is_not_found(server: Running, client: httpx.Client) -> None:
    path = f"/api/v1/recordings/{'0' * 32}/batches"
    body = batch(0).model_dump_json()
    refused(server, lambda: client.post(path, content=body, headers=JSON), 404)
    odd = "/api/v1/recordings/%2e%2e/finish"
    refused(server, lambda: client.post(odd, json={"batches": 0, "rows": 0}), 404, 422)


def test_a_stranger_cannot_record(server: Running) -> None:
    with server.client() as stranger:
        body = opening().model_dump_json()
        send = lambda: stranger.post("/api/v1/recordings", content=body, headers=JSON)  # noqa: E731
        refused(server, send, 401)


def test_wrong_counts_leave_a_recording_open(server: Running, client: httpx.Client) -> None:
    client.post("/api/v1/recordings", content=opening().model_dump_json(), headers=JSON)
    path = f"/api/v1/recordings/{opening().recording}"
    client.post(f"{path}/batches", content=batch(0).model_dump_json(), headers=JSON)
    closing = {"batches": 2, "rows": 4}
    answer = refused(server, lambda: client.post(f"{path}/finish", json=closing), 409)
    assert answer.json()["error"]["code"] == "E_INCOMPLETE"
    right = client.post(f"{path}/finish", json={"batches": 1, "rows": 2})
    assert right.status_code == 200


def test_recorders_that_send_too_often_are_told_when_to_come_back() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    for _ in range(RECORDER_BURST):
        pace.check()
    with pytest.raises(Refusal) as refusal:
        pace.check()
    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (429, "1")
    now[0] = 1.0
    for _ in range(int(RECORDER_REQUESTS_PER_S)):
        pace.check()
    with pytest.raises(Refusal):
        pace.check()
