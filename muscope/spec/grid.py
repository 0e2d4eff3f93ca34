"""The grid of a study: its bases, its size, and that every run in it can be trained."""

from itertools import product

from muscope import catalogue
from muscope.catalogue import broken, rules
from muscope.catalogue.optimizers import schedule_complaint
from muscope.spec.frozen import fill
from muscope.spec.limits import LARGEST_GRID
from muscope.spec.question import Question


def check(study: Question) -> None:
    """Fill in the base shape; refuse shapes that no model has, and too many runs."""
    _fill_bases(study)
    _check_shapes(study)
    if study.run_count > LARGEST_GRID:
        raise ValueError(f"the grid has {study.run_count} runs, more than {LARGEST_GRID}")


def _fill_bases(study: Question) -> None:
    """The base is the smallest of the grid, or one that is not beyond it."""
    for name, values in (("width", study.widths), ("depth", study.depths)):
        base = getattr(study, f"base_{name}")
        if base is None:
            fill(study, **{f"base_{name}": values[0]})
        elif base > values[-1]:
            raise ValueError(f"base_{name} {base} is larger than every {name}")


def _check_shapes(study: Question) -> None:
    """Every model has every width."""
    for arm in study.arms:
        for width in {*study.widths, study.base_width or 1}:
            options = dict(arm.model.options)
            complaint = catalogue.MODELS[arm.model.name].check(width, options)
            if complaint:
                raise ValueError(f"model {arm.model.name!r}: {complaint}")


def check_rules(study: Question) -> None:
    """Every parametrization has a rule for every model and optimizer it meets."""
    for arm, parametrization in product(study.arms, study.parametrizations):
        for optimizer in {optimizer.name for optimizer in arm.optimizers}:
            given = (parametrization.choice, optimizer, arm.model.name, dict(arm.model.options))
            complaint = rules.complaint(*given) or broken.complaint(*given)
            if complaint:
                raise ValueError(complaint)


def check_schedules(study: Question) -> None:
    """Every optimizer's schedule fits into the run."""
    for optimizer in (optimizer for arm in study.arms for optimizer in arm.optimizers):
        for place, steps in _lengths(study):
            complaint = schedule_complaint(dict(optimizer.options), steps)
            if complaint:
                raise ValueError(f"{place}optimizer {optimizer.name!r}: {complaint}")


def _lengths(study: Question) -> tuple[tuple[str, int], ...]:
    """The steps of a run of every part, with where they stand."""
    if study.check is None or study.check.steps is None:
        return (("", study.shortest),)
    return (("", study.shortest), ("the check's ", study.check.steps))


def check_variants(study: Question) -> None:
    """No variant is there twice."""
    seen: set[str] = set()
    for variant in study.variants:
        if variant.key in seen:
            raise ValueError(f"the variant {variant.label} is there twice; each may be once")
        seen.add(variant.key)
