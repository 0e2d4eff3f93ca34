"""What a verdict's word does not say, in sentences: the two statements, what bends, other axes.

Each remark stands by itself. A card, a terminal and a report print the same.
"""

from collections.abc import Iterable

from muscope.theory.expected import is_early
from muscope.verdicts.types import Cell, Joint, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, Role, Statistic


def remarks(verdict: VariantVerdict) -> tuple[str, ...]:
    """Everything beside the word that a reader must know, in the order of its weight."""
    if not verdict.cells:
        return ()
    found = (
        _theory(verdict), _depth(verdict), _joint(verdict.joint), _batch_size(verdict),
        _bends(verdict.judged()), _two_seeds(verdict.cells),
    )  # fmt: skip
    return tuple(sentence for sentence in found if sentence)


def _theory(verdict: VariantVerdict) -> str:
    """As this parametrization's theory says? With counts, and the furthest tensor."""
    known = [cell for cell in _deciding(verdict) if cell.expected is not None]
    told = [cell for cell in known if cell.as_expected is not None]
    if not told:
        return ""
    against = [cell for cell in told if cell.is_against_theory]
    agreeing = f"{len(told) - len(against)} of {len(told)} slopes agree"
    saturated = sum(cell.saturates for cell in told)
    if saturated:
        agreeing += (
            f", {saturated} of them with less growth than theory's: rates this large saturate"
        )
    excused = sum(cell.exception is not None for cell in _deciding(verdict))
    legal = f", {excused} depart legally" if excused else ""
    furthest = f"; furthest is {_where(max(against, key=_distance))}" if against else ""
    word = {True: "as ", False: "not as ", None: "open whether as "}[verdict.as_theory]
    whose = f"the theory of {verdict.theory_of}" if verdict.theory_of else "theory"
    return f"{word}{whose} says: {agreeing}{legal}{furthest}"


def _depth(verdict: VariantVerdict) -> str:
    stream = [cell for cell in verdict.cells_on(Axis.DEPTH) if cell.role is Role.RESIDUAL]
    old_enough = [cell for cell in stream if cell.decides and not is_early(cell.step)]
    fitted = [cell for cell in old_enough if cell.slope is not None]
    if not fitted:
        return ""
    steepest = max(fitted, key=lambda cell: abs(cell.slope or 0.0))
    grows = [cell for cell in fitted if cell.verdict is CellVerdict.GROWS]
    expected = any(cell.exception and cell.expected for cell in grows)
    if verdict.depth_stable:
        return f"depth-stable: steepest is {_where(steepest)}"
    if verdict.depth_stable is None:
        return f"open whether depth-stable: steepest is {_where(steepest)}"
    reason = ", as expected without a depth rule" if grows and expected else ""
    word = "grows" if grows else "does not keep its size"
    return f"not depth-stable: the stream {word} with depth{reason}; steepest is {_where(steepest)}"


def _joint(joint: Iterable[Joint]) -> str:
    told = list(joint)
    if not told:
        return ""
    held = sum(one.holds is True for one in told)
    broken = [one for one in told if one.holds is False]
    words = f"the slope on width is the same at every depth in {held} of {len(told)} places"
    if not broken:
        return words if held == len(told) else f"{words}, open in the others"
    worst = max(broken, key=lambda one: abs(one.interaction))
    return (
        f"{words}; in {len(broken)} it changes, most in the {worst.statistic} of {worst.tensor} at "
        f"step {worst.step}: by {_slope(worst.interaction)} per doubling of the depth"
    )


def _batch_size(verdict: VariantVerdict) -> str:
    shown = [cell for cell in verdict.cells_on(Axis.BATCH) if cell.decides]
    cells = [cell for cell in shown if cell.slope is not None]
    if not cells:
        return ""
    moving = [c for c in cells if c.verdict in (CellVerdict.GROWS, CellVerdict.SHRINKS)]
    words = f"with the batch size {len(moving)} of {len(cells)} slopes are not flat"
    if not moving:
        return words
    return f"{words}; steepest is {_where(max(moving, key=lambda c: abs(c.slope or 0.0)))}"


def _bends(cells: Iterable[Cell]) -> str:
    bent = [cell for cell in cells if cell.bends_and_counts]
    if not bent:
        return ""
    worst = max(bent, key=lambda cell: abs(cell.curvature or 0.0))
    tensors = len({(cell.tensor, cell.depth, cell.batch_size) for cell in bent})
    counted = (
        "the line of 1 tensor bends" if tensors == 1 else f"the lines of {tensors} tensors bend"
    )
    end = f" and {_slope(worst.end_slope)} at width {worst.widths[-1]}"
    return (
        f"{counted}: {_where(worst)} over all widths{end}; a slope of such a line says little of "
        "wider models, add wider widths"
    )


def _two_seeds(cells: Iterable[Cell]) -> str:
    if not any(cell.seeds == 2 and cell.low is not None for cell in cells):
        return ""
    return (
        "two seeds: every interval rests on one difference, and a narrow one may be chance; "
        "take at least 3"
    )


def _deciding(verdict: VariantVerdict) -> list[Cell]:
    cells = (*verdict.judged(), *verdict.cells_on(Axis.DEPTH))
    return [cell for cell in cells if cell.decides]


def _where(cell: Cell) -> str:
    name = {Statistic.L1: "size"}.get(cell.statistic, cell.statistic.value)
    width = "" if cell.width is None else f", width {cell.width}"
    expected = ""
    if cell.expected is not None and cell.axis in (Axis.WIDTH, Axis.DEPTH):
        expected = f", theory {_slope(cell.expected)}"
    slope = f"slope {_slope(cell.slope)}{expected}"
    return f"the {name} of {cell.tensor} at step {cell.step}{width} ({slope})"


def _distance(cell: Cell) -> float:
    if cell.slope is None or cell.expected is None:
        return 0.0
    return abs(cell.slope - cell.expected)


def _slope(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2f}".replace("-", "−")
