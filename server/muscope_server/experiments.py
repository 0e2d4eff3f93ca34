"""The published experiments on pages: what the home page offers and the form is filled in from."""

from collections.abc import Iterator, Mapping
from functools import cache

from muscope import plan, timing
from muscope.plan import Plan
from muscope.presets import PRESETS, SIZES, Preset, Size, demo
from muscope.reports import formats
from muscope.settings import Settings
from muscope.spec import StudySpec
from muscope.stages import outlook
from muscope.storage.database import Database
from muscope_server import estimates, forms, urls
from muscope_server.contexts import ExperimentLink, ExperimentOffer, FromExperiment
from muscope_server.errors import not_found

OFFERED = ("transfer-demo", "sp-to-mup-staircase", "lingle-sp")
"""Those that the home page offers: one study each."""
OFFERED_SIZE: Size = "laptop"


def preset(name: str) -> Preset:
    """The preset of that name, or 404."""
    if name not in PRESETS:
        raise not_found("preset")
    return PRESETS[name]


def size(name: str) -> Size:
    """The size of that name, or 404."""
    for one in SIZES:
        if one == name:
            return one
    raise not_found("size of a preset")


def planned(spec: StudySpec, settings: Settings) -> Plan:
    """The plan of a study of a preset, however large."""
    return plan.plan(spec, max_runs=max(settings.max_runs, spec.run_count))


def offers(database: Database, settings: Settings) -> list[ExperimentOffer]:
    """What the home page offers while nothing has been measured."""
    found = []
    for name in OFFERED:
        one = PRESETS[name]
        (spec,) = one.studies(OFFERED_SIZE)
        its_plan = planned(spec, settings)
        found.append(
            ExperimentOffer(
                name=name,
                size=OFFERED_SIZE,
                title=one.title,
                question=one.question,
                claim=one.claim,
                source=one.source,
                plan=its_plan,
                time=estimates.estimate(database, its_plan, spec).words,
            )
        )
    return found


def links(database: Database) -> list[ExperimentLink]:
    """Where the form is filled in from each preset, and how long that takes here."""
    machines = estimates.machines(database)
    return [
        ExperimentLink(
            one.title,
            one.question,
            urls.from_preset(one.name, OFFERED_SIZE),
            formats.about(timing.study_seconds(usual(one.name), machines)) if machines else "",
        )
        for one in PRESETS.values()
    ]


@cache
def usual(name: str) -> Plan:
    """What all studies of a preset usually train, as one plan; presets stay as they are."""
    return outlook.together(PRESETS[name].studies(OFFERED_SIZE))


def study(name: str, wanted: str, number: int) -> tuple[StudySpec, FromExperiment]:
    """A study of a preset, and what the form says of where it is from; or 404."""
    one, its_size = preset(name), size(wanted)
    studies = one.studies(its_size)
    if not 1 <= number <= len(studies):
        raise not_found("study of that preset")
    return studies[number - 1], FromExperiment(
        title=one.title,
        claim=one.claim,
        source=one.source,
        needs=one.needs if its_size == "paper" else "",
        notes=one.notes,
        sizes=tuple(_sizes(one, its_size)),
        studies=tuple(_studies(one, its_size, number)),
    )


def _sizes(one: Preset, its_size: Size) -> Iterator[ExperimentLink]:
    for other in SIZES:
        if other != its_size:
            yield ExperimentLink(other, "", urls.from_preset(one.name, other))


def _studies(one: Preset, its_size: Size, number: int) -> Iterator[ExperimentLink]:
    """The other studies of this size."""
    for place, spec in enumerate(one.studies(its_size), start=1):
        if place != number:
            yield ExperimentLink(spec.name, "", urls.from_preset(one.name, its_size, place))


def asked(values: Mapping[str, str]) -> tuple[StudySpec, ...]:
    """The studies of the preset that a button names, or what was typed into the form."""
    name = values.get("preset", "")
    if name == "demo":
        return (demo.demo(),)
    if name:
        return preset(name).studies(size(values.get("size", OFFERED_SIZE)))
    return (forms.parse(values),)
