"""What the chosen variants came to: their comparison, and every figure of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from muscope.plots import comparison as plots
from muscope.plots import comparison_sizes
from muscope.verdicts.comparison.compare import compare
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.types import Comparison, Quantity
from muscope_server.compare_choice import Chosen
from muscope_server.services import comparing

FEWEST = 2
FIGURES = ("curves", "best", "equal", "sizes", "ratios")


@dataclass(frozen=True)
class Told:
    """What the chosen variants came to, and every figure of it that has anything to show."""

    comparison: Comparison
    figures: Mapping[str, dict[str, Any]]


def tell(conn: Connection, chosen: Chosen) -> Told:
    """Read what the variants came to, compare them, and draw it."""
    contenders = comparing.contenders(conn, chosen.known, chosen.kind)
    compared = compare(contenders, kind=chosen.kind, statistic=chosen.statistic)
    wanted = _shown(contenders, compared, is_live=bool(chosen.live))
    return Told(compared, dict(_figures(wanted, contenders, compared, chosen)))


def _shown(
    contenders: Sequence[Contender], compared: Comparison, *, is_live: bool
) -> Iterator[str]:
    """The figures that have anything to show, or may have while a study goes on."""
    has = {one.quantity for pair in compared.pairs for one in pair.differences}
    with_losses = sum(one.has_losses for one in contenders)
    with_sizes = sum(one.has_sizes for one in contenders)
    of_losses = with_losses >= FEWEST and any(pair.pairing != "refused" for pair in compared.pairs)
    wanted = {
        "curves": with_losses > 0,
        "best": Quantity.BEST_LOSS in has or (is_live and of_losses),
        "equal": Quantity.EQUAL_RATE in has or (is_live and of_losses),
        "sizes": with_sizes > 0,
        "ratios": Quantity.SLOPE in has or (is_live and with_sizes >= FEWEST),
    }
    yield from (name for name in FIGURES if wanted[name])


def _figures(
    wanted: Iterable[str], contenders: Sequence[Contender], compared: Comparison, chosen: Chosen
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figures by name."""
    letters = dict(zip("ABCDEFGH", contenders, strict=False))
    infos = {
        letter: info
        for letter, one in letters.items()
        if (info := comparison_sizes.size_info(one, chosen.kind, chosen.statistic))
    }
    against = list(letters)[chosen.against]
    for name in wanted:
        match name:
            case "curves":
                known = {letter: one for letter, one in letters.items() if one.has_losses}
                yield name, plots.curves(known)
            case "best":
                yield name, plots.at_best(compared, chosen.against)
            case "equal":
                yield name, plots.at_equal_rates(compared, chosen.against)
            case "sizes":
                yield name, comparison_sizes.sizes(infos)
            case "ratios" if against in infos:
                yield name, comparison_sizes.ratios(infos, against)


def empty() -> dict[str, Any]:
    """A figure of a comparison that has nothing to show."""
    return comparison_sizes.sizes({})
