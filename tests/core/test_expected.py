"""The table of expectations says what theory/facts.md says, and nothing that nobody said."""

from dataclasses import replace
from itertools import product

import pytest

from muscope import catalogue
from muscope.catalogue import Options
from muscope.theory.expected import TOLERANCE, Coordinates, expectation, legal_exception, row
from muscope.vocabulary import Role, Statistic, UpdateFamily

ADAM, SGD = UpdateFamily.SIGN_LIKE, UpdateFamily.SGD_LIKE
L1, CHANGE = Statistic.L1, Statistic.CHANGE
ROWS = (
    *("sp", "sp_fixed_std", "mup", "ntk", "ntk_fixed", "mean_field_fixed"),
    *("everett", "spectral", "nanotron", ""),
)
EVERYWHERE = [
    Coordinates(row, zero_readout, family, role, statistic, step)
    for row, zero_readout, family, role, statistic, step in product(
        ROWS, (False, True), UpdateFamily, Role, Statistic, (0, 1, 4, 5)
    )
]


def exponent(
    parametrization: str,
    family: UpdateFamily,
    role: Role,
    statistic: Statistic,
    step: int,
    *,
    zero_readout: bool = False,
) -> float | None:
    at = Coordinates(parametrization, zero_readout, family, role, statistic, step)
    return expectation(at).exponent


@pytest.mark.parametrize(
    ("family", "embedding", "hidden", "output"),
    [(SGD, -0.5, 0.5, 1.0), (ADAM, 0.0, 1.0, 1.5)],
)
def test_sp_changes_as_the_rows_of_facts_5_1(
    family: UpdateFamily, embedding: float, hidden: float, output: float
) -> None:
    assert exponent("sp", family, Role.EMBEDDING, CHANGE, 1) == embedding
    assert exponent("sp", family, Role.HIDDEN, CHANGE, 1) == hidden
    assert exponent("sp", family, Role.OUTPUT, CHANGE, 1) == output


@pytest.mark.parametrize("family", UpdateFamily)
def test_mup_is_flat_but_for_the_first_logits_of_a_random_readout(family: UpdateFamily) -> None:
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.ATTENTION_LOGITS, Role.RESIDUAL):
        assert exponent("mup", family, role, L1, 3) == 0.0
        assert exponent("mup", family, role, CHANGE, 3) == 0.0
    assert exponent("mup", family, Role.OUTPUT, L1, 0) == -0.5
    assert exponent("mup", family, Role.OUTPUT, L1, 1) is None  # -1/2 fades into 0
    assert exponent("mup", family, Role.OUTPUT, CHANGE, 1) == 0.0


@pytest.mark.parametrize("parametrization", ["sp", "mup"])
def test_what_is_exactly_zero_has_no_exponent(parametrization: str) -> None:
    zero = {"zero_readout": True}
    assert exponent(parametrization, ADAM, Role.OUTPUT, L1, 0, **zero) is None
    assert exponent(parametrization, ADAM, Role.HIDDEN, CHANGE, 1, **zero) is None
    assert exponent(parametrization, ADAM, Role.OUTPUT, CHANGE, 1, **zero) is not None


def test_what_no_source_gives_is_unknown_and_not_guessed() -> None:
    assert exponent("sp", ADAM, Role.RESIDUAL, CHANGE, 1) is None
    assert exponent("sp", SGD, Role.ATTENTION_LOGITS, CHANGE, 1) is None
    assert exponent("sp", ADAM, Role.HIDDEN, CHANGE, 2) is None
    assert exponent("sp", ADAM, Role.HIDDEN, L1, 1) is None
    assert exponent("mup", ADAM, Role.OUTPUT, L1, 1) is None


def test_every_expectation_has_a_source_and_bands_only_widen_downwards_for_mup() -> None:
    for at in EVERYWHERE:
        assert expectation(at).source
        legal = legal_exception(at)
        if legal is not None:
            assert at.row == "mup"
            assert legal.low < -TOLERANCE


