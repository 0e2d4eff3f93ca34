"""Golden numbers: every parametrization against the tables of its paper, as facts.md has them.

n = 4 * 64, V = 16, depth 4 * 2. A row is (role, A, B, C, weight decay, epsilon).
"""

from dataclasses import astuple, replace
from typing import TypeAlias

import pytest

from muscope.catalogue import OptionValue
from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.vocabulary import Role, UpdateFamily
from tests.core.theory.examples import (
    ADAFACTOR,
    ADAM,
    EMB,
    HID,
    LAMB,
    MUON,
    MUON_RMS,
    OUT,
    SCA,
    SGD,
    VEC,
    dims,
    rule,
)

Row: TypeAlias = tuple[Role, float, float, float, float, float]
Golden: TypeAlias = tuple[str, UpdateFamily, dict[str, OptionValue], tuple[Row, ...]]

ROOT8 = 8**0.5
SECTION: dict[str, tuple[Golden, ...]] = {
    "2.1 SP": (
        ("sp", ADAM, {}, ((EMB, 1, 1, 1, 1, 1), (HID, 1, 1 / 16, 1, 1, 1))),
        ("sp", SGD, {}, ((OUT, 1, 1 / 16, 1, 1, 1),)),
        ("sp", SGD, {"init": "he"}, ((HID, 1, 2**0.5 / 16, 1, 1, 1),)),
        ("sp", ADAM, {"init": "pytorch"}, ((EMB, 1, 1, 1, 1, 1), (HID, 1, 768**-0.5, 1, 1, 1))),
        ("sp", ADAM, {"init": "gpt2"}, ((EMB, 1, 0.02, 1, 1, 1), (OUT, 1, 0.02, 1, 1, 1))),
    ),
    "2.2 NTK": (
        ("ntk", SGD, {}, ((EMB, 1, 1, 1, 1, 1 / 2), (HID, 1 / 2, 1 / 8, 1, 1, 1 / 4))),
        ("ntk", SGD, {}, ((OUT, 1 / 2, 1 / 8, 1, 1, 1 / 2),)),
        ("ntk", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 2), (HID, 1 / 2, 1 / 8, 1 / 2, 2, 1 / 4))),
        ("ntk", ADAM, {}, ((OUT, 1 / 2, 1 / 8, 1 / 2, 2, 1 / 2),)),
        ("ntk", ADAM, {"rates": "fixed"}, ((HID, 1 / 2, 1 / 8, 1, 1, 1 / 4),)),
    ),
    "2.3 mean field": (
        ("mean_field", SGD, {}, ((EMB, 1, 1, 4, 1 / 4, 1 / 4),)),
        ("mean_field", SGD, {}, ((HID, 1 / 2, 1 / 8, 4, 1 / 4, 1 / 8),)),
        ("mean_field", SGD, {}, ((OUT, 1 / 4, 1 / 8, 4, 1 / 4, 1 / 4),)),
        ("mean_field", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1 / 2, 1 / 8, 1 / 2, 2, 1 / 8))),
        ("mean_field", ADAM, {}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
        ("mean_field", SGD, {"rates": "fixed"}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
    ),
    "2.4 µP, Tensor Programs V, Table 8": (
        ("mup", SGD, {}, ((EMB, 1, 1, 4, 1 / 4, 1 / 4), (HID, 1, 1 / 16, 1, 1, 1 / 4))),
        ("mup", SGD, {}, ((OUT, 1 / 4, 1 / 8, 4, 1 / 4, 1 / 4),)),
        ("mup", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 4, 4, 1 / 4))),
        ("mup", ADAM, {}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
    ),
    "2.4 µP, Tensor Programs V, Tables 3 and 9": (
        ("mup", SGD, {"form": "table3"}, ((EMB, 1, 1, 4, 1 / 4, 1 / 4),)),
        ("mup", SGD, {"form": "table3"}, ((OUT, 1, 1 / 32, 1 / 4, 4, 1),)),
        ("mup", ADAM, {"form": "table3"}, ((HID, 1, 1 / 16, 1 / 4, 4, 1 / 4),)),
        ("mup", ADAM, {"form": "table3"}, ((OUT, 1, 1 / 32, 1 / 4, 4, 1),)),
        ("mup", SGD, {"form": "table9"}, ((EMB, 2, 1 / 2, 1, 1, 1 / 2),)),
        ("mup", SGD, {"form": "table9"}, ((OUT, 1 / 2, 1 / 16, 1, 1, 1 / 2),)),
        ("mup", ADAM, {"form": "table9"}, ((EMB, 2, 1 / 2, 1 / 2, 2, 1 / 2),)),
        ("mup", ADAM, {"form": "table9"}, ((OUT, 1 / 2, 1 / 16, 1 / 2, 2, 1 / 2),)),
    ),
    "2.11 and 3, µP with other optimizers": (
        ("mup", MUON, {}, ((EMB, 1, 1, 2, 1 / 2, 1 / 2), (HID, 1, 1 / 16, 1, 1, 1))),
        ("mup", MUON, {}, ((OUT, 1 / 4, 1 / 8, 2, 1 / 2, 1 / 2),)),
        ("mup", MUON_RMS, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 2, 2, 1 / 4))),
        ("mup", MUON_RMS, {}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
        ("mup", LAMB, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 2, 4, 1 / 4))),
        ("mup", LAMB, {}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
        ("mup", LAMB, {"form": "table3"}, ((OUT, 1, 1 / 32, 1, 4, 1),)),
        ("mup", LAMB, {"trust_ratio_rate": "full_rank"}, ((HID, 1, 1 / 16, 1, 2, 1 / 4),)),
        ("mup", ADAFACTOR, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 2, 2, 1 / 4))),
        ("mup", ADAFACTOR, {}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
    ),
    "2.5 spectral": (
        ("spectral", SGD, {}, ((EMB, 1, 1, 4, 1 / 4, 1 / 4), (HID, 1, 1 / 16, 1, 1, 1 / 4))),
        ("spectral", SGD, {}, ((OUT, 1, 1 / 64, 1 / 4, 4, 1),)),
        ("spectral", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 4, 4, 1 / 4))),
        ("spectral", MUON, {}, ((HID, 1, 1 / 16, 1, 1, 1), (OUT, 1, 1 / 64, 1 / 2, 2, 2))),
    ),
    "2.5 nanotron, as in its code": (
        ("nanotron", ADAM, {}, ((EMB, 1, 1, 1, 1, 1), (HID, 1, 1 / 16, 1, 1, 1))),
        ("nanotron", SGD, {}, ((OUT, 1, 1 / 64, 1 / 16, 1, 1),)),
    ),
    "2.6 Cerebras-GPT": (
        ("cerebras", ADAM, {}, ((EMB, 10, 0.08, 1, 1, 1), (HID, 1, 0.04, 1 / 4, 1, 1))),
        ("cerebras", ADAM, {}, ((OUT, 1 / 4, 0.08, 1, 1, 1),)),
        ("cerebras", ADAM, {"scale_output_logits_by_d": False}, ((OUT, 1 / 2, 0.08, 1, 1, 1),)),
        ("cerebras", ADAM, {"output_logits_alpha": 2.0}, ((OUT, 1 / 2, 0.08, 1, 1, 1),)),
    ),
    "2.7 MiniCPM": (
        ("minicpm", ADAM, {}, ((EMB, 12, 0.1, 1, 1, 1), (HID, 1, 0.05, 1 / 4, 1, 1))),
        ("minicpm", ADAM, {}, ((OUT, 1 / 4, 0.1, 1, 1, 1),)),
        ("minicpm", ADAM, {"all_are_2d": True}, ((OUT, 1 / 4, 0.05, 1 / 4, 1, 1),)),
    ),
    "2.8 Lingle": (
        ("lingle", ADAM, {}, ((EMB, 1, 1, 1, 1, 1), (HID, 1, 1 / 16, 1 / 4, 1, 1))),
        ("lingle", ADAM, {}, ((OUT, 1, 1 / 256, 1 / 4, 1, 1),)),
        ("lingle", ADAM, {"optim_rule": "abs_mup"}, ((HID, 1, 1 / 16, 1 / 256, 1, 1),)),
    ),
    "2.9 u-µP": (
        ("u_mup", ADAM, {}, ((EMB, 1, 1, 1 / 16, 16, 1), (OUT, 1 / 256, 1, 1, 1, 1))),
        ("u_mup", ADAM, {}, ((HID, 1 / 16, 1, 1 / (16 * ROOT8), 16 * ROOT8, 1),)),
        ("u_mup", SGD, {"readout_constraint": "to_output_scale"}, ((EMB, 1, 1, 16, 1 / 16, 1),)),
        ("u_mup", SGD, {}, ((EMB, 1, 1, 1 / 16, 16, 1),)),
    ),
    "2.10 Depth-µP": (
        ("depth_mup", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 8, 4, 1 / 8))),
        ("depth_mup", SGD, {}, ((HID, 1, 1 / 16, 1, 1 / 2, 1 / 8),)),
        ("depth_mup", MUON, {}, ((HID, 1, 1 / 16, 1 / 2, 1, 1 / 2),)),
        ("depth_mup", MUON_RMS, {}, ((HID, 1, 1 / 16, 1 / 4, 2, 1 / 8),)),
    ),
    "2.11 CompleteP": (
        ("complete_p", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 4), (HID, 1, 1 / 16, 1 / 4, 4, 1 / 16))),
        ("complete_p", ADAM, {}, ((OUT, 1 / 4, 1 / 8, 1, 1, 1 / 4),)),
        ("complete_p", ADAM, {"alpha": 0.5}, ((HID, 1, 1 / 16, 1 / 8, 4, 1 / 8),)),
        ("complete_p", SGD, {}, ((HID, 1, 1 / 16, 4, 1 / 4, 1 / 16),)),
        ("complete_p", MUON, {}, ((HID, 1, 1 / 16, 1, 1, 1 / 4),)),
        ("complete_p", MUON_RMS, {}, ((HID, 1, 1 / 16, 1 / 2, 2, 1 / 16),)),
    ),
    "2.12 Everett": (
        ("everett", ADAM, {}, ((EMB, 1, 1, 1, 1, 1 / 2), (HID, 1, 1 / 16, 1 / 4, 4, 1 / 2))),
        ("everett", ADAM, {}, ((OUT, 1, 1 / 16, 1 / 4, 4, 1),)),
        ("everett", ADAM, {"alignment": "none"}, ((HID, 1, 1 / 16, 1 / 2, 2, 1 / 2),)),
        ("everett", SGD, {"form": "ntk"}, ((HID, 1 / 2, 1 / 8, 2, 1 / 2, 1 / 4),)),
        ("everett", ADAFACTOR, {"form": "mup"}, ((HID, 1, 1 / 16, 1 / 2, 2, 1 / 4),)),
    ),
    "2.1-2.3 biases and gains": (
        ("sp", ADAM, {"init": "gpt2"}, ((VEC, 1, 0, 1, 1, 1),)),
        ("ntk", SGD, {}, ((VEC, 1, 0, 1, 1, 1 / 2),)),
        ("ntk", ADAM, {}, ((VEC, 1, 0, 1, 1, 1 / 2),)),
        ("mean_field", SGD, {}, ((VEC, 1, 0, 4, 1 / 4, 1 / 4),)),
        ("mean_field", ADAM, {}, ((VEC, 1, 0, 1, 1, 1 / 4),)),
        ("mean_field", SGD, {"rates": "fixed"}, ((VEC, 1, 0, 1, 1, 1 / 4),)),
    ),
    "2.4 and 2.5, input weights and all biases": (
        ("mup", SGD, {}, ((VEC, 1, 0, 4, 1 / 4, 1 / 4),)),
        ("mup", ADAM, {}, ((VEC, 1, 0, 1, 1, 1 / 4),)),
        ("mup", SGD, {"form": "table3"}, ((VEC, 1, 0, 4, 1 / 4, 1 / 4),)),
        ("mup", ADAM, {"form": "table3"}, ((VEC, 1, 0, 1, 1, 1 / 4),)),
        ("mup", SGD, {"form": "table9"}, ((VEC, 2, 0, 1, 1, 1 / 2),)),
        ("mup", ADAM, {"form": "table9"}, ((VEC, 2, 0, 1 / 2, 2, 1 / 2),)),
        ("spectral", SGD, {}, ((VEC, 1, 0, 4, 1 / 4, 1 / 4),)),
        ("spectral", ADAM, {}, ((VEC, 1, 0, 1, 1, 1 / 4),)),
        ("nanotron", ADAM, {}, ((VEC, 1, 0, 1, 1, 1),)),
    ),
    "2.6-2.8, biases and gains at factor 1": (
        ("cerebras", ADAM, {}, ((VEC, 1, 0, 1, 1, 1),)),
        ("minicpm", ADAM, {"all_are_2d": True}, ((VEC, 1, 0, 1, 1, 1),)),
        ("lingle", ADAM, {"optim_rule": "abs_mup"}, ((VEC, 1, 0, 1, 1, 1),)),
    ),
    "2.9 u-µP, eta times the depth factor; SGD by shape": (
        ("u_mup", ADAM, {}, ((VEC, 1, 0, 1 / ROOT8, ROOT8, 1), (SCA, 1, 0, 1, 1, 1))),
        ("u_mup", SGD, {}, ((VEC, 1, 0, 1 / ROOT8, ROOT8, 1),)),
        (
            "u_mup",
            SGD,
            {"readout_constraint": "to_output_scale"},
            ((VEC, 1, 0, 256 / ROOT8, ROOT8 / 256, 1),),
        ),
    ),
    "2.10 and 2.11, vectors in a branch": (
        ("depth_mup", ADAM, {}, ((VEC, 1, 0, 1 / 2, 1, 1 / 8),)),
        ("complete_p", ADAM, {}, ((VEC, 1, 0, 1, 1, 1 / 16),)),
        ("complete_p", ADAM, {"alpha": 0.5}, ((VEC, 1, 0, 1 / 2, 1, 1 / 8),)),
        ("complete_p", SGD, {}, ((VEC, 1, 0, 16, 1 / 16, 1 / 16),)),
    ),
}  # fmt: skip
CASES = [
    pytest.param(*golden, id=f"{section} {number}")
    for section, goldens in SECTION.items()
    for number, golden in enumerate(goldens)
]


