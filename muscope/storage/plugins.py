"""Plugins as the database knows them: what living workers have, and what studies were made with.

Only descriptions are read here; nothing of a plugin is ever imported.
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, and_, select
from sqlalchemy.dialects import postgresql, sqlite

from muscope.plugins import known, names
from muscope.plugins.descriptions import Described
from muscope.records import ExtraRow
from muscope.storage import nonfinite, workers
from muscope.storage.database import now
from muscope.storage.holders import holder
from muscope.storage.measurements import shown_attempt
from muscope.storage.tables import bundle, plugin, plugin_measurement, run, tensor
from muscope.storage.workers import WorkerRow
from muscope.vocabulary import BundleState

log = logging.getLogger(__name__)


class PluginConflict(ValueError):
    """One version of a plugin describes an entry in two ways; the message says what to do."""


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True)

    described: tuple[Described, ...] = ()
    refused: tuple[str, ...] = ()


def of_worker(row: WorkerRow) -> tuple[Described, ...]:
    """What a worker says that its plugins are."""
    return _read(row.plugins).described


def refused_by(row: WorkerRow) -> tuple[str, ...]:
    """Why a worker leaves plugins out, in sentences."""
    return _read(row.plugins).refused


@lru_cache(maxsize=64)
def _read(text: str) -> _Report:
    if not text:
        return _Report()
    try:
        return _Report.model_validate_json(text)
    except ValidationError as error:
        log.warning("what a worker says of its plugins cannot be read: %s", error)
        return _Report()


def offer(conn: Connection) -> None:
    """List in the catalogue what living workers can run, and no other entries of plugins.

    What a study was made with keeps its meaning: an entry that describes itself otherwise under
    the same version is not offered.
    """
    found: dict[str, Described] = {}
    for row in workers.alive(conn, within_s=workers.ALIVE_S):
        for one in of_worker(row):
            found.setdefault(one.name, one)
    stored = _stored(conn, found)
    usable = [one for one in found.values() if stored.get(one.name, one.key) == one.key]
    learned = []
    for one in sorted(usable, key=lambda one: one.description.kind != "dataset"):
        try:
            known.learn((one,))
            learned.append(one.name)
        except ValueError as error:
            log.warning("plugin %s is not offered: %s", one.name, error)
    known.offer(learned)


def teach(conn: Connection, *spec_jsons: str) -> None:
    """Let this process know every entry of a plugin that these specs name."""
    named = frozenset[str]().union(*(names.named_in(text) for text in spec_jsons))
    missing = known.unknown(named)
    if not missing:
        return
    found = _descriptions(conn, missing)
    depended = known.unknown(name for one in found for name in one.depends)
    known.learn([*found, *_descriptions(conn, depended)])


def _descriptions(conn: Connection, full_names: Collection[str]) -> list[Described]:
    query = select(plugin.c.description_json).where(plugin.c.name.in_(full_names))
    return [Described.model_validate_json(text) for text in conn.execute(query).scalars()]


def remember(conn: Connection, spec_json: str) -> None:
    """Keep the description of every entry that a study is made with, or PluginConflict."""
    for name in known.used(spec_json):
        described = known.get(name)
        assert described is not None  # the spec was validated by it
        dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
        new = dialect.insert(plugin).values(
            name=name,
            key=described.key,
            description_json=described.model_dump_json(),
            first_used_at=now(),
        )
        conn.execute(new.on_conflict_do_nothing(index_elements=["name"]))
        kept = conn.execute(select(plugin.c.key).where(plugin.c.name == name)).scalar_one()
        if kept != described.key:
            raise PluginConflict(
                f"{name} describes itself otherwise than when an earlier study was made with it; "
                "raise the version of its package, so that the two can be told apart"
            )


def need(spec_json: str) -> str | None:
    """What a bundle needs of the worker that claims it: keys of descriptions."""
    return ",".join(sorted(known.key(name) for name in known.needed(spec_json))) or None


def claimable(conn: Connection, have: Iterable[str]) -> list[str]:
    """Of all that queued bundles need, what a worker with these keys has."""
    of_queued = select(bundle.c.need_plugin).where(
        bundle.c.state == BundleState.QUEUED, bundle.c.need_plugin.is_not(None)
    )
    keys = frozenset(have)
    needs = conn.execute(of_queued.distinct()).scalars()
    return [one for one in needs if one and keys.issuperset(one.split(","))]


def code_version(version: str, needed: str | None) -> str:
    """The code that trains: muscope's, and the plugins' by the digest of all keys together.

    The names in the spec say the versions in words; a key is made of name, version and description.
    """
    if not needed:
        return version
    key = needed if "," not in needed else sha256(needed.encode()).hexdigest()[:12]
    return f"{version}+{key}"


def is_code_of(code: str | None, version: str) -> bool:
    """Whether an attempt's code is of this muscope; equal specs have equal plugins."""
    return code is not None and (code == version or code.startswith(f"{version}+"))


def missing(conn: Connection, spec_json: str) -> list[str]:
    """The entries that a study needs and that no living worker has, all others taken together.

    A worker must have all that one bundle needs; here each entry is asked for by itself, which is
    what a person can do something about.
    """
    alive = workers.alive(conn, within_s=workers.ALIVE_S)
    keys = {one.key for row in alive for one in of_worker(row)}
    return [name for name in known.needed(spec_json) if known.key(name) not in keys]


def missing_in_words(conn: Connection, spec_json: str) -> str | None:
    """That the study needs plugins which no living worker has, in a sentence; or None."""
    lacking = missing(conn, spec_json)
    if not lacking:
        return None
    packages = sorted({names.parse(name).of_package for name in lacking})
    return (
        f"No living worker has {', '.join(lacking)}: install {' and '.join(packages)} where a "
        "worker runs, and start that worker again"
    )


def _stored(conn: Connection, found: Iterable[str]) -> dict[str, str]:
    wanted = list(found)
    if not wanted:
        return {}
    query = select(plugin.c.name, plugin.c.key).where(plugin.c.name.in_(wanted))
    return {row.name: row.key for row in conn.execute(query)}


def csv_rows(conn: Connection, study_id: str) -> Iterator[ExtraRow]:
    """The numbers of plugins' statistics under EXTRA_HEADER, streamed: of what counts."""
    of = plugin_measurement
    grid = (run.c.variant, run.c.width, run.c.depth, run.c.batch_size, run.c.seed)
    place = (of.c.step, tensor.c.name, tensor.c.role, of.c.kind, of.c.statistic)
    query = (
        select(*grid, *place, of.c.value, of.c.nonfinite)
        .join_from(run, of, and_(of.c.run_id == holder(), of.c.attempt_id == shown_attempt()))
        .join(tensor, tensor.c.id == of.c.tensor_id)
        .where(run.c.study_id == study_id)
        .order_by(run.c.ordinal, of.c.step, tensor.c.ordinal, of.c.kind, of.c.statistic)
        .execution_options(yield_per=2_000)
    )
    for *coordinates, value, bits in conn.execute(query):
        yield (*coordinates, nonfinite.restored(value, bits, 0))