def test_slow_alignment_is_legal_where_token_vectors_meet_a_sign_like_update() -> None:
    marked = [replace(at, aligns_slowly=True) for at in EVERYWHERE]
    legal = [at for at in marked if at.role is Role.HIDDEN and legal_exception(at)]
    assert {(at.row, at.family, at.statistic) for at in legal} == {("mup", ADAM, CHANGE)}
    unmarked = [at for at in EVERYWHERE if at.role is not Role.OUTPUT]
    assert not any(legal_exception(at) for at in unmarked)


@pytest.mark.parametrize(
    ("zero_readout", "step", "band"),
    [
        (False, 0, (-0.65, 0.10)),
        (False, 4, (-0.60, 0.20)),
        (False, 5, (-0.20, 0.10)),
        (True, 0, None),
        (True, 1, (-0.20, 0.10)),
        (True, 50, (-0.20, 0.10)),
    ],
)
def test_the_bands_are_those_of_facts_5_3(
    zero_readout: bool, step: int, band: tuple[float, float] | None
) -> None:
    legal = legal_exception(Coordinates("mup", zero_readout, ADAM, Role.OUTPUT, L1, step))
    assert (None if legal is None else (legal.low, legal.high)) == band


@pytest.mark.parametrize(
    ("name", "options", "row_name"),
    [
        ("sp", {}, "sp"),
        ("sp", {"init": "gpt2"}, "sp_fixed_std"),
        ("ntk", {}, "ntk"),
        ("ntk", {"rates": "fixed"}, "ntk_fixed"),
        ("mean_field", {}, "mup"),
        ("mean_field", {"rates": "fixed"}, "mean_field_fixed"),
        ("mup", {"form": "table3"}, "mup"),
        ("mup", {"trust_ratio_rate": "full_rank"}, ""),
        ("cerebras", {}, "mup"),
        ("cerebras", {"scale_output_logits_by_d": False}, ""),
        ("cerebras", {"decoder_attention": 1.0}, ""),
        ("minicpm", {"all_are_2d": True}, ""),
        ("everett", {}, "everett"),
        ("everett", {"form": "mean_field"}, "mup"),
        ("everett", {"alignment": "none"}, ""),
        ("complete_p", {}, "mup"),
        ("u_mup", {}, ""),
    ],
)
def test_every_parametrization_follows_its_row_of_facts_5_1(
    name: str, options: Options, row_name: str
) -> None:
    known = catalogue.ALL_PARAMETRIZATIONS[name].options
    assert row(name, catalogue.with_defaults(options, known)) == row_name


# Facts 5.1: columns act hid t0, logit t0, upd EMB, dact HID, dlogit; None is not given, or depends
# on more than the row.
ROWS_OF_5_1 = [
    ("sp", SGD, (0, 0, -0.5, 0.5, 1)),
    ("sp", ADAM, (0, 0, 0, 1, 1.5)),
    ("ntk", SGD, (0, 0, -0.5, -0.5, 0)),
    ("ntk_fixed", ADAM, (0, 0, 0, 0.5, 1)),
    ("mean_field_fixed", SGD, (0, -0.5, -1, -1, -1)),
    ("mup", SGD, (0, -0.5, 0, 0, 0)),
    ("mup", ADAM, (0, -0.5, 0, 0, 0)),
    ("mup", UpdateFamily.ORTHOGONAL, (0, -0.5, 0, 0, 0)),
    ("mup", UpdateFamily.TRUST_RATIO, (0, -0.5, 0, 0, 0)),
    ("everett", ADAM, (0, 0, 0, 0, None)),
    ("nanotron", ADAM, (0, None, None, 1, None)),
    ("sp", UpdateFamily.ORTHOGONAL, (0, 0, None, None, None)),
]


@pytest.mark.parametrize(("row_name", "family", "exponents"), ROWS_OF_5_1)
def test_the_rows_of_facts_5_1(
    row_name: str, family: UpdateFamily, exponents: tuple[float | None, ...]
) -> None:
    at = (
        (Role.HIDDEN, L1, 0),
        (Role.OUTPUT, L1, 0),
        (Role.EMBEDDING, CHANGE, 1),
        (Role.HIDDEN, CHANGE, 1),
        (Role.OUTPUT, CHANGE, 1),
    )
    assert tuple(exponent(row_name, family, *place) for place in at) == exponents
