"""Time to the server's first page, and the memory of server and worker after a study."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks import report

MUSCOPE = Path(sys.executable).with_name("muscope")
TOKEN = "benchmark-token-of-no-value"
DEADLINE_S = 120.0
STUDY = {
    "name": "memory",
    "arms": [
        {
            "model": {"name": "gpt", "batch_size": 8},
            "optimizers": [{"name": "adamw", "learning_rate": 0.003}],
        }
    ],
    "parametrizations": [{"name": "sp"}, {"name": "mup"}],
    "widths": [256, 512],
    "seeds": 3,
    "steps": 2,
}


@contextmanager
def house() -> Iterator[dict[str, str]]:
    """An environment with an upgraded database in a folder of its own, and a free port."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        own = {"MUSCOPE_DATA_DIR": folder, "MUSCOPE_PORT": port, "MUSCOPE_TOKEN": TOKEN}
        env = {**os.environ, **own}
        subprocess.run([MUSCOPE, "db", "upgrade"], env=env, check=True, stdout=subprocess.DEVNULL)
        yield env


@contextmanager
def part(name: str, env: dict[str, str]) -> Iterator[psutil.Process]:
    """A server or a worker, ended with the block."""
    log = Path(env["MUSCOPE_DATA_DIR"]) / f"{name}.log"
    with log.open("w") as file:
        process = subprocess.Popen([MUSCOPE, name], env=env, stdout=file, stderr=file)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def browser(env: dict[str, str]) -> httpx.Client:
    """A client that carries the token."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{env['MUSCOPE_PORT']}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        follow_redirects=True,
    )


def first_page(client: httpx.Client) -> None:
    """Ask for the home page until it comes."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        try:
            client.get("/").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.01)
    sys.exit("the server did not answer")


def seconds_to_first_page() -> float:
    """Start a server on an empty database."""
    with house() as env, browser(env) as client:
        started = time.monotonic()
        with part("server", env):
            first_page(client)
            return time.monotonic() - started


def wait_for(client: httpx.Client, study: str) -> None:
    """Wait until a study has finished."""
    until = time.monotonic() + DEADLINE_S
    while client.get(f"/api/v1/studies/{study}").json()["state"] != "finished":
        if time.monotonic() > until:
            sys.exit("the study did not finish")
        time.sleep(0.1)


def memory() -> tuple[float, float, float]:
    """Resident MiB of server, worker parent and training process, after a study was looked at."""
    with (
        house() as env,
        part("server", env) as server,
        part("worker", env) as worker,
        browser(env) as client,
    ):
        first_page(client)
        study = client.post("/api/v1/studies", json=STUDY).raise_for_status().json()["id"]
        wait_for(client, study)
        client.get(f"/studies/{study}").raise_for_status()
        training = max(map(report.rss_mib, worker.children(recursive=True)), default=0.0)
        return report.rss_mib(server), report.rss_mib(worker), training


def main() -> None:
    """Print the median time and the memory."""
    options = report.arguments("First page and memory.", repeat=5)
    page = statistics.median(seconds_to_first_page() for _ in range(options.repeat))
    server, worker, training = memory()
    figures: dict[str, str | float] = {
        "first_page": f"{page:.2f} s",
        "server": f"{server:.0f} MiB",
        "worker_parent": f"{worker:.0f} MiB",
        "worker_training": f"{training:.0f} MiB",
    }
    report.say(figures, as_json=options.json)


if __name__ == "__main__":
    main()