@pytest.mark.parametrize(("name", "family", "given", "rows"), CASES)
def test_the_rule_is_that_of_the_paper(
    name: str, family: UpdateFamily, given: dict[str, OptionValue], rows: tuple[Row, ...]
) -> None:
    for role, *numbers in rows:
        assert astuple(rule(name, dims(role), family, **given)) == pytest.approx(tuple(numbers))


def test_every_parametrization_has_golden_numbers() -> None:
    assert {golden[0] for goldens in SECTION.values() for golden in goldens} == set(
        PARAMETRIZATIONS
    )


def test_a_vector_outside_the_branches_has_no_depth_factor() -> None:
    final = replace(dims(VEC), in_branch=False)
    for name in ("depth_mup", "complete_p", "u_mup"):
        assert rule(name, final).learning_rate_factor == 1


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_nothing_depends_on_the_width_of_a_scalar(name: str) -> None:
    for family in PARAMETRIZATIONS[name].families:
        assert astuple(rule(name, dims(SCA), family)) == (1, 0, 1, 1, 1)


def test_nanotron_takes_the_fan_out_of_the_matrix_that_projections_are_stored_in() -> None:
    """Quirk (3) of facts 2.5: 3 times the rate for fused qkv; other rules see the logical part."""
    fused = replace(dims(HID), fused_fan_out=3 * 256)
    assert rule("nanotron", fused).learning_rate_factor == 3
    assert rule("nanotron", fused).init_std == 1 / 16
    assert rule("mup", fused) == rule("mup", dims(HID))


