"""docker-compose.yml says what deploy.md promises (read as YAML: Docker is not run here)."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "MUSCOPE_TOKEN")


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret: str) -> None:
    uses = re.findall(rf"\$\{{{secret}([^}}]*)\}}", TEXT)
    assert uses
    assert all(use.startswith(":?") for use in uses)
    assert re.search(rf"^{secret}=$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_only_the_server_is_published_and_only_on_loopback() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["server"]
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["server"]["ports"])


def test_nothing_starts_before_the_database_is_upgraded() -> None:
    assert SERVICES["migrate"]["command"] == ["muscope", "db", "upgrade"]
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("server", "worker", "worker-gpu-0"):
        needs = SERVICES[name]["depends_on"]["migrate"]
        assert needs == {"condition": "service_completed_successfully"}


def test_what_dies_is_restarted_and_has_time_to_stop() -> None:
    for name, service in SERVICES.items():
        assert service["stop_grace_period"] == "40s"
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")


def test_the_broker_forgets_nothing_and_asks_for_a_password() -> None:
    command = SERVICES["redis"]["command"][-1]
    assert "--maxmemory-policy noeviction" in command
    assert "--requirepass" in command


def test_gpu_workers_are_off_by_default_and_have_one_gpu_each() -> None:
    gpus = [service for name, service in SERVICES.items() if name.startswith("worker-gpu")]
    devices = [gpu["deploy"]["resources"]["reservations"]["devices"] for gpu in gpus]
    assert [d["device_ids"] for device in devices for d in device] == [["0"], ["1"]]
    assert all(gpu["profiles"] for gpu in gpus)


def test_every_built_service_names_a_target_of_the_dockerfile() -> None:
    targets = set(re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, re.MULTILINE))
    built = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert built == {"server", "worker"}
    assert built <= targets


def test_the_server_image_has_no_torch_and_no_image_runs_as_root() -> None:
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.M | re.S))
    assert "torch" not in stages["server"]
    assert "USER muscope" in stages["server"]
    assert "USER muscope" in stages["worker"]


def test_volumes_that_the_how_to_adds_belong_to_who_writes_to_them() -> None:
    """A named volume has the owner of what the image has in its place; of nothing that is root."""
    how_to = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    mounted = re.findall(r'volumes: \["\w+:(/[\w/]+)"\]', how_to)
    (owned,) = re.findall(r"install -d -o muscope \S+ \S+ \S+ \S+ (.+)", DOCKERFILE)
    assert mounted == ["/var/lib/muscope/checkpoints"]
    assert set(mounted) <= set(owned.split())
