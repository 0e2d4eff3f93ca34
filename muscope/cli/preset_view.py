"""What `muscope presets` prints of a preset before anything is trained."""

import json
import sys
import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from muscope import plan, presets, timing
from muscope.cli import cost, preflight
from muscope.machine import Machine
from muscope.plan import Plan
from muscope.presets import Preset, Size
from muscope.presets.published import Losses, losses
from muscope.reports import formats
from muscope.reports.html import spec_yaml
from muscope.settings import Settings
from muscope.spec import StudySpec

WIDTH_WITHOUT_TERMINAL = 100
COMMENT_COLUMNS = 98


def print_list(*, as_json: bool) -> None:
    """Every preset with its question and claim."""
    if as_json:
        print(json.dumps([about(one) for one in presets.PRESETS.values()], indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("name", "what its source says"):
        table.add_column(header, no_wrap=header == "name")
    for preset in presets.PRESETS.values():
        table.add_row(preset.name, preset.claim)
    console().print(table)


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
    planned = plan.plan(studies[number - 1], max_runs=Settings().max_runs)
    yield from cost.lines(planned)
    machine = _machine()
    if machine:
        yield f"time: {formats.about(timing.study_seconds(planned, [machine]))} on this machine"


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
        console().print(published(preset, losses(preset.published, preset.row)))


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
    return plan.plan(spec, max_runs=Settings().max_runs)


def console() -> Console:
    """A console as wide as its terminal; a file or pipe gets lines of 100 columns."""
    file = sys.stdout
    return Console(
        file=file, width=None if file.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False
    )
