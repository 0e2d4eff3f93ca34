"""Samples of a user's own model become a verdict: what is excused, what is shown, what decides."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from muscope.catalogue.rules import Choice
from muscope.own_model.tensors import Face, OwnTensor
from muscope.records import Sample, Values
from muscope.verdicts.own import OwnGrid, OwnVariant, judge_own
from muscope.verdicts.remarks import remarks
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, Role, TensorKind

WIDTHS, SEEDS = (64, 128, 256, 512), 3
GRID = OwnGrid(WIDTHS, SEEDS, len(WIDTHS) * SEEDS)
ADAM = OwnVariant("own", "own", {Role.HIDDEN: "adamw", Role.OUTPUT: "adamw"})
SGD = OwnVariant("own", "own", {Role.HIDDEN: "sgd", Role.OUTPUT: "sgd"})


def tensor(role: Role, *, judged: bool = True) -> OwnTensor:
    slow = role is Role.HIDDEN
    return OwnTensor("x", "x", Face.MODULE, role, "Linear", {}, judged, aligns_slowly=slow)


def judged(
    of: OwnTensor,
    size: Callable[[int], float] = lambda width: 1.0,
    change: Callable[[int], float] = lambda width: 1.0,
    *,
    variant: OwnVariant = ADAM,
) -> VariantVerdict:
    """Seeds that differ by a factor, and so have the same slope."""

    def sample(width: int, seed: int, step: int) -> Sample:
        moved = (seed + 1) * change(width) if step else None
        values = Values(l1=(seed + 1) * size(width), change=moved)
        kind = TensorKind.ACTIVATION
        return Sample(variant.key, width, 0, seed, step, of.name, of.role, kind, values)

    samples = [sample(*at) for at in product(WIDTHS, range(SEEDS), (0, 1))]
    return judge_own(variant, GRID, {0: [of]}, samples, runs_judged=12, final=True)


def power(exponent: float) -> Callable[[int], float]:
    return lambda width: width**exponent


@pytest.mark.parametrize("role", [Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.RESIDUAL])
def test_every_role_has_to_keep_its_size_and_growing_is_never_excused(role: Role) -> None:
    assert judged(tensor(role)).verdict is CellVerdict.FLAT
    assert judged(tensor(role), power(0.3)).verdict is CellVerdict.GROWS
    assert judged(tensor(role), change=power(0.3)).verdict is CellVerdict.GROWS


def test_a_readout_may_start_low_and_a_hidden_layer_may_not() -> None:
    assert judged(tensor(Role.OUTPUT), power(-0.5)).verdict is CellVerdict.FLAT
    assert judged(tensor(Role.HIDDEN), power(-0.5)).verdict is CellVerdict.SHRINKS


def test_attention_logits_may_start_low_only_where_heads_grow() -> None:
    logits = tensor(Role.ATTENTION_LOGITS)
    growing = replace(ADAM, heads_grow=True)
    assert judged(logits, power(-0.5), variant=growing).verdict is CellVerdict.FLAT
    assert judged(logits, power(-0.5)).verdict is CellVerdict.SHRINKS


def test_slow_alignment_is_excused_of_sign_like_updates_alone() -> None:
    hidden = tensor(Role.HIDDEN)
    assert judged(hidden, change=power(-0.15)).verdict is CellVerdict.FLAT
    assert judged(hidden, change=power(-0.15), variant=SGD).verdict is CellVerdict.SHRINKS
    assert judged(hidden, change=power(-0.3)).verdict is CellVerdict.SHRINKS


def test_an_embedding_of_unit_scaling_may_learn_as_one_over_root_n() -> None:
    embedding = tensor(Role.EMBEDDING)
    unit_scaled = replace(ADAM, is_unit_scaled=True)
    assert judged(embedding, change=power(-0.5), variant=unit_scaled).verdict is CellVerdict.FLAT
    assert judged(embedding, change=power(-0.5)).verdict is CellVerdict.SHRINKS


def test_what_is_not_judged_has_cells_and_decides_nothing() -> None:
    verdict = judged(tensor(Role.OUTPUT, judged=False), power(0.5))
    assert verdict.tensors == ()
    assert {cell.verdict for cell in verdict.cells} == {CellVerdict.GROWS, CellVerdict.FLAT}


def test_a_model_parametrized_by_a_rule_is_held_against_that_rule() -> None:
    """SP with Adam: a hidden change grows as n (facts 5.1), which is no good but as expected."""
    sp = replace(ADAM, choice=Choice("sp", {}))
    verdict = judged(tensor(Role.HIDDEN), change=power(1.0), variant=sp)
    assert verdict.verdict is CellVerdict.GROWS
    (change,) = [cell for cell in verdict.cells if cell.expected == 1.0]
    assert change.as_expected
    assert verdict.theory_of == ""


@pytest.mark.parametrize(("unit_scaled", "whose"), [(False, "µP"), (True, "u-µP")])
def test_a_model_without_a_rule_says_whose_theory_it_is_held_against(
    unit_scaled: bool, whose: str
) -> None:
    own = replace(ADAM, is_unit_scaled=unit_scaled)
    verdict = judged(tensor(Role.HIDDEN), power(0.0), variant=own)
    assert verdict.theory_of == whose
    assert any(f"the theory of {whose} says" in remark for remark in remarks(verdict))
