"""What a study puts into the queue: bundles with their runs, and the tensors these will record."""

import itertools
from collections.abc import Sequence
from types import MappingProxyType
from typing import TypeAlias

from sqlalchemy import Connection, Row, func, insert, select

from muscope import plan
from muscope.plan import Plan, PlannedBundle
from muscope.spec import RunSpec, canonical_json, digest
from muscope.storage import events, plugins
from muscope.storage.holders import Sources, Value
from muscope.storage.tables import bundle, run, tensor
from muscope.vocabulary import BundleState, RunState

QUEUE = "muscope"
NOTHING: Sources = MappingProxyType({})

Values: TypeAlias = dict[str, Value]
RECORDER_QUEUE = "recorder"
"""Of bundles that are executed elsewhere, by whoever records them: no worker looks there."""


def bundles(
    conn: Connection,
    study_id: str,
    planned: Sequence[PlannedBundle],
    *,
    stage: int,
    sources: Sources = NOTHING,
) -> list[int]:
    """Write the runs of a stage, in the order of its plan; give the ids of the bundles queued.

    A run of which `sources` has an equal one has ended with it; the others wait in their bundles.
    """
    numbers = itertools.count(runs_so_far(conn, study_id))
    reused: list[Values] = []
    waiting: list[tuple[PlannedBundle, list[Values]]] = []
    for entry in planned:
        left = []
        for spec in entry.runs:
            row = _new_run(study_id, spec, ordinal=next(numbers), stage=stage)
            source = sources.get(str(row["spec_digest"]))
            if source is None:
                left.append((spec, row))
            else:
                reused.append({**row, **source.values, "reuses": source.run_id})
        if left:
            waiting.append((plan.together([spec for spec, _ in left]), [row for _, row in left]))
    bundle_ids = _insert_bundles(conn, study_id, [entry for entry, _ in waiting])
    queued = [
        {**row, "bundle_id": bundle_id}
        for bundle_id, (_, rows) in zip(bundle_ids, waiting, strict=True)
        for row in rows
    ]
    new = [*_insert_runs(conn, reused), *_insert_runs(conn, queued)]
    events.append_all(
        conn, study_id, [events.NewEvent("run_state", row.id, None, row.state) for row in new]
    )
    return bundle_ids


def tensors(conn: Connection, study_id: str, planned: Plan) -> None:
    """Every tensor of every model, in the order of the deepest: the readout stays last."""
    first_runs = (entry.runs[0] for entry in planned.bundles)
    # Names do not depend on width: of hundreds of shapes a few are left.
    distinct = {
        (one.variant.model.model_dump_json(), one.depth, one.record): one for one in first_runs
    }
    shapes = sorted(distinct.values(), key=lambda one: -one.depth)
    names = dict.fromkeys(
        (entry.name, entry.role.value) for spec in shapes for entry in plan.tensors(spec)
    )
    if not names:  # a study that records losses only
        return
    conn.execute(
        insert(tensor),
        [
            {"study_id": study_id, "name": name, "role": role, "ordinal": ordinal}
            for ordinal, (name, role) in enumerate(names)
        ],
    )


def runs_so_far(conn: Connection, study_id: str) -> int:
    """How many runs a study has, those that were replaced among them."""
    query = select(func.count()).select_from(run).where(run.c.study_id == study_id)
    return conn.execute(query).scalar_one()


def _insert_bundles(conn: Connection, study_id: str, planned: Sequence[PlannedBundle]) -> list[int]:
    if not planned:
        return []
    rows = [
        {
            "study_id": study_id,
            "queue": QUEUE,
            "state": BundleState.QUEUED,
            "need_memory": entry.memory_bytes,
            "need_plugin": plugins.need(canonical_json(entry.runs[0])),
        }
        for entry in planned
    ]
    new = insert(bundle).returning(bundle.c.id, sort_by_parameter_order=True)
    return list(conn.execute(new, rows).scalars())


def _insert_runs(conn: Connection, rows: Sequence[Values]) -> Sequence[Row[int, str]]:
    """Id and state of the new runs."""
    if not rows:
        return []
    new = insert(run).returning(run.c.id, run.c.state, sort_by_parameter_order=True)
    return conn.execute(new, rows).all()


def _new_run(study_id: str, spec: RunSpec, *, ordinal: int, stage: int) -> Values:
    return {
        "study_id": study_id,
        "ordinal": ordinal,
        "variant": spec.variant.key,
        "width": spec.width,
        "depth": spec.depth,
        "batch_size": spec.model.batch_size,
        "record": spec.record,
        "octave": spec.octave,
        "seed": spec.seed,
        "stage": stage,
        "spec_json": canonical_json(spec),
        "spec_digest": digest(spec),
        "state": RunState.QUEUED,
    }
