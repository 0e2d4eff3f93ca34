"""What the lab measures has the exponents that theory expects: facts 5.1, 5.3, 5.4, 1 and 6.

`make test` takes a part of the rows at smaller widths and depths, `make test-slow` all of them;
`python -m tests.lab.exponents.table` prints the tables of docs/exponents.md.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import pytest

from muscope import catalogue
from muscope.lab import engine
from muscope.spec import RunSpec
from muscope.theory.expected import DEPTH_TOLERANCE, TOLERANCE, Coordinates, legal_exception
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind, UpdateFamily
from tests.lab.exponents import rows
from tests.lab.exponents.depth import expected_in_depth, in_depth
from tests.lab.exponents.measuring import SIZES, SPECTRA, disagreements, in_width, recording
from tests.lab.exponents.rows import Row

ACTIVATION, WEIGHT = TensorKind.ACTIVATION, TensorKind.WEIGHT
L1, CHANGE, CONTRIBUTION = Statistic.L1, Statistic.CHANGE, Statistic.CONTRIBUTION


def title(value: object) -> str | None:
    return value.title if isinstance(value, Row) else None


def quick_rows(table: Sequence[Row]) -> list[Row]:
    return [row for row in table if row.quick]


# Facts 5.1, and the gradients at initialization of facts 1.


@cache
def mlp(row: Row, widths: tuple[int, ...], seeds: int) -> tuple[Cell, ...]:
    return in_width(rows.mlp(row), widths, depth=rows.MLP_DEPTH, seeds=seeds, steps=row.steps)


@pytest.mark.parametrize("row", quick_rows(rows.MLP), ids=title)
def test_a_row_of_facts_5_1(row: Row) -> None:
    assert disagreements(mlp(row, row.quick, rows.QUICK_SEEDS), besides=row.besides) == []


@pytest.mark.slow
@pytest.mark.parametrize("row", rows.MLP, ids=title)
def test_a_row_of_facts_5_1_at_widths_256_to_2048(row: Row) -> None:
    assert disagreements(mlp(row, rows.MLP_WIDTHS, rows.MLP_SEEDS), besides=row.besides) == []


def first_hidden_layer(row: Row, width: int) -> tuple[float, float]:
    """How far it moves in a step, and how far its own update moves it."""
    run = RunSpec(
        variant=rows.mlp(row), width=width, base_width=256, depth=1, base_depth=1, seed=0, steps=1,
        record="full",
    )  # fmt: skip
    with recording(SIZES):
        *_, last = engine.train([run])
    found = {(m.kind, m.tensor): m.values for m in last.measurements}
    moved, own = found[ACTIVATION, "hidden.0"].change, found[WEIGHT, "hidden.0"].contribution
    return moved or 0.0, own or 1.0


def test_under_sp_and_sgd_the_input_pushes_the_first_hidden_layer_by_1_over_width() -> None:
    """Why its change bends at small widths, and is not asked there.

    Both updates are multiples of the same gradient d of that layer: its own moves it by d times
    h.h' ~ n, the input's by W W^T d times x.x' ~ 1, in the same direction. So it moves 1 + c/n
    times as far as its own update moves it.
    """
    sp_sgd = next(row for row in rows.MLP if row.besides)
    excess = []
    for width in (512, 1024, 2048):
        moved, own = first_hidden_layer(sp_sgd, width)
        excess.append((moved / own - 1) * width)
    for narrow, wide in pairwise(excess):
        assert wide == pytest.approx(narrow, rel=0.15)  # the next term is c/n = 0.14 at 512


@pytest.mark.slow
def test_under_sp_and_sgd_a_wide_first_hidden_layer_changes_as_in_facts_5_1() -> None:
    sp_sgd = next(row for row in rows.MLP if row.besides)
    found = slopes(mlp(sp_sgd, (1024, 2048, 4096), 2), ACTIVATION, CHANGE, 1)
    assert found["hidden.0"] == pytest.approx(0.5, abs=0.1)


def test_with_a_zero_readout_nothing_below_it_moves_in_the_first_step() -> None:
    row = next(row for row in rows.MLP if row.options == rows.ZERO_READOUT)
    cells = [
        c
        for c in mlp(row, row.quick, rows.QUICK_SEEDS)
        if c.step == 1 and c.role is not Role.OUTPUT
    ]
    moves = {c.verdict for c in cells if c.statistic in (CHANGE, CONTRIBUTION)}
    assert moves == {CellVerdict.ZERO}


def test_under_mup_sophia_grows_with_width_where_its_clip_lets_entries_through() -> None:
    """Its rule is that of the bound: with this gamma half to a quarter of them are not clipped."""
    row = next(
        row for row in rows.MLP if row.optimizer == "sophia" and row.parametrization == "mup"
    )
    tight = rows.mlp(row)
    loose = tight.optimizer.model_copy(
        update={"options": {**tight.optimizer.options, "gamma": 200.0}}
    )
    variant = tight.model_copy(update={"optimizer": loose})
    cells = in_width(variant, rows.NARROW, depth=1, seeds=3, steps=1)
    (grows,) = (c for c in cells if c.statistic is CONTRIBUTION and c.tensor == "hidden.0")
    assert (grows.slope or 0.0) > TOLERANCE  # more than a verdict calls flat


# Facts 6: spectral norms over sqrt(fan_out / fan_in), at initialization and of the first update.


def spectra(row: Row, widths: Sequence[int]) -> tuple[Cell, ...]:
    depth, seeds = rows.MLP_DEPTH, rows.SPECTRAL_SEEDS
    return in_width(rows.mlp(row), widths, depth=depth, seeds=seeds, steps=1, statistics=SPECTRA)


@pytest.mark.parametrize("row", quick_rows(rows.SPECTRAL), ids=title)
def test_spectral_norms_of_facts_6(row: Row) -> None:
    assert disagreements(spectra(row, row.quick)) == []


@pytest.mark.slow
@pytest.mark.parametrize("row", rows.SPECTRAL, ids=title)
def test_spectral_norms_of_facts_6_at_widths_128_to_1024(row: Row) -> None:
    assert disagreements(spectra(row, rows.SPECTRAL_WIDTHS)) == []


# Facts 5.3: a pre-norm transformer.

GPT_WIDTHS = [
    pytest.param(rows.SMALL, id="quick"),
    pytest.param(rows.TRANSFORMER_WIDTHS, id="full", marks=pytest.mark.slow),
]
BRANCHES = ("attn.logits", "attn.out", "mlp.out")


@cache
def transformer(row: Row, widths: tuple[int, ...]) -> tuple[Cell, ...]:
    depth = rows.TRANSFORMER_DEPTH
    return in_width(rows.transformer(row), widths, depth=depth, seeds=3, steps=row.steps)


def slopes(
    cells: Sequence[Cell], kind: TensorKind, statistic: Statistic, step: int
) -> dict[str, float]:
    return {
        c.tensor: c.slope
        for c in cells
        if (c.kind, c.statistic, c.step) == (kind, statistic, step) and c.slope is not None
    }


@pytest.mark.parametrize("widths", GPT_WIDTHS)
@pytest.mark.parametrize("row", [rows.SP_GPT, rows.MUP_GPT, rows.NANOTRON_GPT], ids=title)
def test_a_transformer_starts_as_in_facts_5_3(row: Row, widths: tuple[int, ...]) -> None:
    start = [c for c in transformer(row, widths) if c.step == 0 and c.kind is ACTIVATION]
    assert disagreements(start) == []


@pytest.mark.parametrize("widths", GPT_WIDTHS)
@pytest.mark.parametrize("row", [rows.SP_GPT, rows.NANOTRON_GPT], ids=title)
def test_sp_and_the_rule_of_nanotron_fail_as_in_facts_5_3(
    row: Row, widths: tuple[int, ...]
) -> None:
    """They fail where |dx| grows with more than 0.8 (facts, section 10)."""
    found = slopes(transformer(row, widths), ACTIVATION, CHANGE, 1)
    assert min(found[f"blocks.1.{name}"] for name in BRANCHES) > 0.8
    assert found["readout"] > 0.5  # more than flat: see the next test


@pytest.mark.slow
def test_the_logits_of_sp_grow_the_less_the_more_of_them_there_are() -> None:
    """3/2 is the exponent of the logits that the update is aligned with: those of tokens seen.

    The others move by W_out times a change that has nothing to do with them, with exponent 1. Of 64
    logits most are seen, of 1024 a few; so the 3/2 of the facts (64) is not that of nanotron's
    readout, which needs more logits than the model is wide.
    """
    found = []
    for vocabulary in (64, 256, 1024):
        row = Row("", "sp", "adamw", 1e-4, model={"vocabulary": vocabulary})
        found.append(slopes(transformer(row, rows.SMALL), ACTIVATION, CHANGE, 1)["readout"])
    assert found[0] == pytest.approx(1.5, abs=0.15)
    assert found[2] == pytest.approx(1.0, abs=0.15)
    assert sorted(found, reverse=True) == found


@pytest.mark.parametrize("widths", GPT_WIDTHS)
@pytest.mark.parametrize("row", [rows.MUP_GPT, rows.MUP_ZERO_GPT], ids=title)
def test_mup_passes_as_in_facts_5_3(row: Row, widths: tuple[int, ...]) -> None:
    cells = transformer(row, widths)
    assert beyond_their_bands(row, cells) == []
    own = slopes(cells, WEIGHT, CONTRIBUTION, row.steps)
    assert max(own.values()) < 0.3  # facts 5.3: the signal of a fault


def beyond_their_bands(row: Row, cells: Sequence[Cell]) -> list[str]:
    """Activations that are not flat, beyond what the criteria of facts 5.3 allow."""
    variant = rows.transformer(row)
    entries = catalogue.MODELS["gpt"].activations(128, 2, dict(variant.model.options))
    slow = {entry.name for entry in entries if entry.aligns_slowly}
    zero, adam = variant.parametrization.zero_readout, UpdateFamily.SIGN_LIKE
    found = []
    for c in (c for c in cells if c.kind is ACTIVATION and c.slope is not None):
        at = Coordinates("mup", zero, adam, c.role, c.statistic, c.step, c.tensor in slow)
        legal = legal_exception(at)
        low, high = (legal.low, legal.high) if legal else (-TOLERANCE, TOLERANCE)
        if not low <= (c.slope or 0.0) <= high:
            found.append(f"{c.tensor}, {c.statistic} at step {c.step}: {c.slope}")
    return found


@pytest.mark.slow
def test_a_fixed_std_adds_a_half_with_every_product_as_in_facts_5_3() -> None:
    """v and o add 1/2 each, so do up and down, and the readout: no role's exponent, a place's."""
    cells = transformer(rows.FIXED_STD_GPT, rows.TRANSFORMER_WIDTHS)
    start, moved = slopes(cells, ACTIVATION, L1, 0), slopes(cells, ACTIVATION, CHANGE, 1)
    assert start["blocks.0.attn.out"] == pytest.approx(1, abs=0.1)
    assert start["blocks.1.mlp.out"] == pytest.approx(1, abs=0.1)
    assert start["readout"] == pytest.approx(0.5, abs=0.1)
    assert min(moved[f"blocks.1.{name}"] for name in BRANCHES) > 1.5  # facts measured 1.87


def test_a_rate_that_is_not_divided_shows_in_its_own_group_alone() -> None:
    """Facts 5.3: the exponent of that group's contribution moves by that of the missing factor."""
    row = Row("", "cerebras", "adamw", 1e-3, {"decoder_input_ffn": 1.0})
    found = slopes(transformer(row, rows.SMALL), WEIGHT, CONTRIBUTION, 1)
    faulty = [slope for name, slope in found.items() if name.endswith("mlp.up")]
    assert min(faulty) > 0.8
    assert max(slope for name, slope in found.items() if not name.endswith("mlp.up")) < 0.3


