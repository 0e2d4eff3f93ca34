"""How a worker describes itself: the parent what it knows, the training process what torch says."""

import logging
import os
import platform
import time
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

import muscope
from muscope import dispatch
from muscope.machine import Machine
from muscope.storage import workers
from muscope.storage.database import Database
from muscope.storage.disk import DiskFull
from muscope.storage.workers import WorkerRow

log = logging.getLogger(__name__)

AGAIN_S = 2.0
PROTOCOL = 1
"""Raised when a bundle of an older muscope could not be executed as it was meant."""


def of_parent(worker_id: str) -> WorkerRow:
    """What is known before torch is imported: not the device, and so not its memory."""
    return WorkerRow(
        id=worker_id,
        host=platform.node(),
        pid=os.getpid(),
        device="starting",
        memory=0,
        queues=dispatch.QUEUE,
        protocol=PROTOCOL,
        versions=f"muscope {muscope.__version__}, Python {platform.python_version()}",
    )


def warm_up(db: Database, worker_id: str, *, threads: int) -> WorkerRow:
    """Import what takes seconds, measure the device; the worker's row with what it runs on.

    `threads` is the setting: 0 shares the cores with the other workers of this host.
    """
    # this is the one process that may hold torch and scipy
    from muscope.lab import calibration, engine, environment
    from muscope.verdicts import judge  # noqa: F401  # later somebody would wait for it

    environment.use_one_interop_thread()
    engine.set_threads(threads or share_of_cores(db))
    here = environment.describe()
    parent = replace(of_parent(worker_id), pid=os.getppid())
    row = with_device(
        parent, here.device, memory=here.memory_bytes, torch_version=here.torch_version
    )
    row = replace(row, machine=_known(db, worker_id) or calibration.calibrate())
    return replace(row, plugins=_plugins())


def _plugins() -> str:
    """What the plugins of this environment describe, asked by a process of its own, as JSON."""
    # a worker without plugins needs nothing of it
    from muscope.plugins import probe

    report = probe.report()
    for sentence in report.refused:
        log.error("%s", sentence)
    return report.model_dump_json() if report.described or report.refused else ""


def share_of_cores(db: Database) -> int:
    """The cores of this host over its living workers: bundles side by side do not fight."""
    from muscope.lab import environment  # as above

    try:
        with db.read() as conn:
            sharing = workers.on_host(conn, platform.node(), within_s=workers.ALIVE_S)
    except DBAPIError as error:
        log.warning("nobody says how many workers share these cores: %s", error)
        sharing = 1
    return max(1, environment.cores() // max(1, sharing))


def set_threads(db: Database, worker_id: str, *, threads: int) -> None:
    """Before a bundle: the threads of the setting, or this worker's share of the cores now.

    With another number of threads the machine is another one, and is measured again.
    """
    from muscope.lab import calibration, engine  # as above

    engine.set_threads(threads or share_of_cores(db))
    with db.read() as conn:
        is_measured = workers.machine(conn, worker_id) is not None
    if is_measured and _known(db, worker_id) is None:
        machine = calibration.calibrate()
        with db.write() as conn:
            workers.note_machine(conn, worker_id, machine)


def _known(db: Database, worker_id: str) -> Machine | None:
    """What this worker has measured since it started, on this device with as many threads."""
    from muscope.lab import environment  # as above

    here = environment.describe()
    try:
        with db.read() as conn:
            found = workers.machine(conn, worker_id)
    except DBAPIError as error:
        log.warning("worker %s cannot look up what it has measured: %s", worker_id, error)
        return None
    return found if found and here.is_of(found) else None


def complete(db: Database, row: WorkerRow) -> None:
    """Write what this worker runs on, however long the database is away or its disk full."""
    while True:
        try:
            with db.write() as conn:
                return workers.beat(conn, row)
        except (DBAPIError, DiskFull) as error:
            log.warning("worker %s cannot say yet what it runs on: %s", row.id, error)
        time.sleep(AGAIN_S)


def with_device(row: WorkerRow, device: str, *, memory: int, torch_version: str) -> WorkerRow:
    """The row with what only torch can tell."""
    versions = f"{row.versions}, torch {torch_version}"
    return replace(row, device=device, memory=memory, versions=versions)
