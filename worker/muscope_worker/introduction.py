"""How a worker describes itself: the parent what it knows, the training process what torch says."""

import logging
import os
import platform
import time
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

import muscope
from muscope import dispatch
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


def warm_up(worker_id: str, *, threads: int) -> WorkerRow:
    """Import what takes seconds; the worker's row with what it runs on."""
    # this is the one process that may hold torch and scipy
    from muscope.lab import engine, environment
    from muscope.verdicts import judge  # noqa: F401  # later somebody would wait for it

    engine.set_threads(threads)
    here = environment.describe()
    parent = replace(of_parent(worker_id), pid=os.getppid())
    return with_device(
        parent, here.device, memory=here.memory_bytes, torch_version=here.torch_version
    )


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
