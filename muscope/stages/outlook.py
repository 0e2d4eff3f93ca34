"""What a study is likely to train yet: of a search the runs that it usually asks for.

The plan of a search is the most that there can be, which is about three times what it takes. For
how long it takes, what it usually asks for counts: at the smallest width the whole first look, at
every larger one the first look around a prediction, and one rate more.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from muscope import plan
from muscope.plan import Plan
from muscope.spec import RunSpec, StudySpec
from muscope.stages import search
from muscope.verdicts.transfer.places import Place, lines, place_of

MORE = 1
"""Rates beyond the first look at a larger width: of two in three none, of the others one or two."""


def likely(spec: StudySpec, begun: Collection[Place] = ()) -> tuple[RunSpec, ...]:
    """The runs that a study usually trains, without those at places where it has begun.

    Without a search these are all that it has. Which rates are meant takes no time, so they are
    those in the middle.
    """
    if spec.coordinate_check and spec.sweep:
        return (*likely(spec.coordinate_check, begun), *likely(spec.sweep, begun))
    if spec.search != "adaptive":
        return tuple(run for run in plan.runs(spec) if place_of(spec, run) not in begun)
    asked = spec.transfer_axes[0]
    wanted = {
        found
        for variant in spec.variants
        for line in lines(spec, variant.key, asked)
        for found in _of_line(spec, line.places)
        if found[0] not in begun
    }
    return tuple(run for run in plan.runs(spec) if (place_of(spec, run), run.octave) in wanted)


def _of_line(spec: StudySpec, places: tuple[Place, ...]) -> Iterator[tuple[Place, float]]:
    first, *others = places
    smallest, larger = search.first_looks(spec.octaves)
    yield from ((first, octave) for octave in smallest)
    start = spec.octaves.index(larger[0])
    for place in others:
        for octave in spec.octaves[start : start + len(larger) + MORE]:
            yield place, octave


def likely_plan(spec: StudySpec, planned: Plan) -> Plan:
    """The plan of a study with the bundles that it usually trains.

    Of one that extends another the plan is what is left, and stays as it is.
    """
    if spec.search != "adaptive" or spec.extends:
        return planned
    bundles = tuple(plan.bundles(likely(spec)))
    return replace(planned, bundles=bundles, flops=sum(bundle.flops for bundle in bundles))


def together(specs: Iterable[StudySpec]) -> Plan:
    """What several studies usually train, as one plan."""
    plans = [likely_plan(spec, plan.plan(spec, max_runs=spec.run_count)) for spec in specs]
    return replace(plans[0], bundles=tuple(bundle for each in plans for bundle in each.bundles))
