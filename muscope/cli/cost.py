"""What a plan costs and what it warns of, as lines for the terminal."""

from collections.abc import Iterator
from typing import Any

from muscope.plan import Plan
from muscope.spec import StudySpec
from muscope.verdicts.transfer import power as grid_power


def lines(planned: Plan) -> Iterator[str]:
    """The cost in one line, then every warning."""
    most = "up to " if planned.at_most else ""
    yield (
        f"{most}{planned.run_count} runs in {len(planned.bundles)} bundles, largest model "
        f"{planned.largest_parameters:,} parameters, {planned.flops:.2g} FLOPs, "
        f"{planned.measurement_rows:,} measurements"
    )
    for warning in planned.warnings:
        yield f"note: {warning}"


def power(spec: StudySpec) -> Iterator[str]:
    """Which drift a grid of learning rates can tell; nothing of another study."""
    if told := grid_power.sentence(spec):
        yield f"power: {told}"


def extension(there: dict[str, Any], study_id: str) -> Iterator[str]:
    """What a study that extends another has to train, as the server of both plans it."""
    yield (
        f"{there['runs']} new runs in {there['bundles']} bundles, {there['reused']} reused from "
        f"study {study_id}"
    )
    if there["not_reused"]:
        yield f"trained again: {'; '.join(there['not_reused'])}"
    for warning in there["warnings"]:
        yield f"note: {warning}"
