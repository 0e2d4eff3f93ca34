"""The table of expectations says what docs/facts.md says, and nothing that nobody said."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from muscope import catalogue
from muscope.catalogue import Options
from muscope.theory.expected import (
    TOLERANCE,
    Coordinates,
    Powers,
    depth,
    depth_scheme,
    expectation,
    legal_exception,
    row,
)
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

ADAM, SGD = UpdateFamily.SIGN_LIKE, UpdateFamily.SGD_LIKE
L1, CHANGE = Statistic.L1, Statistic.CHANGE
ROWS = (
    *("sp", "sp_fixed_std", "mup", "ntk", "ntk_fixed", "mean_field_fixed"),
    *("everett", "spectral", "nanotron", "u_mup", ""),
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
    **given: Any,
) -> float | None:
    place = Coordinates(parametrization, False, family, role, statistic, step)
    return expectation(replace(place, **given)).exponent


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
    zero = {"zero_readout": True, "powers": Powers(0, 0, None, None, -0.5)}
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
            assert at.row in ("mup", "u_mup", "spectral")
            assert legal.low < -TOLERANCE


def test_slow_alignment_is_legal_where_token_vectors_meet_a_sign_like_update() -> None:
    marked = [replace(at, aligns_slowly=True) for at in EVERYWHERE]
    legal = [at for at in marked if at.role is Role.HIDDEN and legal_exception(at)]
    assert {at.statistic for at in legal} == {CHANGE}
    rows = {at.row for at in legal if at.row != "u_mup"}  # whose embedding is the reason there
    assert rows == {"mup", "spectral"}
    assert {at.family for at in legal if at.row in rows} == {ADAM}
    unmarked = [at for at in EVERYWHERE if at.role is not Role.OUTPUT and at.row == "mup"]
    assert not any(legal_exception(at) for at in unmarked)


@pytest.mark.parametrize(
    ("part", "family", "low"),
    [
        ("mlp.up", ADAM, -0.20),
        ("mlp.up", SGD, -0.20),
        ("attention.q", ADAM, -0.20),
        ("attention.q", SGD, -0.35),
        ("attention.q", UpdateFamily.ORTHOGONAL, None),
    ],
)
def test_a_change_may_shrink_as_the_contribution_that_makes_it(
    part: str, family: UpdateFamily, low: float | None
) -> None:
    """Where little comes from below, as with small branches: the bands are those of ADR 16, 26."""
    at = Coordinates("mup", True, family, Role.HIDDEN, CHANGE, 1, aligns_slowly=True, part=part)
    legal = legal_exception(at)
    assert (None if legal is None else legal.low) == low


def test_growing_heads_under_1_over_d_start_the_gradients_of_sgd_at_minus_one_half() -> None:
    at = Coordinates("mup", True, SGD, Role.HIDDEN, CHANGE, 1, aligns_slowly=True)
    scores = replace(at, part="attention.q", attention_start=-0.5)
    values = replace(at, part="attention.v", attention_start=-0.5)
    by_root = replace(at, part="attention.q", attention_start=0.0)
    found = [legal_exception(one) for one in (scores, values, by_root)]
    assert [legal and legal.low for legal in found] == [-0.85, -0.35, -0.35]


def test_what_attention_hands_on_may_even_out_only_where_its_logits_start_low() -> None:
    at = Coordinates("mup", True, ADAM, Role.HIDDEN, L1, 0, part="attention.o")
    low = replace(at, attention_start=-0.5)
    assert legal_exception(at) is None
    assert legal_exception(replace(low, zero_query=True)) is None
    legal = legal_exception(low)
    assert legal is not None
    assert legal.low == -0.30


@pytest.mark.parametrize(
    ("zero_readout", "step", "band"),
    [
        (False, 0, (-0.65, 0.10)),
        (False, 4, (-0.60, 0.20)),
        (False, 50, (-0.60, 0.20)),  # as slow as its learning rate
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
        ("mup", {"trust_ratio_rate": "full_rank"}, "mup"),  # which Adam does not read
        ("cerebras", {}, "mup"),
        ("cerebras", {"scale_output_logits_by_d": False}, ""),
        ("cerebras", {"decoder_attention": 1.0}, ""),
        ("minicpm", {"all_are_2d": True}, ""),
        ("everett", {}, "everett"),
        ("everett", {"form": "mean_field"}, "mup"),
        ("everett", {"alignment": "none"}, ""),
        ("complete_p", {}, "mup"),
        ("u_mup", {}, "u_mup"),
    ],
)
def test_every_parametrization_follows_its_row_of_facts_5_1(
    name: str, options: Options, row_name: str
) -> None:
    known = catalogue.PARAMETRIZATION_ENTRIES[name].options
    assert row(name, catalogue.with_defaults(options, known), ADAM) == row_name


def test_a_rate_for_trust_ratios_has_no_row_only_where_a_trust_ratio_reads_it() -> None:
    options: Options = {"trust_ratio_rate": "full_rank"}
    found = {family for family in UpdateFamily if row("mup", options, family) != "mup"}
    assert found == {UpdateFamily.TRUST_RATIO}


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
    ("u_mup", ADAM, (0, -0.5, -0.5, None, 0)),
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


LOGITS = Role.ATTENTION_LOGITS


# Facts 5.2: q.k/sqrt(d) and q.k/d where the size of a head grows with the width.
@pytest.mark.parametrize(
    ("start", "zero_query", "exponents"),
    [
        (None, False, (0, 0, 0)),
        (-0.5, False, (-0.5, None, 0)),
        (-0.5, True, (None, 0, 0)),
        (0.0, False, (0, None, None)),
        (0.0, True, (None, None, None)),
    ],
)
def test_attention_logits_of_growing_heads_are_those_of_facts_5_2(
    start: float | None, zero_query: bool, exponents: tuple[float | None, ...]
) -> None:
    given = {"attention_start": start, "zero_query": zero_query}
    at = ((L1, 0), (L1, 3), (CHANGE, 3))
    found = tuple(exponent("mup", ADAM, LOGITS, *place, **given) for place in at)
    assert found == exponents


def test_growing_heads_under_1_over_d_may_start_low_and_recover() -> None:
    at = Coordinates("mup", False, ADAM, LOGITS, L1, 0, attention_start=-0.5)
    assert legal_exception(at) is not None
    assert legal_exception(replace(at, step=50)) is not None  # as slow as its learning rate
    assert legal_exception(replace(at, zero_query=True)) is None
    assert legal_exception(replace(at, attention_start=None)) is None


def test_sp_with_growing_heads_is_not_in_the_tables() -> None:
    assert exponent("sp", ADAM, LOGITS, CHANGE, 1) == 1.0
    assert exponent("sp", ADAM, LOGITS, CHANGE, 1, attention_start=0.0) is None
    assert exponent("sp", ADAM, LOGITS, L1, 0, attention_start=0.0) == 0.0


def test_an_unembedding_of_sp_starts_flat_and_leaves_sign_like_updates_alone() -> None:
    given = {"sp_unembedding": True}
    assert exponent("mup", ADAM, Role.OUTPUT, L1, 0, **given) == 0.0
    assert exponent("mup", ADAM, Role.HIDDEN, CHANGE, 1, **given) == 0.0
    assert exponent("mup", SGD, Role.HIDDEN, CHANGE, 1, **given) is None  # gradients are larger
    assert exponent("mup", ADAM, Role.OUTPUT, CHANGE, 1, **given) is None  # up to +1/2
    at = Coordinates("mup", False, ADAM, Role.OUTPUT, L1, 0, sp_unembedding=True)
    assert legal_exception(at) is None


def test_the_first_logits_of_tied_embeddings_are_unknown() -> None:
    """A token's logit of itself is a sum of squares, those of the others are random."""
    assert exponent("mup", ADAM, Role.OUTPUT, L1, 0, tied=True) is None
    assert exponent("mup", ADAM, Role.OUTPUT, CHANGE, 1, tied=True) == 0.0


