"""`python -m tests.lab.exponents.table` prints the tables of docs/exponents.md, measured here."""

from collections.abc import Iterable, Sequence

from muscope.verdicts.types import Cell
from muscope.vocabulary import Role, Statistic, TensorKind
from tests.lab.exponents import rows
from tests.lab.exponents.depth import expected_in_depth, in_depth
from tests.lab.exponents.measuring import SPECTRA, in_width

ACTIVATION, WEIGHT = TensorKind.ACTIVATION, TensorKind.WEIGHT
GRADIENT, UPDATE = TensorKind.GRADIENT, TensorKind.UPDATE
EMB, HID, OUT = Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT
L1, CHANGE = Statistic.L1, Statistic.CHANGE
CONTRIBUTION, SPECTRAL = Statistic.CONTRIBUTION, Statistic.SPECTRAL


def number(exponent: float | None) -> str:
    """Two digits with sign; what theory does not know is a dash."""
    if exponent is None:
        return "–"
    return f"{exponent:+.2f}".replace("-0.00", "+0.00").replace("-", "−")


def entry(cells: Sequence[Cell], statistic: Statistic) -> str:
    """Two columns, theory and measured: of several layers the least and the largest slope."""
    found = [cell for cell in cells if cell.statistic is statistic]
    slopes = sorted(cell.slope for cell in found if cell.slope is not None)
    if not slopes:
        return "– | exactly 0"
    ends = list(dict.fromkeys(map(number, (slopes[0], slopes[-1]))))
    return f"{number(found[0].expected)} | {' … '.join(ends)}"


def at(cells: Iterable[Cell], kind: TensorKind, role: Role, step: int) -> list[Cell]:
    """The cells of all tensors of a role."""
    return [cell for cell in cells if (cell.kind, cell.role, cell.step) == (kind, role, step)]


def line(title: str, entries: Iterable[str]) -> None:
    """A row of a table."""
    print(f"| {title} | {' | '.join(entries)} |")  # noqa: T201


def mlp() -> None:
    """Facts 5.1, and the gradients of facts 1."""
    measured = {
        row: in_width(
            rows.mlp(row),
            rows.MLP_WIDTHS,
            depth=rows.MLP_DEPTH,
            seeds=rows.MLP_SEEDS,
            steps=row.steps,
        )
        for row in rows.MLP
    }
    for row, cells in measured.items():
        last = row.steps
        line(
            row.title,
            (
                entry(at(cells, ACTIVATION, HID, 0), L1),
                entry(at(cells, ACTIVATION, OUT, 0), L1),
                *(entry(at(cells, WEIGHT, role, last), CONTRIBUTION) for role in (EMB, HID, OUT)),
                entry(at(cells, ACTIVATION, HID, last), CHANGE),
                entry(at(cells, ACTIVATION, OUT, last), CHANGE),
            ),
        )
    print()  # noqa: T201
    for row, cells in measured.items():
        line(row.title, (entry(at(cells, GRADIENT, role, 0), L1) for role in (EMB, HID, OUT)))


def spectra() -> None:
    """Facts 6."""
    for row in rows.SPECTRAL:
        cells = in_width(
            rows.mlp(row),
            rows.SPECTRAL_WIDTHS,
            depth=rows.MLP_DEPTH,
            seeds=rows.SPECTRAL_SEEDS,
            steps=1,
            statistics=SPECTRA,
        )
        line(
            row.title,
            (
                entry(at(cells, kind, role, step), SPECTRAL)
                for kind, step in ((WEIGHT, 0), (UPDATE, 1))
                for role in (EMB, HID, OUT)
            ),
        )


def transformer() -> None:
    """Facts 5.3: sizes at step 0, changes after the first step in which they move."""
    for row in rows.TRANSFORMER:
        cells = in_width(
            rows.transformer(row),
            rows.TRANSFORMER_WIDTHS,
            depth=rows.TRANSFORMER_DEPTH,
            seeds=3,
            steps=row.steps,
        )
        first = 2 if row.options == rows.ZERO_READOUT else 1
        places = (("attn.out", L1, 0), ("mlp.out", L1, 0), ("readout", L1, 0))
        moves = ("attn.logits", "attn.out", "mlp.out", "readout")
        line(
            row.title,
            (
                entry([c for c in cells if _is(c, name, step)], statistic)
                for name, statistic, step in (
                    *places,
                    *((name, CHANGE, first) for name in moves),
                )
            ),
        )


def _is(cell: Cell, name: str, step: int) -> bool:
    """Whether it is that activation, of the last block where blocks have it."""
    last = f"blocks.{rows.TRANSFORMER_DEPTH - 1}.{name}"
    return cell.kind is ACTIVATION and cell.step == step and cell.tensor in (name, last)


def depth() -> None:
    """Facts 5.4, with the change after one step; then what its conditions leave out."""
    for row in (*rows.DEPTH, *rows.BEYOND_DEPTH):
        variant = rows.deep_transformer(row)
        found = in_depth(variant, rows.DEPTHS, width=rows.DEPTH_WIDTH, seeds=2)
        theory = expected_in_depth(row)
        line(
            row.title,
            (
                f"{number(theory.size)} | {number(found.size)}",
                f"{number(theory.change)} | {number(found.first_change)}",
                number(found.change),
                f"{number(theory.gradient)} | {number(found.gradient)}",
            ),
        )


if __name__ == "__main__":
    for table in (mlp, spectra, transformer, depth):
        print(f"\n{(table.__doc__ or '').strip()}\n")  # noqa: T201
        table()
