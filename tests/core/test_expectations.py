"""Expectations of weights, derived from the rules: the columns of facts 5.1 and of facts 1."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from muscope import catalogue
from muscope.catalogue import Options
from muscope.catalogue.expectations import Expectations
from muscope.catalogue.rules import Choice
from muscope.theory.expected import expectation, legal_exception
from muscope.vocabulary import Role, Statistic, TensorKind, UpdateFamily

WIDTHS = (256, 512, 2048)
WEIGHT, GRADIENT, UPDATE = TensorKind.WEIGHT, TensorKind.GRADIENT, TensorKind.UPDATE
L1, CHANGE = Statistic.L1, Statistic.CHANGE
CONTRIBUTION, SPECTRAL = Statistic.CONTRIBUTION, Statistic.SPECTRAL
MLP = (
    ("input", Role.EMBEDDING),
    ("hidden.1", Role.HIDDEN),
    ("readout", Role.OUTPUT),
)


@dataclass(frozen=True)
class Place:
    kind: TensorKind
    tensor: str
    role: Role
    step: int
    aligns_slowly: bool = False


def of(
    name: str,
    optimizer: str = "adamw",
    model: str = "mlp",
    *,
    widths: tuple[int, ...] = WIDTHS,
    options: Options | None = None,
    **given: catalogue.OptionValue,
) -> Expectations:
    """Of a variant with a random readout unless asked."""
    choice = Choice(name, {"zero_readout": False, **given})
    return Expectations(choice, optimizer, {}, model, options or {}, widths, 2)


def exponents(
    at: Expectations, kind: TensorKind, statistic: Statistic, step: int
) -> tuple[float | None, ...]:
    """Of input, hidden weight and readout of the MLP."""
    places = (Place(kind, tensor, role, step) for tensor, role in MLP)
    return tuple(expectation(at.at(place, statistic)).exponent for place in places)


# Facts 5.1: columns upd EMB, upd HID, upd OUT.
UPDATES = [
    ("sp", "sgd", {}, (-0.5, 0.5, 1)),
    ("sp", "adamw", {}, (0, 1, 1)),
    ("sp", "lion", {}, (0, 1, 1)),
    ("ntk", "sgd", {}, (-0.5, -0.5, 0)),
    ("ntk", "adamw", {"rates": "fixed"}, (0, 0.5, 0.5)),
    ("mean_field", "sgd", {"rates": "fixed"}, (-1, -1, -1)),
    ("mean_field", "sgd", {}, (0, 0, 0)),
    *(("mup", "sgd", {"form": form}, (0, 0, 0)) for form in ("table3", "table8", "table9")),
    *(("mup", "adamw", {"form": form}, (0, 0, 0)) for form in ("table3", "table8", "table9")),
    ("mup", "muon", {}, (0, 0, 0)),
    ("mup", "lamb", {"trust_ratio_rate": "full_rank"}, (0, 0.5, 0)),
    ("mup", "lamb", {}, (0, 0, 0)),
    ("u_mup", "adamw", {}, (-0.5, 0, 0)),
    ("everett", "adamw", {}, (0, 0, 0)),
    ("spectral", "sgd", {}, (0, 0, 0)),  # the MLP is much wider than its 10 classes
    ("cerebras", "adamw", {}, (0, 0, 0)),
    ("minicpm", "adamw", {}, (0, 0, 0)),
    ("lingle", "adamw", {}, (0, 0, 0)),
    ("sp", "adamw", {"init": "gpt2"}, (0, None, None)),
]


@pytest.mark.parametrize(("name", "optimizer", "given", "golden"), UPDATES)
def test_contributions_are_the_columns_of_facts_5_1(
    name: str, optimizer: str, given: Options, golden: tuple[float | None, ...]
) -> None:
    at = of(name, optimizer, **given)
    assert exponents(at, WEIGHT, CONTRIBUTION, 1) == pytest.approx(golden)


# Facts 1: gradients at initialization of embedding, hidden weight and readout.
@pytest.mark.parametrize(
    ("name", "given", "golden"),
    [
        ("sp", {}, (-0.5, -0.5, 0)),
        ("ntk", {}, (-0.5, -1, -0.5)),
        ("mean_field", {}, (-1, -1.5, -1)),
        ("mup", {"form": "table3"}, (-1, -1, 0)),
        ("mup", {"form": "table8"}, (-1, -1, -1)),
        ("mup", {"form": "table9"}, (-0.5, -1, -0.5)),
        ("u_mup", {}, (0, 0, 0)),
        ("sp", {"init": "gpt2"}, (None, None, None)),
    ],
)
def test_gradients_are_the_table_of_facts_1(
    name: str, given: Options, golden: tuple[float | None, ...]
) -> None:
    assert exponents(of(name, **given), GRADIENT, L1, 0) == pytest.approx(golden)


# Facts 2.12, a derivation of its own: LR = eta n^-c with c for full alignment makes all flat.
@pytest.mark.parametrize("form", ["sp", "ntk", "mup", "mean_field"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "adafactor"])
def test_everetts_rates_for_full_alignment_make_every_contribution_flat(
    form: str, optimizer: str
) -> None:
    at = of("everett", optimizer, form=form)
    assert exponents(at, WEIGHT, CONTRIBUTION, 1) == pytest.approx((0, 0, 0))


def test_weights_start_as_large_as_their_std() -> None:
    assert exponents(of("mup"), WEIGHT, L1, 0) == pytest.approx((0, -0.5, 0))
    assert exponents(of("mup", form="table3"), WEIGHT, L1, 0) == pytest.approx((0, -0.5, -1))
    assert exponents(of("u_mup"), WEIGHT, L1, 0) == pytest.approx((0, 0, 0))


@pytest.mark.parametrize("name", ["mup", "spectral", "mean_field", "u_mup", "complete_p"])
def test_effective_matrices_of_mup_keep_their_spectral_norm(name: str) -> None:
    """Facts 6: slope 0 of hidden weights and readout; of the latter in the limit n >> V."""
    wide = (2**16, 2**20)
    *_, hidden, readout = exponents(of(name, widths=wide), WEIGHT, SPECTRAL, 0)
    assert hidden == pytest.approx(0)
    assert readout == pytest.approx(0, abs=0.01)
    *_, readout = exponents(of("sp", widths=wide), WEIGHT, SPECTRAL, 0)
    assert readout == pytest.approx(0.5, abs=0.01)


def test_updates_are_as_large_as_the_rate_times_the_raw_update() -> None:
    assert exponents(of("mup"), UPDATE, L1, 1) == pytest.approx((0, -1, 0))
    assert exponents(of("mup"), WEIGHT, CHANGE, 1) == pytest.approx((0, -1, 0))
    assert exponents(of("sp"), UPDATE, L1, 1) == pytest.approx((0, 0, 0))
    assert exponents(of("sp", "sgd"), UPDATE, L1, 1) == pytest.approx((-0.5, -0.5, 0))
    assert exponents(of("mup", "muon"), UPDATE, L1, 1) == (0, None, 0)  # its rank is the batch's
    assert exponents(of("sp"), UPDATE, SPECTRAL, 1) == pytest.approx((0, 1, 1))


def test_below_a_zero_readout_nothing_moves_in_the_first_step() -> None:
    at = of("mup", zero_readout=True)
    assert exponents(at, WEIGHT, CONTRIBUTION, 1) == (None, None, pytest.approx(0))
    assert exponents(at, WEIGHT, CONTRIBUTION, 2) == pytest.approx((0, 0, 0))
    assert exponents(at, GRADIENT, L1, 0) == (None, None, pytest.approx(-1))
    assert exponents(at, WEIGHT, L1, 0)[2] is None
    logits = Place(TensorKind.ACTIVATION, "readout", Role.OUTPUT, 1)
    assert expectation(of("sp", zero_readout=True).at(logits, CHANGE)).exponent == 1


def test_later_contributions_are_known_only_where_they_stay_flat() -> None:
    assert exponents(of("sp"), WEIGHT, CONTRIBUTION, 3) == (None, None, None)
    assert exponents(of("mup"), WEIGHT, CONTRIBUTION, 0) == (None, None, None)


def test_an_unembedding_of_sp_makes_sgds_updates_larger_and_not_adams() -> None:
    larger = exponents(of("mup", "sgd", sp_unembedding=True), WEIGHT, CONTRIBUTION, 1)
    assert larger == pytest.approx((0.5, 0.5, 0))
    same = exponents(of("mup", sp_unembedding=True), WEIGHT, CONTRIBUTION, 1)
    assert same == pytest.approx((0, 0, 0))


def test_spectral_mup_is_mup_where_the_model_is_wider_than_its_vocabulary() -> None:
    logits = Place(TensorKind.ACTIVATION, "readout", Role.OUTPUT, 0)
    wide = expectation(of("spectral").at(logits, L1))
    assert wide.exponent == pytest.approx(-0.5)
    narrow = of("spectral", model="gpt", widths=(64, 128, 256))  # 256 tokens
    assert expectation(narrow.at(logits, L1)).exponent == pytest.approx(0)
    assert legal_exception(of("spectral").at(logits, L1)) is not None
    assert legal_exception(narrow.at(logits, L1)) is None


def test_nanotrons_logits_move_as_in_facts_5_1_below_the_vocabulary() -> None:
    at = of("nanotron", model="gpt", widths=(64, 128, 256))
    logits = Place(TensorKind.ACTIVATION, "readout", Role.OUTPUT, 1)
    assert expectation(at.at(logits, CHANGE)).exponent == 1.5
    assert expectation(of("nanotron").at(logits, CHANGE)).exponent is None


def test_muon_leaves_embedding_and_readout_to_adamw() -> None:
    at = of("mup", "muon")
    families = {role: at.at(Place(WEIGHT, name, role, 1), L1).family for name, role in MLP}
    assert families[Role.HIDDEN] is UpdateFamily.ORTHOGONAL
    assert families[Role.EMBEDDING] is families[Role.OUTPUT] is UpdateFamily.SIGN_LIKE
    logits = at.at(Place(TensorKind.ACTIVATION, "readout", Role.OUTPUT, 1), CHANGE)
    assert logits.mixed
    scores = Place(TensorKind.ACTIVATION, "blocks.0.attn.logits", Role.ATTENTION_LOGITS, 1)
    assert at.at(scores, CHANGE).family is UpdateFamily.ORTHOGONAL


@pytest.mark.parametrize(
    ("name", "options", "start"),
    [
        ("mup", {}, None),
        ("mup", {"heads": 4}, -0.5),
        ("sp", {"heads": 4}, 0.0),
        ("mup", {"heads": 4, "attention_scale": "1/sqrt(d)"}, 0.0),
    ],
)
def test_growing_heads_are_seen_in_the_options_of_the_model(
    name: str, options: Options, start: float | None
) -> None:
    scores = Place(TensorKind.ACTIVATION, "blocks.0.attn.logits", Role.ATTENTION_LOGITS, 0)
    found = of(name, model="gpt", options=options).at(scores, L1)
    assert found.attention_start == start
    assert expectation(found).exponent == (start or 0)


@pytest.mark.parametrize(("scale", "start"), [("1/d", -0.5), ("1/sqrt(d)", 0.0)])
def test_gradients_of_queries_of_growing_heads_have_the_power_of_the_logits_more(
    scale: str, start: float
) -> None:
    """Measured -1.53 to -1.57 under 1/d, where values have -1.06 to -1.09 (decision 26)."""
    at = of("mup", "sgd", model="gpt", options={"heads": 4, "attention_scale": scale})
    query, value = (Place(GRADIENT, f"blocks.0.attn.{name}", Role.HIDDEN, 0) for name in ("q", "v"))
    assert expectation(at.at(query, L1)).exponent == -1 + start
    assert expectation(at.at(value, L1)).exponent == -1
    moved = Place(WEIGHT, "blocks.0.attn.q", Role.HIDDEN, 1)
    assert expectation(at.at(moved, CONTRIBUTION)).exponent == start
    adam = of("mup", model="gpt", options={"heads": 4, "attention_scale": scale})
    assert expectation(adam.at(moved, CONTRIBUTION)).exponent == 0


def test_over_a_zero_query_no_source_gives_gradients_of_keys() -> None:
    at = of("mup", "sgd", model="gpt", options={"heads": 4, "zero_query": True})
    key = Place(GRADIENT, "blocks.0.attn.k", Role.HIDDEN, 0)
    assert expectation(at.at(key, L1)).exponent is None


def test_averages_of_attention_even_out_within_their_legal_band_and_ever_less() -> None:
    """Softmax of independent q.k sqrt(d0)/d, causal, 64 keys: no parameter, no training."""
    chance = np.random.default_rng(0)
    sizes = [_size_of_averages(chance, d, base=32, keys=64) for d in (32, 64, 128, 256, 512)]
    slopes = [float(np.polyfit(range(3), np.log2(sizes[at : at + 3]), 1)[0]) for at in (0, 2)]
    out = Place(TensorKind.ACTIVATION, "blocks.0.attn.out", Role.HIDDEN, 0)
    growing: Options = {"heads": 4}
    even: Options = {**growing, "zero_query": True}
    over_root: Options = {**growing, "attention_scale": "1/sqrt(d)"}
    legal = legal_exception(of("mup", "muon", "gpt", options=growing).at(out, L1))
    assert legal
    assert legal.low < slopes[0] < -0.1 < slopes[1] < 0
    for others in ({}, even, over_root):
        assert legal_exception(of("mup", "muon", "gpt", options=others).at(out, L1)) is None


def _size_of_averages(chance: np.random.Generator, d: int, *, base: int, keys: int) -> float:
    """Of values of size 1 that softmax averages: the root of the sum of its squared shares."""
    query, key = chance.normal(size=(2, 40, keys, d))
    scores = query @ key.swapaxes(1, 2) * base**0.5 / d
    shares = np.exp(scores) * np.tri(keys)
    shares /= shares.sum(axis=-1, keepdims=True)
    return float(np.sqrt((shares**2).sum(axis=-1)).mean())


# Measured over widths 64 to 256 and 64 to 512 (docs/decisions/0026).
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(
    ("name", "low"),
    [("attn.q", -0.35), ("attn.v", -0.35), ("mlp.up", -0.2), ("mlp.down", -0.2), ("attn.o", None)],
)
def test_slow_alignment_is_legal_in_contributions_that_read_single_tokens(
    optimizer: str, name: str, low: float | None
) -> None:
    weight = Place(WEIGHT, f"blocks.0.{name}", Role.HIDDEN, 2)
    at = of("mup", optimizer, model="gpt", zero_readout=True, options={"biases": True})
    found = legal_exception(at.at(weight, CONTRIBUTION))
    assert (found.low if found else None) == low
    assert legal_exception(at.at(weight, L1)) is None
    bias = Place(WEIGHT, f"blocks.0.{name}.bias", Role.VECTOR, 2)
    assert legal_exception(at.at(bias, CONTRIBUTION)) is None
    orthogonal = of("mup", "muon", model="gpt", zero_readout=True)
    assert legal_exception(orthogonal.at(weight, CONTRIBUTION)) is None


def test_sgds_first_updates_of_a_random_readout_may_shrink() -> None:
    readout = Place(WEIGHT, "readout", Role.OUTPUT, 1)
    assert legal_exception(of("mup", "sgd").at(readout, CONTRIBUTION)) is not None
    started_at_zero = of("mup", "sgd", zero_readout=True)
    assert legal_exception(started_at_zero.at(readout, CONTRIBUTION)) is None


# Facts 2.9: the readout's backward scale is n^0 under the constraint none, else n^-1; measured over
# widths 256 to 2048: 0, -1.0 and +0.43 of the gradients, 0.0, 0.0 and +0.39 of the hidden weight.
@pytest.mark.parametrize(
    ("given", "below", "contributions"),
    [
        ({}, 0, (-0.5, 0, 0)),
        ({"readout_constraint": "to_output_scale"}, -1, (-0.5, 0, 0)),
        ({"sp_unembedding": True}, 0.5, (0, 0.5, 0)),
    ],
)
def test_u_mups_gradients_are_as_large_as_its_readouts_backward_scale(
    given: dict[str, Any], below: float, contributions: tuple[float, ...]
) -> None:
    at = of("u_mup", "sgd", options={"nonlinearity": "relu", "biases": True}, **given)
    assert exponents(at, GRADIENT, L1, 0) == pytest.approx((below, below, 0))
    assert exponents(at, WEIGHT, CONTRIBUTION, 1) == pytest.approx(contributions)
    bias = Place(GRADIENT, "hidden.1.bias", Role.VECTOR, 0)
    assert expectation(at.at(bias, L1)).exponent == pytest.approx(below)


def test_u_mups_scores_of_growing_heads_and_scalar_gains_have_no_exponents() -> None:
    """Measured -0.5 for queries and keys of a fixed number of heads; no source has scalar gains."""
    options: Options = {"heads": 4, "norm_gains": "scalar"}
    at = of("u_mup", "sgd", "gpt", options=options, readout_constraint="to_output_scale")
    query = Place(GRADIENT, "blocks.0.attn.q", Role.HIDDEN, 0)
    assert expectation(at.at(query, L1)).exponent is None
    for kind, statistic, step in ((GRADIENT, L1, 0), (UPDATE, L1, 1), (WEIGHT, CONTRIBUTION, 1)):
        gain = Place(kind, "norm.gain", Role.SCALAR, step)
        assert expectation(at.at(gain, statistic)).exponent is None


def test_a_rate_for_trust_ratios_leaves_other_optimizers_their_row() -> None:
    logits = Place(TensorKind.ACTIVATION, "readout", Role.OUTPUT, 0)
    read, unread = (of("mup", name, trust_ratio_rate="full_rank") for name in ("lamb", "adamw"))
    assert expectation(read.at(logits, L1)).exponent is None
    assert expectation(unread.at(logits, L1)).exponent == -0.5
    assert legal_exception(unread.at(logits, L1)) is not None


def test_a_spectral_readout_whose_widths_cross_the_vocabulary_starts_between_the_two() -> None:
    crossing = of("spectral", model="gpt", widths=(64, 128, 256, 512))  # 256 tokens
    logits = Place(TensorKind.ACTIVATION, "readout", Role.OUTPUT, 0)
    exponent = expectation(crossing.at(logits, L1)).exponent
    assert exponent == pytest.approx(-1 / 6)  # half of one octave of three
    start = legal_exception(crossing.at(logits, L1))
    assert start is not None
    assert start.low == pytest.approx(-1 / 6 - 0.15)
    assert start.high == 0.10


@pytest.mark.parametrize(
    ("name", "optimizer", "exponent"),
    [("mup", "adamw", 0), ("mup", "sgd", 0), ("sp", "adamw", 0), ("sp", "sgd", -0.5)],
)
def test_a_bias_contributes_what_it_adds(name: str, optimizer: str, exponent: float) -> None:
    at = of(name, optimizer, model="gpt", options={"norm_gains": "vector", "biases": True})
    for vector in ("blocks.0.mlp.up.bias", "blocks.0.mlp.norm.gain"):
        place = Place(WEIGHT, vector, Role.VECTOR, 1)
        assert expectation(at.at(place, CONTRIBUTION)).exponent == pytest.approx(exponent)


def test_vectors_follow_their_rules() -> None:
    options: Options = {"norm_gains": "vector", "biases": True}
    bias = Place(GRADIENT, "blocks.0.mlp.up.bias", Role.VECTOR, 0)
    at = of("mup", "sgd", model="gpt", options=options)
    assert expectation(at.at(bias, L1)).exponent == pytest.approx(-1)
    moved = Place(WEIGHT, "blocks.0.mlp.up.bias", Role.VECTOR, 1)
    assert expectation(at.at(moved, CHANGE)).exponent == pytest.approx(0)


@pytest.mark.parametrize(
    "statistic",
    [Statistic.MEAN, Statistic.MAX_ABS, Statistic.STABLE_RANK, Statistic.ALIGN_W],
)
def test_what_no_source_gives_is_unknown(statistic: Statistic) -> None:
    assert exponents(of("mup"), WEIGHT, statistic, 1) == (None, None, None)
