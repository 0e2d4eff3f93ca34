"""The worker: Celery's prefork pool with one training process, and the supervisor beside it."""

import logging
import platform
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery, signals

from muscope import dispatch
from muscope.settings import Settings
from muscope.storage import schema, workers
from muscope.storage.database import open_database
from muscope_worker import introduction
from muscope_worker.supervisor import Supervisor

log = logging.getLogger(__name__)

SOFT_SHUTDOWN_S = 15.0


def run(settings: Settings, *, name: str) -> int:
    """Work until told to stop; raises SchemaError on a database that is not upgraded."""
    worker_id = f"{name}@{_host()}"
    row = introduction.of_parent(worker_id)
    db = open_database(settings)
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
    # before it is ready nothing is at stake, and Celery's handlers would fail on a half-made worker
    install_signal_handlers = worker.install_platform_tweaks
    worker.install_platform_tweaks = lambda _: None
    on_ready = partial(_start, supervisor, install_signal_handlers)
    signals.worker_ready.connect(on_ready, weak=False)
    # Celery's own waits the whole time out; ours ends when the bundle has been handed back
    worker.wait_for_soft_shutdown = partial(supervisor.drain, SOFT_SHUTDOWN_S)
    log.info("worker %s: starting", worker_id)
    worker.start()
    return int(worker.exitcode or 0)


def _application(settings: Settings) -> Celery:
    app = dispatch.celery_app(settings)
    # a pool child that starts as a fresh interpreter imports the tasks by this name
    app.conf.include = ["muscope_worker.tasks"]
    app.conf.worker_soft_shutdown_timeout = SOFT_SHUTDOWN_S
    app.loader.import_default_modules()
    return app


def _start(
    supervisor: Supervisor, install_signal_handlers: Callable[[Any], None], sender: Any, **_: object
) -> None:
    """Celery is ready: from now on SIGTERM hands back, and pool and database are watched."""
    if supervisor.is_alive():
        return  # the signal comes again after every reconnection to the broker
    install_signal_handlers(sender.controller)
    _tell_exits(sender.controller.pool._pool, supervisor)
    supervisor.start()


def _tell_exits(pool: Any, supervisor: Supervisor) -> None:
    told_before = pool.on_process_down

    def on_process_down(process: Any) -> None:
        supervisor.note_exit(process.pid, process.exitcode)
        if told_before:
            told_before(process)

    pool.on_process_down = on_process_down


def _keep_logging(**_: object) -> None:
    """Logging was set up by the entry point; connecting here keeps Celery from doing it again."""


def _host() -> str:
    return platform.node() or "localhost"