def test_nanotron_refuses_biases_and_says_why() -> None:
    with pytest.raises(ValueError, match="stops at one with a single dimension"):
        rule("nanotron", replace(dims(VEC), is_bias=True))


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_what_starts_at_zero_changes_nothing_else(name: str) -> None:
    query = rule(name, replace(dims(HID), starts_at_zero=True))
    assert query == replace(rule(name, dims(HID)), init_std=0.0)


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_an_unembedding_of_sp_starts_logits_at_the_size_of_sp(name: str) -> None:
    """Lingle's ablation "SP Unembedding Init": effective entries 1/sqrt(n), all else untouched."""
    started = rule(name, dims(OUT), sp_unembedding=True)
    assert started.multiplier * started.init_std == pytest.approx(1 / 16)
    assert replace(started, init_std=0.0) == rule(name, dims(OUT), zero_readout=True)


@pytest.mark.parametrize(
    ("part", "group"),
    [
        *((f"attention.{letter}", "decoder_attention") for letter in "qkvo"),
        ("mlp.up", "decoder_input_ffn"),
        ("mlp.gate", "decoder_input_ffn"),
        ("mlp.down", "decoder_output_ffn"),
    ],
)
def test_cerebras_groups_the_parts_of_a_block(part: str, group: str) -> None:
    weight = replace(dims(HID), part=part)
    assert rule("cerebras", weight, **{group: 0.5}).learning_rate_factor == 0.5
    assert rule("cerebras", replace(weight, role=VEC), **{group: 0.5}).learning_rate_factor == 1


def test_a_learning_rate_group_of_cerebras_can_be_overridden() -> None:
    queries = replace(dims(HID), part="attention.q")
    assert rule("cerebras", queries).learning_rate_factor == 1 / 4
    assert rule("cerebras", queries, decoder_attention=0.5).learning_rate_factor == 0.5
    assert rule("cerebras", queries, decoder_output_ffn=0.5).learning_rate_factor == 1 / 4


def test_what_writes_into_the_stream_starts_smaller_in_gpt_2_and_cerebras_gpt() -> None:
    weight = dims(HID, writes_stream=True)  # depth 8
    assert rule("sp", weight, init="gpt2").init_std == pytest.approx(0.02 / 4)
    assert rule("cerebras", weight).init_std == pytest.approx(0.04 / 4)
