"""What the runs of one variant were trained on, and how much of a device's time they took."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from muscope.storage.tables import attempt, run

_NAMES = {
    "device": "device",
    "matmul_precision": "float32 products",
    "torch_version": "torch",
    "code_version": "code",
    "data_digest": "data, SHA-256",
}


def surroundings(conn: Connection, study_id: str, variant: str) -> Mapping[str, str]:
    """By name: devices, versions and data of the runs of a variant that gave a result."""
    columns = [attempt.c[name] for name in _NAMES]
    query = (
        select(*columns)
        .distinct()
        .join(run, run.c.accepted_attempt == attempt.c.id)
        .where(run.c.study_id == study_id, run.c.variant == variant)
    )
    rows = conn.execute(query).all()
    said = {
        words: ", ".join(sorted({str(value) for row in rows if (value := getattr(row, name))}))
        for name, words in _NAMES.items()
    }
    return {words: value for words, value in said.items() if value}


def device_seconds(conn: Connection, study_id: str, variant: str) -> float | None:
    """The time on a device of its runs, each an equal share of its bundle; None before the first.

    A run that is reused counts as what it took where it was trained.
    """
    other = run.alias("other")
    members = (
        select(func.count())
        .where(other.c.bundle_id == attempt.c.bundle_id, other.c.reuses.is_(None))
        .correlate(attempt)
        .scalar_subquery()
    )
    share = (attempt.c.warm_up_s + attempt.c.train_s) / func.nullif(members, 0)
    query = (
        select(func.sum(share))
        .join(run, run.c.accepted_attempt == attempt.c.id)
        .where(run.c.study_id == study_id, run.c.variant == variant)
    )
    seconds = conn.execute(query).scalar()
    return None if seconds is None else float(seconds)
