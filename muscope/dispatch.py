"""The Celery application, and the only sender of tasks: ids travel, nothing else.

A message may be lost, late or doubled without harm: the database is the truth, and a message
merely means *look for work* (decision 5).
"""

from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from muscope.settings import Settings

LOOK_FOR_WORK = "muscope.look_for_work"
JUDGE_STUDY = "muscope.judge_study"
QUEUE = "muscope"

BROKER_ERRORS = (OperationalError, OSError)
"""What sending raises while the broker is away: no harm, what is queued is sent again later."""


def celery_app(settings: Settings) -> Celery:
    """A Celery application on the broker in force: JSON only, no results, early acknowledgement."""
    app = Celery("muscope", broker=settings.broker)
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(settings),
        result_backend=None,
        task_acks_late=False,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
    )
    return app


def send(app: Celery, bundle_ids: Iterable[int]) -> None:
    """Tell the workers that these bundles are queued. Call it after the commit, never before."""
    for bundle_id in bundle_ids:
        app.send_task(LOOK_FOR_WORK, args=[bundle_id], queue=QUEUE, retry=False)


def send_judgement(app: Celery, study_ids: Iterable[str]) -> None:
    """Ask a worker for the judgement that these studies still lack."""
    for study_id in study_ids:
        app.send_task(JUDGE_STUDY, args=[study_id], queue=QUEUE, retry=False)


def _transport_options(settings: Settings) -> dict[str, Any]:
    if not settings.broker.startswith("filesystem"):
        return {}
    folders = {name: settings.broker_dir / name for name in ("messages", "processed", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.05,
        "store_processed": False,
    }
