"""Plugins with real processes: described by a worker, chosen on a page, trained, judged, gone."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from muscope.settings import Settings
from muscope.storage import measurements, verdicts, workers
from muscope.storage.database import Database, open_database
from muscope.vocabulary import RunState
from tests.e2e import house
from tests.plugins import packages

pytestmark = pytest.mark.e2e

HOSTILE = (
    packages.OPTIMIZER
    + """
import os
from pathlib import Path

with Path(os.environ["WITNESS"]).open("a") as file:
    file.write(f"{os.getpid()}\\n")

class Raises(Optimizer):
    def update(self, weight, gradient, *, state, rates, step):
        if step == 2:
            raise RuntimeError("I was never tested")
        return super().update(weight, gradient, state=state, rates=rates, step=step)

raising = plugin(Raises)

class Speechless:
    def describe(self):
        raise KeyError("title")

speechless = Speechless()
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example, and a package that fails in training and when it is asked."""
    folder = tmp_path / "site"
    packages.install_example(folder)
    points = {"raises": "hostile:raising", "speechless": "hostile:speechless"}
    packages.install(folder, "hostile", "1.0", points=points, code=HOSTILE)
    return folder


class Server:
    """The API of a server, with its token."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token

    def ask(self, path: str, body: object = None) -> Any:
        """JSON, or the text of a page."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data=data)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        return (
            json.loads(text)
            if answer.headers["Content-Type"].startswith("application/json")
            else text
        )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of the house that `muscope up` keeps."""
    return Settings(data_dir=tmp_path / "data")


def study(model: dict[str, Any], optimizer: str, parametrization: str) -> dict[str, Any]:
    """Two widths of one variant."""
    chosen = {"name": optimizer, "learning_rate": 1e-3}
    return {
        "name": "of plugins",
        "arms": [{"model": {"batch_size": 8, **model}, "optimizers": [chosen]}],
        "parametrizations": [{"name": parametrization}],
        "widths": [16, 32],
        "seeds": 2,
        "steps": 3,
    }


def test_a_plugin_s_whole_way(tmp_path: Path, folder: Path, settings: Settings) -> None:
    witness = tmp_path / "pids"
    env = {**packages.on_path(folder), "WITNESS": str(witness)}
    with house.up(settings.data_dir, "--no-demo", env=env) as running:
        greeting = running.line("muscope is running: http", within_s=60)
        address, _, token = greeting.split()[-1].partition("/?token=")
        server = Server(address, settings.token_file.read_text().strip() or token)

        def reported() -> dict[str, Any] | None:
            return next(
                (one for one in server.ask("/api/v1/plugins")["workers"] if one["described"]), None
            )

        worker = house.until(reported, within_s=90, what="a worker with plugins")
        described = {one["name"]: one["description"]["kind"] for one in worker["described"]}
        refused = "\n".join(worker["refused"])

        offered = server.ask("/studies/new")
        asked = study(
            {"name": "muscope-example/gated_mlp"},
            "muscope-example/signum",
            "muscope-example/half_mup",
        )
        good = server.ask("/api/v1/studies", {**asked, "statistics": ["muscope-example/kurtosis"]})
        bad = server.ask("/api/v1/studies", study({"name": "mlp"}, "hostile/raises", "mup"))
        db = open_database(settings)
        try:
            runs = house.finished(db, good["id"], within_s=90)
            failed = house.finished(db, bad["id"], within_s=90)
            with db.read() as conn:
                (row,) = workers.alive(conn, within_s=60)
                judged = verdicts.of_study(conn, good["id"])
                samples = measurements.samples(conn, good["id"])
                code = code_versions(db, good["id"])
        finally:
            db.close()
        kurtosis = server.ask(f"/api/v1/studies/{good['id']}/plugin-statistics.csv").splitlines()
        page = server.ask(f"/studies/{bad['id']}")
        family = {process.pid: process.cmdline() for process in running.family()}
        imported_by = set(map(int, witness.read_text().split()))

    assert described["muscope-example/signum@0.1.0"] == "optimizer"
    assert "muscope-example/half_mup@0.1.0" in described
    assert "hostile/speechless@1.0 is left out: KeyError" in refused
    assert "Signum [muscope-example 0.1.0]" in offered

    assert {run.state for run in runs} == {RunState.FINISHED}
    assert len(judged) == 1
    assert {one.tensor for one in samples} >= {"blocks.0.gate", "blocks.1.residual", "readout"}
    assert all("+" in version for version in code)

    assert len(kurtosis) == 1 + len(samples)  # one for every activation that was recorded
    assert kurtosis[1].split(",")[-2] == "muscope-example/kurtosis@0.1.0"

    assert {run.state for run in failed} == {RunState.FAILED}
    assert {run.error_code for run in failed} == {"E_PLUGIN"}
    assert "plugin hostile/raises@1.0 failed: RuntimeError: I was never tested" in str(
        failed[0].error_text
    )
    assert "hostile/raises@1.0" in page

    assert_only_the_pool_imported(family, {row.pid, running.process.pid}, imported_by)

    told = without_plugins(settings, good["id"])
    assert told["label"].startswith("Gated MLP [muscope-example 0.1.0]")
    assert "No living worker has muscope-example/gated_mlp@0.1.0" in told["waiting"]


def assert_only_the_pool_imported(
    family: dict[int, list[str]], parents: set[int], imported_by: set[int]
) -> None:
    """Neither the worker's parent, nor the server, nor who started both."""
    light = {pid for pid, line in family.items() if pid in parents or "server" in " ".join(line)}
    assert len(light) == 3
    assert imported_by
    assert not imported_by & light


def code_versions(db: Database, study_id: str) -> list[str]:
    """Of every attempt at a study."""
    from sqlalchemy import select

    from muscope.storage.tables import attempt, bundle

    query = select(attempt.c.code_version).join(bundle, bundle.c.id == attempt.c.bundle_id)
    with db.read() as conn:
        return list(conn.execute(query.where(bundle.c.study_id == study_id)).scalars())


def without_plugins(settings: Settings, study_id: str) -> dict[str, str]:
    """What a fresh server reads of a study whose plugin is gone."""
    code = (
        "import json, sys\n"
        "from muscope.settings import Settings\n"
        "from muscope.storage.database import open_database\n"
        "from muscope.storage import studies\n"
        "from muscope_server import waiting\n"
        f"db = open_database(Settings(data_dir={str(settings.data_dir)!r}))\n"
        "with db.read() as conn:\n"
        f"    row = studies.get(conn, {study_id!r})\n"
        "    waiting.workers.ALIVE_S = 0.0\n"
        "    said = waiting.sentence(conn, row)\n"
        "print(json.dumps({'label': row.spec.variants[0].label, 'waiting': said}))\n"
        "assert not {'muscope_example', 'hostile', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
