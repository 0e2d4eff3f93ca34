"""Databases with the schema, and servers on them; quick, because one template is copied."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from muscope.settings import Settings
from muscope.storage import schema
from muscope.storage.database import open_database
from tests.server import measured
from tests.server.running import Running, running
from tests.server.world import World


@pytest.fixture(scope="session")
def template_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an empty, upgraded database."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("template"), port=0)
    database = open_database(settings)
    schema.upgrade(database)
    database.close()
    return settings.data_dir


@pytest.fixture
def settings(template_dir: Path, tmp_path: Path) -> Settings:
    """Settings of a fresh house on a free port."""
    return fresh(template_dir, tmp_path)


@pytest.fixture
def server(settings: Settings) -> Iterator[Running]:
    """A server of its own for one test."""
    with running(settings) as found:
        yield found


@pytest.fixture(scope="module")
def shared(template_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests of a module that change nothing."""
    with running(fresh(template_dir, tmp_path_factory.mktemp("shared"))) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    """A client with the bearer token."""
    with server.script() as found:
        yield found


@pytest.fixture(scope="module")
def world(template_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared by the tests that change nothing."""
    settings = fresh(template_dir, tmp_path_factory.mktemp("pages"))
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        yield World(database, visitor, measured.finished(database, measured.small()))
        database.close()


@pytest.fixture
def visitor(server: Running) -> Iterator[httpx.Client]:
    """A visitor of an empty house."""
    with server.browser() as client:
        yield client


def fresh(template_dir: Path, folder: Path) -> Settings:
    """A copy of the template with settings that wait for nothing."""
    data_dir = folder / "data"
    shutil.copytree(template_dir, data_dir)
    data_dir.chmod(0o700)
    return Settings(data_dir=data_dir, port=0, reap_s=60, allowed_hosts="")
