"""What a study puts into the queue: bundles with their runs, and the tensors these will record."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from muscope import plan
from muscope.plan import Plan, PlannedBundle
from muscope.spec import RunSpec, canonical_json, digest
from muscope.storage import events
from muscope.storage.tables import bundle, run, tensor
from muscope.vocabulary import BundleState, RunState

QUEUE = "muscope"


def bundles(
    conn: Connection, study_id: str, planned: Sequence[PlannedBundle], *, stage: int
) -> list[int]:
    """Write the bundles of a stage with their runs, queued; give the ids of the bundles."""
    rows = [
        {
            "study_id": study_id,
            "queue": QUEUE,
            "state": BundleState.QUEUED,
            "need_memory": entry.memory_bytes,
        }
        for entry in planned
    ]
    new = insert(bundle).returning(bundle.c.id, sort_by_parameter_order=True)
    bundle_ids = list(conn.execute(new, rows).scalars())
    members = [
        (bundle_id, spec)
        for bundle_id, entry in zip(bundle_ids, planned, strict=True)
        for spec in entry.runs
    ]
    first = _runs_so_far(conn, study_id)
    new_runs = [
        _new_run(study_id, *member, ordinal=ordinal, stage=stage)
        for ordinal, member in enumerate(members, start=first)
    ]
    ids = insert(run).returning(run.c.id, sort_by_parameter_order=True)
    queued = list(conn.execute(ids, new_runs).scalars())
    events.append_all(
        conn,
        study_id,
        [events.NewEvent("run_state", run_id, None, RunState.QUEUED) for run_id in queued],
    )
    return bundle_ids


def tensors(conn: Connection, study_id: str, planned: Plan) -> None:
    """Every tensor of every model, in the order of the deepest: the readout stays last."""
    first_runs = (entry.runs[0] for entry in planned.bundles)
    # Names do not depend on width: of hundreds of shapes a few are left.
    distinct = {(one.variant.model.model_dump_json(), one.depth): one for one in first_runs}
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


def _runs_so_far(conn: Connection, study_id: str) -> int:
    query = select(func.count()).select_from(run).where(run.c.study_id == study_id)
    return conn.execute(query).scalar_one()


def _new_run(
    study_id: str, bundle_id: int, spec: RunSpec, *, ordinal: int, stage: int
) -> dict[str, str | int | float]:
    return {
        "study_id": study_id,
        "bundle_id": bundle_id,
        "ordinal": ordinal,
        "variant": spec.variant.key,
        "width": spec.width,
        "depth": spec.depth,
        "octave": spec.octave,
        "seed": spec.seed,
        "stage": stage,
        "spec_json": canonical_json(spec),
        "spec_digest": digest(spec),
        "state": RunState.QUEUED,
    }
