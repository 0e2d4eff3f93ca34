"""What `muscope presets` prints of a preset before anything is trained."""

import json
import textwrap
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from muscope import plan, presets, timing
from muscope.cli import configured, cost, preflight, terminal
from muscope.machine import Machine
from muscope.plan import Plan
from muscope.presets import Preset, Size
from muscope.presets.published import Losses, losses
from muscope.reports import formats
from muscope.reports.html import spec_yaml
from muscope.spec import StudySpec
from muscope.stages import outlook

COMMENT_COLUMNS = 98


def print_list(*, as_json: bool) -> None:
    """Every preset with its claim, and the time that its size `laptop` takes on this machine."""
    taken = _laptop_seconds()
    if as_json:
        found = [
            {**about(one), "laptop_seconds": taken.get(one.name)}
            for one in presets.PRESETS.values()
        ]
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("name", "laptop takes", "what its source says"):
        table.add_column(header, no_wrap=header != "what its source says")
    for preset in presets.PRESETS.values():
        seconds = taken.get(preset.name)
        time = "–" if seconds is None else formats.about(seconds)
        table.add_row(preset.name, time, preset.claim)
    terminal.console().print(table)


def _laptop_seconds() -> dict[str, float]:
    """What every preset usually takes here at size `laptop`; nothing without torch."""
    machine = _machine()
    if machine is None:
        return {}
    return {
        one.name: timing.study_seconds(outlook.together(one.studies("laptop")), [machine])
        for one in presets.PRESETS.values()
    }


def about(preset: Preset) -> dict[str, object]:
    """What is said of a preset, as plain data."""
    return {
        "name": preset.name,
        "title": preset.title,
        "question": preset.question,
        "source": preset.source,
        "claim": preset.claim,
        "published": preset.published,
        "row": preset.row,
        "needs": preset.needs,
        "notes": list(preset.notes),
    }


def print_study(name: str, size: Size, number: int) -> None:
    """The study as YAML below comments that say what it is and what it costs."""
    preset = presets.preset(name)
    studies = preset.studies(size)
    if number > len(studies):
        raise ValueError(
            f"preset {name!r} has no study {number} at size {size}; it has 1 to {len(studies)}"
        )
    spec = studies[number - 1]
    for line in _comments(preset, size, studies, number):
        for part in textwrap.wrap(line, COMMENT_COLUMNS) or [""]:
            print(f"# {part}".rstrip())
    print(spec_yaml(spec), end="")


def _comments(
    preset: Preset, size: Size, studies: tuple[StudySpec, ...], number: int
) -> Iterator[str]:
    yield f"{preset.title}: {preset.question}"
    yield f"source: {preset.source}"
    yield f"claim: {preset.claim}"
    if size == "paper" and preset.needs:
        yield f"needs: {preset.needs}"
    yield from (f"note: {note}" for note in preset.notes)
    if len(studies) > 1:
        yield f"study {number} of {len(studies)}; --study prints another one"
    spec = studies[number - 1]
    planned = planned_here(spec)
    yield from cost.lines(planned)
    machine = _machine()
    if machine:
        seconds = timing.study_seconds(outlook.likely_plan(spec, planned), [machine])
        yield f"time: {formats.about(seconds)} on this machine"


def _machine() -> Machine | None:
    """This machine, measured within a second or two; nothing without torch."""
    try:
        preflight.torch_is_installed()
    except preflight.Refusal:
        return None
    # only now torch, which takes seconds
    from muscope.lab import calibration, engine

    engine.set_threads(0)
    return calibration.calibrate()


def print_published(preset: Preset) -> None:
    """The best published rates beside what was just measured."""
    if preset.published and preset.row:
        terminal.console().print(published(preset, losses(preset.published, preset.row)))


def published(preset: Preset, found: Losses) -> Table:
    """The published losses by width and log2 of the learning rate, the best of a row in bold."""
    rates = sorted({rate for row in found.values() for rate in row})
    title = f"published: {preset.row}, validation loss at base rate 2^x"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for header in ("width", *(f"{rate:g}" for rate in rates)):
        table.add_column(header, justify="right")
    for width, row in found.items():
        best = min(row, key=row.__getitem__)
        table.add_row(str(width), *(_cell(row.get(rate), is_best=rate == best) for rate in rates))
    return table


def _cell(loss: float | None, *, is_best: bool) -> Text:
    return Text("" if loss is None else f"{loss:.3f}", style="bold" if is_best else "")


def planned_here(spec: StudySpec) -> Plan:
    """The plan of a study within this installation's limits."""
    return plan.plan(spec, max_runs=configured.settings().max_runs)
