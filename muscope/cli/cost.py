"""What a plan costs and what it warns of, as lines for the terminal."""

from collections.abc import Iterator

from muscope.plan import Plan


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
