"""Verdicts while their runs still come in: what the progress displays of the terminal say."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from muscope.reports.verdict_table import badge
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict

NOT_YET = Text("not judged yet", style="dim")


def table(verdicts: Sequence[VariantVerdict]) -> Table:
    """A row per variant: how many runs are in, and what they say so far."""
    rows = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for verdict in verdicts:
        runs = f"{verdict.runs_judged} of {verdict.runs_planned} runs"
        rows.add_row(verdict.label, runs, word(verdict) if verdict.cells else "")
    return rows


def word(verdict: VariantVerdict) -> Text:
    """The verdict so far; with widths missing, *inconclusive* would only say that they are."""
    is_early = not verdict.final and verdict.runs_judged < verdict.runs_planned
    if is_early and verdict.verdict is CellVerdict.INCONCLUSIVE:
        return NOT_YET
    return badge(verdict.verdict)