def test_a_readout_that_is_divided_by_too_little_shows_in_the_logits_alone() -> None:
    """By the root of the ratio: half an exponent is missing, at the start and in the update."""
    row = Row("", "cerebras", "adamw", 1e-3, {"scale_output_logits_by_d": False})
    cells = transformer(row, rows.SMALL)
    assert slopes(cells, ACTIVATION, L1, 0)["readout"] == pytest.approx(0, abs=0.1)
    found = slopes(cells, WEIGHT, CONTRIBUTION, 1)
    assert found.pop("readout") > 0.3
    assert max(found.values()) < 0.3


# Facts 5.4: exponents of depth.

NO_RULE = 0.25  # facts, section 10: where no rule divides by the depth


def assert_as_in_facts_5_4(row: Row, depths: tuple[int, ...]) -> None:
    found = in_depth(rows.deep_transformer(row), depths, width=rows.DEPTH_WIDTH, seeds=2)
    theory = expected_in_depth(row)
    tolerance = NO_RULE if row.parametrization == "mup" else DEPTH_TOLERANCE
    for name, exponent in theory._asdict().items():
        assert exponent is None or getattr(found, name) == pytest.approx(exponent, abs=tolerance)


@pytest.mark.parametrize("row", quick_rows(rows.DEPTH), ids=title)
def test_a_row_of_facts_5_4(row: Row) -> None:
    assert_as_in_facts_5_4(row, row.quick)


@pytest.mark.slow
@pytest.mark.parametrize("row", rows.DEPTH, ids=title)
def test_a_row_of_facts_5_4_at_depths_8_to_64(row: Row) -> None:
    assert_as_in_facts_5_4(row, rows.DEPTHS)
