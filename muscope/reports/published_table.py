"""Published losses as a table beside ours: every width, every rate, the best of a row marked."""

from collections.abc import Iterator
from dataclasses import dataclass

from muscope.presets.published import Curve, PublishedRates
from muscope.reports import formats
from muscope.verdicts.transfer import metrics
from muscope.verdicts.transfer.optimum import best, optimum


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """A published loss; nothing where the source tried no such rate."""

    words: str
    is_best: bool


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A published width with its optimum by our code, in log2 of the rate."""

    width: int
    optimum: str
    cells: tuple[PublishedCell, ...]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """What a source prints, and what our metrics say of it; `rates` are log2, as printed."""

    title: str
    source: str
    rates: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    sentence: str


def table(published: PublishedRates) -> PublishedTable:
    """The table of one source; without rows where it prints one rate alone."""
    rates = sorted({rate for curve in published.losses.values() for rate in curve})
    return PublishedTable(
        title=published.title,
        source=published.source,
        rates=tuple(f"{rate:g}".replace("-", "−") for rate in rates),
        rows=tuple(_row(width, curve, rates) for width, curve in published.losses.items()),
        sentence=" ".join(_sentences(published)),
    )


def _row(width: int, curve: Curve, rates: list[float]) -> PublishedRow:
    vertex, least = optimum(curve), best(curve)
    cells = (
        PublishedCell(f"{curve[rate]:.3f}" if rate in curve else "", rate == least)
        for rate in rates
    )
    return PublishedRow(
        width, "not bracketed" if vertex is None else formats.slope(vertex), tuple(cells)
    )


def _sentences(published: PublishedRates) -> Iterator[str]:
    if published.rate is not None:
        yield f"The source finds one learning rate best at every size: {published.rate:g}."
    if len(published.losses) < 2:
        return
    curves = list(published.losses.values())
    drift = metrics.drift_of_vertices(curves[0], curves[-1])
    if drift is not None:
        yield f"From the smallest width to the largest {formats.slope(drift)} octaves."
    regret = metrics.regret(curves[0], curves[-1])
    if regret is not None:
        yield (
            f"At the best rate of the smallest width the loss of the largest is {regret:.3f} above "
            "that at its own best rate."
        )
    answer = "yes" if metrics.same_cell(curves) else "no"
    yield f"The same best cell at every width (Lingle's criterion): {answer}."
