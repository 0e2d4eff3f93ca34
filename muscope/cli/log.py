"""Logging of the long-running commands: one line per arrow of the journey, to stderr."""

import logging

FORMAT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"


def to_stderr() -> None:
    """Log at INFO to stderr; the libraries below speak up only when something is wrong."""
    logging.basicConfig(level=logging.INFO, format=FORMAT)
    for noisy in ("celery", "kombu", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
