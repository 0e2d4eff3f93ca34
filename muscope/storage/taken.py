"""What the runs of every variant were trained on, and how much of a device's time they took."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, Select, func, select

from muscope.storage.tables import attempt, run

_NAMES = {
    "device": "device",
    "matmul_precision": "float32 products",
    "torch_version": "torch",
    "code_version": "code",
    "data_digest": "data, SHA-256",
}


def surroundings(conn: Connection, study_id: str) -> dict[str, Mapping[str, str]]:
    """By variant and name: devices, versions and data of the runs that gave a result."""
    columns = [attempt.c[name] for name in _NAMES]
    query = (
        select(run.c.variant, *columns)
        .distinct()
        .join(run, run.c.accepted_attempt == attempt.c.id)
        .where(run.c.study_id == study_id)
    )
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in conn.execute(query):
        for name, words in _NAMES.items():
            if value := getattr(row, name):
                found[row.variant][words].add(str(value))
    return {
        variant: {words: ", ".join(sorted(of[words])) for words in _NAMES.values() if words in of}
        for variant, of in found.items()
    }


def device_seconds(conn: Connection, study_id: str) -> dict[str, float]:
    """By variant: the time on a device of its runs, each an equal share of its bundle.

    A run that is reused counts as what it took where it was trained. A variant of which no run has
    ended with its time known has none.
    """
    members = (
        select(run.c.bundle_id, func.count().label("number"))
        .where(run.c.reuses.is_(None), run.c.bundle_id.in_(_bundles(study_id)))
        .group_by(run.c.bundle_id)
        .subquery()
    )
    share = (attempt.c.warm_up_s + attempt.c.train_s) / members.c.number
    query = (
        select(run.c.variant, func.sum(share))
        .join(attempt, attempt.c.id == run.c.accepted_attempt)
        .join(members, members.c.bundle_id == attempt.c.bundle_id)
        .where(run.c.study_id == study_id, attempt.c.train_s.is_not(None))
        .group_by(run.c.variant)
    )
    return {variant: float(seconds) for variant, seconds in conn.execute(query)}


def _bundles(study_id: str) -> Select[tuple[int]]:
    """Those in which its runs were trained, of whatever study they are."""
    return (
        select(attempt.c.bundle_id)
        .join(run, run.c.accepted_attempt == attempt.c.id)
        .where(run.c.study_id == study_id)
    )