def test_a_mix_of_optimizers_has_exponents_where_one_of_them_is_alone() -> None:
    """Muon leaves the embedding to AdamW; a hidden change under SP is in no table."""
    powers = Powers(0, 0, 0, 0, -0.5)
    assert exponent("sp", ADAM, Role.EMBEDDING, CHANGE, 1, mixed=True, powers=powers) == 0.0
    assert exponent("sp", ADAM, Role.OUTPUT, CHANGE, 1, mixed=True, powers=powers) is None
    muon = UpdateFamily.ORTHOGONAL
    assert exponent("sp", muon, Role.HIDDEN, CHANGE, 1, mixed=True, powers=powers) is None
    assert exponent("mup", muon, Role.HIDDEN, CHANGE, 1, mixed=True, powers=powers) == 0.0


@pytest.mark.parametrize("family", [ADAM, SGD])
def test_u_mups_embedding_may_shrink_and_its_hidden_weights_may_not(family: UpdateFamily) -> None:
    """Facts 2.9: the embedding's rate is that of Adam for SGD too."""
    at = Coordinates("u_mup", False, family, Role.EMBEDDING, Statistic.CONTRIBUTION, 1)
    of_weight = replace(at, kind=TensorKind.WEIGHT)
    assert legal_exception(of_weight) is not None
    assert legal_exception(replace(of_weight, role=Role.HIDDEN)) is None
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.RESIDUAL):
        assert legal_exception(replace(at, role=role, statistic=CHANGE)) is not None


