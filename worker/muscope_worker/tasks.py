"""The two tasks of the Celery application, and the training process that they run in.

Imported by the worker and, where pool children start as fresh interpreters, by each of them.
"""

import logging
import signal
import threading
from functools import partial

from celery import current_app, shared_task, signals
from sqlalchemy.exc import DBAPIError

from muscope import dispatch
from muscope.settings import Settings
from muscope.storage import bundles, plugins
from muscope.storage.database import Database, open_database
from muscope.storage.disk import DiskFull
from muscope_worker import introduction
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import catch_up

log = logging.getLogger(__name__)

_here: list[TrainingProcess] = []
_warm = threading.Event()


def look_for_work(bundle_id: int) -> None:
    """Execute the next queued bundle; the id that came along only says that there was one."""
    process = _here[0]
    _warm.wait()
    # billiard resets the handlers after a child has started, so this one is set here
    signal.signal(signal.SIGTERM, lambda *_: process.stop.set())
    if not next_bundle(process):
        log.info("bundle %s: nothing is queued", bundle_id)


def judge_study(study_id: str) -> None:
    """Make up for a judgement that is missing, or a stage that has not begun."""
    process = _here[0]
    process.tell(catch_up(process.db, study_id, patience_s=process.patience_s))


def start_training_process(sender: str, **_: object) -> None:
    """A pool child is an entry point: it reads the settings and opens its own database.

    torch takes seconds to import; Celery would kill a child that takes that long to start.
    """
    settings = Settings()
    db = open_database(settings)
    tell = partial(_tell, db)
    process = TrainingProcess(settings, db, worker_id=sender, tell=tell)
    _here[:] = [process]
    threading.Thread(target=_warm_up, args=(process,), name="warm-up", daemon=True).start()


def _tell(db: Database, bundle_ids: list[int]) -> None:
    """Send what was queued here; what cannot be sent now, the reapers send later."""
    if not bundle_ids:
        return
    try:
        with db.write() as conn:
            bundles.mark_sent(conn, bundle_ids)
        dispatch.send(current_app, bundle_ids)
    except (DBAPIError, DiskFull, *dispatch.BROKER_ERRORS) as error:
        log.warning("bundles %s are not sent yet: %s", bundle_ids, error)


def _warm_up(process: TrainingProcess) -> None:
    try:
        row = introduction.warm_up(process.db, process.worker_id, threads=process.settings.threads)
        process.plugins.update(one.key for one in plugins.of_worker(row))
    finally:
        _warm.set()  # what could not be imported fails the first bundle, with a sentence
    introduction.complete(process.db, row)


# weak=False: Celery keeps only weak references to handlers unless told otherwise
signals.worker_process_init.connect(start_training_process, weak=False)
shared_task(name=dispatch.LOOK_FOR_WORK)(look_for_work)
shared_task(name=dispatch.JUDGE_STUDY)(judge_study)
