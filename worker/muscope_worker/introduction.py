"""How a worker describes itself: the parent what it knows, the training process what torch says."""

import os
import platform
from dataclasses import replace

import muscope
from muscope import dispatch
from muscope.storage import workers
from muscope.storage.database import Database
from muscope.storage.workers import WorkerRow

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


def complete(db: Database, worker_id: str, *, threads: int) -> None:
    """Import what takes seconds, and write what it runs on into the worker's row."""
    # this is the one process that may hold torch and scipy
    from muscope.lab import engine, environment
    from muscope.verdicts import judge  # noqa: F401  # later it would be imported in a transaction

    engine.set_threads(threads)
    here = environment.describe()
    parent = replace(of_parent(worker_id), pid=os.getppid())
    row = with_device(
        parent, here.device, memory=here.memory_bytes, torch_version=here.torch_version
    )
    with db.write() as conn:
        workers.beat(conn, row)


def with_device(row: WorkerRow, device: str, *, memory: int, torch_version: str) -> WorkerRow:
    """The row with what only torch can tell."""
    versions = f"{row.versions}, torch {torch_version}"
    return replace(row, device=device, memory=memory, versions=versions)
