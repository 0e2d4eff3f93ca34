"""A learning-rate verdict in the terminal: the optimum at every place, and every loss."""

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from muscope.reports import formats, rate_table
from muscope.reports.rate_table import Loss, LossTable, RateRow
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.transfer.words import at
from muscope.vocabulary import TransferVerdict

STYLES = {
    TransferVerdict.TRANSFERS: "green",
    TransferVerdict.DRIFTS: "bold red",
    TransferVerdict.INCONCLUSIVE: "yellow",
    TransferVerdict.NOT_BRACKETED: "yellow",
}


def table(judged: TransferJudgement) -> Group:
    """A variant's verdict in a sentence, its optima, its losses, and how the optimum moves."""
    sentence = f"{formats.words(judged.verdict)}: {judged.sentence()}"
    return Group(
        Text.assemble((judged.label, "bold"), "   ", (sentence, _style(judged))),
        _optima(judged),
        Text(),
        _losses(judged),
        *(Padding(Text(words, "dim"), (1, 0, 0, 0)) for words in rate_table.drifts(judged)),
        Text(),
    )


def _style(judged: TransferJudgement) -> str:
    return "bold" if judged.is_harmless else STYLES[judged.verdict]


def _optima(judged: TransferJudgement) -> Table:
    is_held_out = judged.judged_on == "held_out"
    further = ("training\nloss there",) if is_held_out else ()
    places = (name.replace(" ", "\n") for name in rate_table.columns(judged))
    found = _plain(
        (*places, "optimum,\nlog2(rate)", "90 %\ninterval", "best\nloss", *further, "rates")
    )
    for row in rate_table.rows(judged):
        found.add_row(*_cells(row, is_held_out=is_held_out))
    return found


def _cells(row: RateRow, *, is_held_out: bool) -> Iterable[str]:
    yield from map(str, row.place)
    yield row.optimum
    yield row.interval
    yield "diverged" if row.loss is None else f"{row.loss:.4f}"
    if is_held_out:
        yield "–" if row.train_loss is None else f"{row.train_loss:.4f}"
    yield str(row.rates)


def _losses(judged: TransferJudgement) -> Group:
    """Loss by log2(rate), a column per place on the axis: the best bold, what diverged named.

    Below the loss that decides stands that of training, where it is another one.
    """
    found = rate_table.losses(judged)
    below = f", below it {found.below}" if found.below else ""
    title = f"loss by log2(rate): {found.judged_on}{below}; the best of a column is bold"
    where = [judged.where(one, judged.axis) for one in judged.optima]
    tables = (
        _panel(judged, found, [number for number, one in enumerate(where) if one == panel], panel)
        for panel in dict.fromkeys(where)
    )
    return Group(Text(title, "dim"), *tables)


def _panel(
    judged: TransferJudgement, found: LossTable, numbers: Sequence[int], title: str
) -> Table:
    places = [at(judged.axis, judged.optima[number].on(judged.axis)) for number in numbers]
    rows = _plain((title, *places))
    for column, rate in enumerate(found.rates):
        rows.add_row(rate, *(_loss(found.rows[number].losses[column]) for number in numbers))
    return rows


def _loss(loss: Loss) -> Text:
    words = Text(loss.words, "bold" if loss.is_best else "red" if loss.is_lost else "")
    return words.append(f"\n{loss.training}", "dim") if loss.training else words


def _plain(headers: Iterable[str]) -> Table:
    found = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for header in headers:
        found.add_column(header, justify="right", no_wrap=True)
    return found
