"""What workers say of their plugins, on the pages and in the API; no plugin is installed here."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from muscope.plugins import known
from muscope.settings import Settings
from muscope.storage import workers
from muscope.storage.database import open_database
from muscope.storage.workers import WorkerRow
from tests.server.running import Running

DESCRIBED = {
    "name": "our-plugin/sign@1.0",
    "description": {
        "kind": "optimizer",
        "title": "Sign",
        "help": "Sign {{7*7}} <b>descent.",
        "family": "sign_like",
        "learning_rate": 1e-3,
        "options": [{"name": "beta", "default": 0.5, "high": 1.0, "help": "Decay."}],
    },
}
TAILS = {
    "name": "our-plugin/tails@1.0",
    "description": {"kind": "statistic", "title": "Tails", "help": "Heavy?", "of": ["gradient"]},
}
REFUSED = "plugin bad/one@1.0 is left out: OSError: <script>"


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    known.offer(())


def beat(settings: Settings, plugins: str) -> None:
    """A living worker with this text about its plugins."""
    row = WorkerRow("w@here", "here", 1, "cpu", 2**33, "muscope", 1, "versions")
    database = open_database(settings)
    with database.write() as conn:
        workers.beat(conn, replace(row, plugins=plugins))
    database.close()


@pytest.fixture
def with_plugin(settings: Settings, server: Running) -> None:
    """A worker that has the plugin."""
    beat(settings, json.dumps({"described": [DESCRIBED, TAILS], "refused": [REFUSED]}))


def study(name: str = "our-plugin/sign") -> dict[str, object]:
    optimizer = {"name": name, "learning_rate": 1e-3}
    return {
        "name": "of plugins",
        "arms": [{"model": {"name": "mlp", "batch_size": 8}, "optimizers": [optimizer]}],
        "parametrizations": [{"name": "mup"}],
        "widths": [64, 128],
    }


@pytest.mark.usefixtures("with_plugin")
def test_a_worker_s_plugin_can_be_chosen_everywhere(server: Running, client: httpx.Client) -> None:
    listed = client.get("/api/v1/catalogue").json()["optimizers"]
    assert listed[-1]["name"] == "our-plugin/sign@1.0"
    assert client.get("/api/v1/plugins").json()["workers"][0]["refused"] == [REFUSED]
    with server.browser() as visitor:
        page = visitor.get("/studies/new").text
        about = visitor.get("/workers").text
    assert 'name="model.mlp.our-plugin/sign@1.0.option.beta"' in page
    assert "Sign [our-plugin 1.0]" in page
    assert "left out: OSError: &lt;script&gt;" in about
    assert "<code>our-plugin/sign@1.0</code>" in about


@pytest.mark.usefixtures("with_plugin")
def test_a_study_is_pinned_to_the_version_and_waits_for_it(
    settings: Settings, client: httpx.Client
) -> None:
    assert client.post("/api/v1/plans", json=study()).json()["warnings"] == [
        "fewer than 4 widths or less than a factor 8 between them: slopes will be uncertain"
    ]
    created = client.post("/api/v1/studies", json=study()).json()
    clone = client.get(f"/studies/new?clone={created['id']}").text
    assert '<textarea id="yaml" name="yaml" rows="12" spellcheck="false" aria-d' in clone
    assert "name: our-plugin" not in clone.partition("<textarea")[2].partition("</textarea>")[0]
    beat(settings, "")  # the worker started again, without the plugin
    clone = client.get(f"/studies/new?clone={created['id']}").text
    assert "name: our-plugin/sign@1.0" in clone  # as YAML: the fields cannot say it any more
    spec = client.get(f"/api/v1/studies/{created['id']}").json()["spec"]
    assert spec["arms"][0]["optimizers"][0]["name"] == "our-plugin/sign@1.0"
    refused = client.post("/api/v1/studies", json=study())
    assert refused.status_code == 422
    assert "no living worker has such a plugin" in refused.json()["error"]["message"]
    warned = client.post("/api/v1/plans", json=study("our-plugin/sign@1.0")).json()["warnings"][-1]
    assert warned.startswith("No living worker has our-plugin/sign@1.0: install our-plugin 1.0")
    page = client.get(created["url"], headers={"Accept": "text/html"}).text
    assert "No living worker has our-plugin/sign@1.0" in page


@pytest.mark.usefixtures("with_plugin")
def test_the_form_says_what_is_wrong_with_a_plugin_s_option(server: Running) -> None:
    with server.browser() as visitor:
        page = visitor.post(
            "/studies/plan",
            data={
                "name": "x", "model.mlp": "on", "model.mlp.batch_size": "8",
                "model.mlp.our-plugin/sign@1.0": "on",
                "model.mlp.our-plugin/sign@1.0.learning_rates": "1e-3",
                "model.mlp.our-plugin/sign@1.0.option.beta": "7",
            },
            headers={"hx-request": "true"},
        ).text  # fmt: skip
    assert "mlp sign beta: between 0 and 1, not 7" in page


def test_a_hostile_row_offers_nothing_and_breaks_nothing(
    settings: Settings, client: httpx.Client
) -> None:
    before = client.get("/api/v1/catalogue").json()
    hostile = [
        {**DESCRIBED, "name": "adamw"},
        {**DESCRIBED, "description": {**DESCRIBED["description"], "state": "__import__('os')"}},  # type: ignore[dict-item]
        {**DESCRIBED, "description": {**DESCRIBED["description"], "title": "<b>"}},  # type: ignore[dict-item]
        {"name": "a/b@1", "description": {"kind": "optimizer", "title": "x" * 10**6}},
    ]
    for one in hostile:
        beat(settings, json.dumps({"described": [one]}))
        assert client.get("/api/v1/catalogue").json() == before


def test_the_server_has_no_way_to_import_a_plugin() -> None:
    code = (
        "import sys, muscope_server.app, muscope_worker.app, muscope_worker.tasks; "
        "print({'muscope.plugins.importing', 'muscope.plugins.probe'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.usefixtures("with_plugin")
def test_a_study_is_submitted_from_where_the_plugin_is_not(
    settings: Settings, server: Running, tmp_path: Path
) -> None:
    file = tmp_path / "study.json"
    file.write_text(json.dumps(study()))
    token = settings.token_file.read_text().strip()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "muscope",
            "submit",
            str(file),
            "--url",
            server.origin,
            "--token",
            token,
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "study " in done.stdout


@pytest.mark.usefixtures("with_plugin")
def test_a_plugin_s_statistic_is_ticked_and_needs_what_it_is_of(
    server: Running, client: httpx.Client
) -> None:
    fields = {
        "name": "x", "model.mlp": "on", "model.mlp.batch_size": "8", "model.mlp.sgd": "on",
        "model.mlp.sgd.learning_rates": "0.1", "parametrization.sp": "on", "widths": "16, 32",
        "depths": "1", "seeds": "3", "steps": "2", "statistic.our-plugin/tails@1.0": "on",
        "model.mlp.option.nonlinearity": "relu", "model.mlp.option.loss": "cross_entropy",
        "model.mlp.option.precision": "float32", "model.mlp.option.dataset": "digits",
        "model.mlp.sgd.option.momentum": "0", "model.mlp.sgd.option.warmup_steps": "0",
        "model.mlp.sgd.option.final_fraction": "0", "model.mlp.sgd.option.decay_fraction": "0.1",
        "model.mlp.sgd.option.half_life_steps": "5000",
    }  # fmt: skip
    with server.browser() as visitor:
        assert "Tails [our-plugin 1.0]" in visitor.get("/studies/new").text
        said = visitor.post("/studies/plan", data=fields, headers={"hx-request": "true"}).text
        both = fields | {"record": "standard"}
        planned = visitor.post("/studies/plan", data=both, headers={"hx-request": "true"}).text
    assert "is of kind gradient, and record &#39;activations&#39; has none of these" in said
    assert "our-plugin/tails@1.0" in planned  # in the study as YAML
    sweep = study("sgd") | {"kind": "lr_transfer", "octaves": [-1, 0, 1]}
    refused = client.post("/api/v1/plans", json=sweep | {"statistics": ["our-plugin/tails"]})
    assert "statistics are for coordinate checks" in refused.text
