"""How a study grows: the grid of the one that it extends, and more of it; nothing else changes.

The study that comes out is whole by itself, with a frozen spec that names the other one in
`extends`; which of its runs need no training is for the storage to find out (ADR 34).
"""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field

from muscope.spec import (
    LARGEST_RATE,
    BatchSize,
    CheckSpec,
    Depth,
    Frozen,
    Octave,
    SequenceLength,
    Steps,
    StudySpec,
    Width,
    canonical_json,
)
from muscope.verdicts.transfer.types import TransferJudgement, WidthOptimum
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, TransferVerdict

OWN = ("batch_sizes", "sequence_lengths", "step_counts")
"""Axes that a study may leave to its models: then an extension does."""
GROWING = ("widths", "depths", *OWN, "octaves")
"""The axes of a grid to which places can be added; seeds are counted."""
FREE = ("name", "extends", "version", "preset", "seeds", "check", *GROWING)
"""What an extension may have otherwise than the study that it extends."""
EXTENDED = ", extended"
LONGEST_NAME = 120
MOST_SEEDS = 64

MORE_SEEDS = 2
"""Times as many, where a drift is too uncertain: the interval shrinks by a third and more."""
BEYOND = 2
"""Rates to add where the best one lies at the end of the grid: an optimum needs a worse one."""


class Addition(Frozen):
    """What is to be added: seeds, counted in all, and places that the axes of the grid lack.

    With `check_seeds` a learning-rate study has a coordinate check of so many seeds, in all.
    """

    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | None = None
    widths: Annotated[tuple[Width, ...], Field(max_length=64)] = ()
    depths: Annotated[tuple[Depth, ...], Field(max_length=64)] = ()
    batch_sizes: Annotated[tuple[BatchSize, ...], Field(max_length=64)] = ()
    octaves: Annotated[tuple[Octave, ...], Field(max_length=256)] = ()
    sequence_lengths: Annotated[tuple[SequenceLength, ...], Field(max_length=64)] = ()
    step_counts: Annotated[tuple[Steps, ...], Field(max_length=64)] = ()
    check_seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return self == Addition()


