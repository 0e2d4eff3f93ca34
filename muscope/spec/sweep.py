"""What every sweep over learning rates may ask: that of a learning-rate study, and of a search."""

import math
from itertools import product

from muscope.spec.axes import TRANSFER_AXES
from muscope.spec.check import STEPS_AFTER_WARMUP
from muscope.spec.frozen import fill
from muscope.spec.limits import LARGEST_OCTAVE, LARGEST_RATE
from muscope.spec.model import of_length
from muscope.spec.question import Question


def check(study: Question) -> None:
    """Fill in what a sweep always has, and refuse one of which a run cannot be trained."""
    _fill_losses(study)
    _check_rates(study)
    _check_octaves(study)
    _check_axes(study)
    _fill_steps(study)
    _check_lengths(study)
    _fill_check(study)


def _fill_losses(study: Question) -> None:
    """It compares losses, on fresh batches."""
    for name, value in (("record", "losses"), ("batches", "fresh")):
        if name not in study.model_fields_set:
            fill(study, **{name: value})
        elif getattr(study, name) != value:
            raise ValueError(f"{study.kind} has {name} {value!r} always; leave the field out")


def _check_rates(study: Question) -> None:
    """No learning rate is larger than any that is allowed."""
    for optimizer in (optimizer for arm in study.arms for optimizer in arm.optimizers):
        largest = optimizer.learning_rate * math.exp2(study.reachable_octaves[-1])
        if largest > LARGEST_RATE:
            raise ValueError(
                f"optimizer {optimizer.name!r}: the largest learning rate would be "
                f"{largest:g}, more than {LARGEST_RATE:g}; take smaller octaves"
            )


def _check_octaves(study: Question) -> None:
    """Later stages stay within the octaves that are allowed."""
    reachable = study.reachable_octaves
    if max(map(abs, reachable)) > LARGEST_OCTAVE:
        raise ValueError(
            f"extend_octaves {study.extend_octaves} would reach octaves from "
            f"{reachable[0]:g} to {reachable[-1]:g}; at most "
            f"{LARGEST_OCTAVE} on either side are allowed"
        )


def _check_axes(study: Question) -> None:
    """A study is about something that it varies."""
    if not study.transfer_axes:
        names = ", ".join(TRANSFER_AXES.values())
        raise ValueError(f"lr_transfer needs several values of one of {names}; each has one")
    if study.check is not None and len(study.widths) < 2:
        raise ValueError(
            "check needs at least 2 widths: a coordinate check is about width; add a width, or "
            "leave check out"
        )


def _fill_steps(study: Question) -> None:
    """The steps of a study are those of its longest runs."""
    if not study.step_counts:
        return
    longest = study.step_counts[-1]
    if "steps" in study.model_fields_set and study.steps != longest:
        raise ValueError(
            f"steps is the largest of step_counts, {longest}, got {study.steps}; leave it out"
        )
    fill(study, steps=longest)


def _check_lengths(study: Question) -> None:
    """Every model can be trained on sequences of every length."""
    for arm, length in product(study.arms, study.sequence_lengths):
        if "sequence_length" not in arm.model.options:
            raise ValueError(
                f"model {arm.model.name!r} has no sequences; leave sequence_lengths out"
            )
        of_length(arm.model, length)


def _fill_check(study: Question) -> None:
    """A check without steps has a few after the longest warm-up."""
    if study.check is None or study.check.steps is not None:
        return
    optimizers = (optimizer for arm in study.arms for optimizer in arm.optimizers)
    warmup = max(int(optimizer.complete["warmup_steps"]) for optimizer in optimizers)
    fill(study, check=study.check.model_copy(update={"steps": STEPS_AFTER_WARMUP + warmup}))
