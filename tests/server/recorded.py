"""A finished check of somebody's model, and the worker's part of judging it, without a worker."""

from collections.abc import Mapping
from dataclasses import dataclass

from muscope.client import PushedStudy
from muscope.own_model.tensors import Face, OwnTensor
from muscope.records import Sample, Values
from muscope.storage import verdicts
from muscope.storage.database import Database
from muscope.verdicts.own import OwnVariant
from muscope.vocabulary import Role, TensorKind
from muscope_worker.judgement import catch_up

ROLES = {"embed": Role.EMBEDDING, "hidden": Role.HIDDEN, "readout": Role.OUTPUT}
WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class Run:
    """A run of it."""

    width: int
    seed: int
    samples: tuple[Sample, ...]
    losses: tuple[float, ...] = (2.0, 1.5)
    depth: int = 0


def tensor(name: str, *, is_judged: bool = True) -> OwnTensor:
    return OwnTensor(name, name, Face.MODULE, ROLES[name], "Linear", {}, is_judged=is_judged)


def pushed(name: str = "pushed", exponents: Mapping[str, float] | None = None) -> PushedStudy:
    """Sizes that follow powers of the width, with noise of a percent that the seed decides."""
    variant = OwnVariant(
        key="own-my_model",
        label="my_model.py:build · its own AdamW",
        optimizers={Role.HIDDEN: "adamw"},
    )
    runs = [
        Run(width, seed, tuple(_samples(variant.key, width, seed, exponents or {})))
        for width in WIDTHS
        for seed in range(3)
    ]
    tensors = {0: [tensor("embed"), tensor("hidden"), tensor("readout", is_judged=False)]}
    return PushedStudy(name, variant, tensors, runs, planned_runs=12)


def _samples(variant: str, width: int, seed: int, exponents: Mapping[str, float]) -> list[Sample]:
    found = []
    for step in range(2):
        for name, role in ROLES.items():
            size = (1 + 0.01 * seed) * (width / 64) ** exponents.get(name, 0.0)
            values = Values(l1=size, rms=1.25 * size, change=0.1 * size if step else None)
            place = (variant, width, 0, seed, step, name, role, TensorKind.ACTIVATION)
            found.append(Sample(*place, values))
    return found


def judge(database: Database) -> None:
    """What a worker does when it is asked."""
    with database.read() as conn:
        lacking = verdicts.unjudged(conn)
    for study_id in lacking:
        catch_up(database, study_id, patience_s=5)