# Facts 5.4: columns h_L t0, Delta h_L with Adam, with SGD, block gradient.
@pytest.mark.parametrize(
    ("scheme", "exponents"),
    [
        ("none", (0.5, 1, None, None)),
        ("last_matrix", (0, 0.5, None, None)),
        ("depth_mup", (0, 0, 0, -0.5)),
        ("complete_p", (None, 0, 0, -1)),
        ("", (None, None, None, None)),
    ],
)
def test_the_rows_of_facts_5_4(scheme: str, exponents: tuple[float | None, ...]) -> None:
    stream = {"role": Role.RESIDUAL}
    found = (
        depth(scheme, ADAM, **stream, statistic=L1, step=0),
        depth(scheme, ADAM, **stream, statistic=CHANGE, step=4),
        depth(scheme, SGD, **stream, statistic=CHANGE, step=4),
        depth(scheme, ADAM, role=Role.HIDDEN, statistic=L1, step=0, kind=TensorKind.GRADIENT),
    )
    assert tuple(one.exponent for one in found) == exponents


@pytest.mark.parametrize(
    ("name", "options", "scheme"),
    [
        ("mup", {}, "none"),
        ("sp", {}, "none"),
        ("sp", {"init": "gpt2"}, "last_matrix"),
        ("cerebras", {}, "last_matrix"),
        ("depth_mup", {}, "depth_mup"),
        ("complete_p", {}, "complete_p"),
        ("complete_p", {"alpha": 0.5}, "depth_mup"),
        ("minicpm", {}, ""),
        ("u_mup", {}, ""),
    ],
)
def test_every_parametrization_follows_its_row_of_facts_5_4(
    name: str, options: Options, scheme: str
) -> None:
    known = catalogue.PARAMETRIZATION_ENTRIES[name].options
    assert depth_scheme(name, catalogue.with_defaults(options, known)) == scheme


def test_depth_has_no_exponents_for_single_hidden_tensors() -> None:
    assert depth("none", ADAM, role=Role.HIDDEN, statistic=CHANGE, step=1).exponent is None
    assert depth("none", ADAM, role=Role.RESIDUAL, statistic=CHANGE, step=5).exponent is None
