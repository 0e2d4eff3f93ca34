"""The worker: Celery's prefork pool with one training process, and the supervisor beside it."""

import logging
import platform
from functools import partial
from typing import Any

from celery import Celery, signals

from muscope import dispatch
from muscope.settings import Settings
from muscope.storage import schema, workers
from muscope.storage.database import Database
from muscope_worker import introduction, leaving
from muscope_worker.supervisor import Supervisor

log = logging.getLogger(__name__)

LOST_S = 1.0
"""How long Celery waits for the result of a training process that died: there is none."""


def run(settings: Settings, *, name: str) -> int:
    """Work until told to stop; raises SchemaError on a database that is not upgraded."""
    worker_id = f"{name}@{_host()}"
    row = introduction.of_parent(worker_id)
    db = Database(settings.database)
    schema.check(db)
    with db.write() as conn:
        workers.beat(conn, row)
    db.close()
    app = _application(settings)
    supervisor = Supervisor(app, db, settings=settings, row=row)
    signals.setup_logging.connect(_keep_logging, weak=False)
    worker = app.Worker(
        hostname=worker_id,
        concurrency=1,
        pool="prefork",
        queues=[dispatch.QUEUE],
        loglevel="INFO",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    # Celery's own handlers are never installed; ours come when something is at stake (leaving.py)
    worker.install_platform_tweaks = lambda _: None
    signals.worker_ready.connect(partial(_start, supervisor), weak=False)
    log.info("worker %s: starting", worker_id)
    worker.start()
    return int(worker.exitcode or 0)


def _application(settings: Settings) -> Celery:
    app = dispatch.celery_app(settings)
    # a pool child that starts as a fresh interpreter imports the tasks by this name
    app.conf.include = ["muscope_worker.tasks"]
    app.conf.worker_lost_wait = LOST_S
    app.loader.import_default_modules()
    return app


def _start(supervisor: Supervisor, sender: Any, **_: object) -> None:
    """Celery is ready: from now on SIGTERM hands back, and pool and database are watched."""
    if supervisor.is_alive():
        return  # the signal comes again after every reconnection to the broker
    leaving.by_signal(supervisor.drain)
    _tell_exits(sender.controller.pool._pool, supervisor)
    supervisor.start()


def _tell_exits(pool: Any, supervisor: Supervisor) -> None:
    told_before = pool.on_process_down

    def on_process_down(process: Any) -> None:
        _free_locks(pool)
        supervisor.note_exit(process.pid, process.exitcode)
        if told_before:
            told_before(process)

    pool.on_process_down = on_process_down


def _free_locks(pool: Any) -> None:
    """Who waits for a task holds the lock of the tasks' pipe, also when killed: the next one hangs.

    Without Redis the pool has such locks; beside Redis each child has its own pipes.
    There is one training process: when it has ended, nobody else can hold them.
    """
    for queue, name in ((pool._inqueue, "_rlock"), (pool._outqueue, "_wlock")):
        lock = getattr(queue, name, None)
        if lock is not None and lock._semlock._is_zero():
            lock.release()


def _keep_logging(**_: object) -> None:
    """Logging was set up by the entry point; connecting here keeps Celery from doing it again."""


def _host() -> str:
    return platform.node() or "localhost"