class NotGrown(ValueError):
    """An extension drops, changes or adds nothing; `path` is the field of which that is said."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def grown(spec: StudySpec, study_id: str, addition: Addition) -> StudySpec:
    """The spec that extends a study; ValidationError or NotGrown where it cannot be one."""
    data: dict[str, Any] = json.loads(canonical_json(spec))
    data |= {
        "name": extended_name(spec.name),
        "extends": study_id,
        "seeds": spec.seeds if addition.seeds is None else addition.seeds,
    }
    for axis in GROWING:
        places = {*getattr(spec, axis), *getattr(addition, axis)}
        if places:
            data[axis] = sorted(places)
    if data.get("step_counts"):
        del data["steps"]  # the largest of them
    if addition.check_seeds is not None:
        data["check"] = (data.get("check") or {}) | {"seeds": addition.check_seeds}
    whole = StudySpec.model_validate_json(json.dumps(data))
    check(spec, whole)
    return whole


def _check_own(axis: str, old: StudySpec, new: StudySpec) -> None:
    """What models have of their own they keep."""
    if bool(getattr(old, axis)) == bool(getattr(new, axis)):
        return
    noun = axis.replace("_", " ")[:-1].replace("step count", "number of steps")
    raise NotGrown(
        axis,
        f"the study that it extends trains every model at its own {noun}, an extension too"
        if getattr(new, axis)
        else "the study that it extends has several, and an extension drops nothing",
    )


def _check_checks(old: CheckSpec | None, new: CheckSpec | None) -> None:
    """A coordinate check may be added to a sweep, or have more seeds."""
    if old is None or (new is not None and new.seeds >= old.seeds and _alike(old, new)):
        return
    raise NotGrown(
        "check",
        f"the study that it extends has a check of {old.seeds} seeds and {old.steps} steps; an "
        "extension keeps it, and may have more seeds",
    )


def _alike(old: CheckSpec, new: CheckSpec) -> bool:
    return new.model_copy(update={"seeds": old.seeds}) == old


def extended_name(name: str) -> str:
    """The name that an extension is offered: `SP or µP?, extended`, also of an extension."""
    plain = name.removesuffix(EXTENDED)
    return plain[: LONGEST_NAME - len(EXTENDED)].rstrip() + EXTENDED


def check(old: StudySpec, new: StudySpec) -> None:
    """Raise NotGrown unless the grid of the old spec is all in the new one, which has more."""
    for name in (name for name in StudySpec.model_fields if name not in FREE):
        before, after = getattr(old, name), getattr(new, name)
        if before != after and not (name == "steps" and new.step_counts):
            raise NotGrown(
                name,
                f"an extension keeps it as in the study that it extends{_said(before, after)}; "
                "only widths, depths, octaves and seeds can be added",
            )
    for axis in OWN:
        _check_own(axis, old, new)
    _check_checks(old.check, new.check)
    for axis in GROWING:
        dropped = sorted({*getattr(old, axis)} - {*getattr(new, axis)})
        if dropped:
            raise NotGrown(
                axis,
                f"the study that it extends has {_listed(dropped)} too, and an extension drops "
                f"nothing; add {'it' if len(dropped) == 1 else 'them'}",
            )
    if new.seeds < old.seeds:
        raise NotGrown(
            "seeds",
            f"the study that it extends has {old.seeds}, and an extension drops nothing; "
            f"take at least {old.seeds}, not {new.seeds}",
        )
    if not words(old, new):
        raise NotGrown(
            "", "nothing is added to the study that it extends: add seeds, widths, depths or rates"
        )


def words(old: StudySpec, new: StudySpec) -> str:
    """What is added: `4 seeds and width 1024`; nothing if nothing is."""
    parts = []
    if new.seeds > old.seeds:
        more = new.seeds - old.seeds
        parts.append(f"{more} {'seed' if more == 1 else 'seeds'}")
    for axis in GROWING:
        places = sorted({*getattr(new, axis)} - {*getattr(old, axis)})
        if places:
            noun = axis.replace("_", " ")
            parts.append(f"{noun[:-1] if len(places) == 1 else noun} {_listed(places)}")
    if new.check is not None and old.check != new.check:
        more = new.check.seeds - (old.check.seeds if old.check else 0)
        seeds = f"{more} {'seed' if more == 1 else 'seeds'}"
        parts.append(f"{seeds} of the check" if old.check else f"a coordinate check of {seeds}")
    return _joined(parts)


def changed(old: StudySpec, new: StudySpec) -> tuple[str, ...]:
    """The fields in which the grid has grown."""
    own = ("seeds", *GROWING, "check")
    names = tuple(name for name in own if getattr(old, name) != getattr(new, name))
    return (*names, "check.seeds") if "check" in names else names


def recommended(
    spec: StudySpec, judged: Sequence[VariantVerdict | TransferJudgement]
) -> Addition | None:
    """What would decide every variant that is open, if that is known: the most that one needs."""
    found = [_needs(spec, one) for one in judged]
    seeds = max((one.seeds or 0 for one in found), default=0)
    whole = Addition(
        check_seeds=max((one.check_seeds for one in found if one.check_seeds), default=None),
        seeds=min(seeds, MOST_SEEDS) if seeds > spec.seeds else None,
        widths=_missing(spec.widths, (width for one in found for width in one.widths)),
        octaves=_missing(spec.octaves, (octave for one in found for octave in one.octaves)),
    )
    return None if whole.is_empty else whole


def _needs(spec: StudySpec, judged: VariantVerdict | TransferJudgement) -> Addition:
    if isinstance(judged, TransferJudgement):
        return _rates(spec, judged)
    if judged.addition is None or judged.verdict is not CellVerdict.INCONCLUSIVE:
        return Addition()
    seeds = min(judged.addition.seeds, MOST_SEEDS)
    if spec.check is None:
        return Addition(seeds=seeds, widths=judged.addition.widths)
    # another width would have a sweep too, which costs far more
    return Addition(check_seeds=seeds) if seeds > spec.check.seeds else Addition()


def _rates(spec: StudySpec, judged: TransferJudgement) -> Addition:
    """Rates beyond the best one where it lies at the end; else more seeds for the drift."""
    if judged.verdict is TransferVerdict.NOT_BRACKETED:
        return Addition(octaves=tuple(sorted(_beyond(spec, judged.optima))))
    if judged.verdict is TransferVerdict.INCONCLUSIVE:
        return Addition(seeds=min(MORE_SEEDS * spec.seeds, MOST_SEEDS))
    return Addition()


def _beyond(spec: StudySpec, optima: Iterable[WidthOptimum]) -> set[float]:
    """The next rates on every side where one is missing, as far apart as the last two are.

    Where the grid has grown by itself, on that side what it could have is in it too.
    """
    grid, found = spec.reachable_octaves, set[float]()
    for side in {one.missing_side for one in optima}:
        if side == "smaller":
            found |= {octave for octave in grid if octave < spec.octaves[0]}
            found |= {grid[0] - n * (grid[1] - grid[0]) for n in range(1, BEYOND + 1)}
        if side == "larger":
            found |= {octave for octave in grid if octave > spec.octaves[-1]}
            found |= {grid[-1] + n * (grid[-1] - grid[-2]) for n in range(1, BEYOND + 1)}
    return {octave for octave in found if abs(octave) <= 40 and _is_trainable(spec, octave)}


def _is_trainable(spec: StudySpec, octave: float) -> bool:
    rates = (optimizer.learning_rate for arm in spec.arms for optimizer in arm.optimizers)
    return max(rates) * math.exp2(octave) <= LARGEST_RATE


def _missing(
    there: Sequence[float], wanted: Iterable[float]
) -> tuple[Any, ...]:  # of whatever type they are
    return tuple(sorted({place for place in wanted if place not in there}))


def _said(before: object, after: object) -> str:
    plain = (bool, int, float, str)
    if isinstance(before, plain) and isinstance(after, plain):
        return f" ({before}, not {after})"
    return ""


def _listed(places: Sequence[float]) -> str:
    return ", ".join(f"{place:g}" for place in places)


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), *parts[-1:]])
