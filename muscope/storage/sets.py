"""The runs of a hyperparameter search that have ended: the set of each, its loss, how it went."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, select

from muscope.storage import endings
from muscope.storage.losses import RUNS_AT_ONCE
from muscope.storage.tables import progress, run
from muscope.tuning import point
from muscope.verdicts.hyperparameters.stability import Stability, stability
from muscope.verdicts.hyperparameters.trials import SetTrial
from muscope.verdicts.transfer.losses import final_loss
from muscope.vocabulary import RunState


@dataclass(slots=True)
class _Curve:
    """What the steps of one run have left; all of it is finite, for the run has finished."""

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    held_out: float | None = None


def trials(conn: Connection, study_id: str) -> list[SetTrial]:
    """Every run of a search that has ended, in the order of its plan."""
    ended = select(run).where(run.c.study_id == study_id, ~endings.OPEN_RUN)
    rows = conn.execute(ended.order_by(run.c.ordinal)).all()
    finished = [row.id for row in rows if row.state == RunState.FINISHED]
    curves = dict(_curves(conn, finished))
    return [_trial(row, curves.get(row.id)) for row in rows]


def _trial(row: Row[*tuple[object, ...]], curve: _Curve | None) -> SetTrial:
    loss = float("inf") if row.state == RunState.DIVERGED else None
    steady = Stability(0, None)
    if curve is not None:
        loss = final_loss(curve.losses, curve.held_out)
        steady = stability(curve.losses, curve.norms)
    return SetTrial(
        variant=row.variant,
        width=row.width,
        point=point(row.octave, json.loads(row.spec_json).get("tuned", {})),
        seed=row.seed,
        loss=loss,
        stability=steady,
    )


def _curves(conn: Connection, run_ids: Iterable[int]) -> Iterator[tuple[int, _Curve]]:
    ids = list(run_ids)
    columns = (progress.c[name] for name in ("run_id", "train_loss", "eval_loss", "grad_norm"))
    accepted = select(*columns).join(run, run.c.id == progress.c.run_id)
    accepted = accepted.where(progress.c.attempt_id == run.c.accepted_attempt)
    for first in range(0, len(ids), RUNS_AT_ONCE):
        query = accepted.where(run.c.id.in_(ids[first : first + RUNS_AT_ONCE]))
        found: dict[int, _Curve] = defaultdict(_Curve)
        for row in conn.execute(query.order_by(progress.c.run_id, progress.c.step)):
            curve = found[row.run_id]
            curve.losses.append(row.train_loss)
            curve.held_out = row.eval_loss  # the last step has it
            if row.grad_norm is not None:
                curve.norms.append(row.grad_norm)
        yield from found.items()
