"""The two tasks of the Celery application, and the training process that they run in.

Imported by the worker and, where pool children start as fresh interpreters, by each of them.
"""

import logging
import signal
import threading
from functools import partial

from celery import shared_task, signals

from muscope import dispatch
from muscope.settings import Settings
from muscope.storage.database import open_database
from muscope_worker import introduction
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import judge_study as judge_in_transaction

log = logging.getLogger(__name__)

_here: list[TrainingProcess] = []
_warming: list[threading.Thread] = []


def look_for_work(bundle_id: int) -> None:
    """Execute the next queued bundle; the id that came along only says that there was one."""
    process = _here[0]
    _warming[0].join()
    # billiard resets the handlers after a child has started, so this one is set here
    signal.signal(signal.SIGTERM, lambda *_: process.stop.set())
    if not next_bundle(process):
        log.info("bundle %s: nothing is queued", bundle_id)


def judge_study(study_id: str) -> None:
    """Repeat a judgement that is missing."""
    with _here[0].db.write() as conn:
        judge_in_transaction(conn, study_id)


def start_training_process(sender: str, **_: object) -> None:
    """A pool child is an entry point: it reads the settings and opens its own database.

    torch takes seconds to import; Celery would kill a child that takes that long to start.
    """
    settings = Settings()
    db = open_database(settings)
    _here[:] = [TrainingProcess(settings, db, worker_id=sender)]
    warm_up = partial(introduction.complete, db, sender, threads=settings.threads)
    _warming[:] = [threading.Thread(target=warm_up, name="warm-up", daemon=True)]
    _warming[0].start()


# weak=False: Celery keeps only weak references to handlers unless told otherwise
signals.worker_process_init.connect(start_training_process, weak=False)
shared_task(name=dispatch.LOOK_FOR_WORK)(look_for_work)
shared_task(name=dispatch.JUDGE_STUDY)(judge_study)
