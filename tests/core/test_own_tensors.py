"""Roles of activations, and what of them is judged, from plain facts."""

from dataclasses import replace
from pathlib import Path

import pytest

from muscope.own_model import Built, Layout, Parameter, infer, roles_file
from muscope.own_model.facts import Values
from muscope.own_model.tensors import Activations, Face, Met, Sight, activations
from muscope.vocabulary import Role

NARROW, WIDE = 16, 32
HIDDEN, READOUT = "blocks.0.q", "readout"


def built(width: int) -> Built:
    shapes = {
        "wte.weight": (40, width),
        "blocks.0.q.weight": (width, width),
        "blocks.0.norm.weight": (width,),
        "readout.weight": (40, width),
    }
    layouts = {"wte.weight": Layout.TABLE, "blocks.0.norm.weight": Layout.VECTOR}
    parameters = tuple(
        Parameter(name, "It", layouts.get(name, Layout.MATRIX), shape, Values(9, 0.0, 1.0))
        for name, shape in shapes.items()
    )
    return Built(width, None, parameters)


def module(name: str, *shape: int, face: Face = Face.MODULE, factor: float = 1.0) -> Met:
    return Met(name, face, shape, "Linear", name, factor)


def sight(width: int, *more: Met, factor: float = 1.0, **sets: frozenset[str]) -> Sight:
    met = (
        module("wte", 8, width),
        module("blocks.0.norm", 8, width),
        module(HIDDEN, 8, width),
        module("act", 8, width),
        module("blocks.0", 8, width, face=Face.BLOCK),
        module(READOUT, 8, 40),
        *more,
        Met("loss input", Face.LOSS_INPUT, (8, 40), "cross_entropy", "", factor),
        Met("output", Face.OUTPUT, (8, 40), "Model", ""),
    )
    return Sight(width, met, **sets)


def found(*sights: Sight, given: dict[str, str] | None = None) -> Activations:
    models = [built(NARROW), built(WIDE)]
    return activations(sights, infer(models), models[0], given)


END = {"before_loss": frozenset({READOUT})}
SAME = END | {"reaching_loss": frozenset({READOUT})}


def test_an_activation_has_the_role_of_the_weight_that_makes_it_or_of_its_dimensions() -> None:
    tensors = found(sight(NARROW, **SAME), sight(WIDE, **SAME)).tensors
    assert {tensor.name: tensor.role for tensor in tensors} == {
        "wte": Role.EMBEDDING,
        "blocks.0.norm": Role.HIDDEN,
        "blocks.0.q": Role.HIDDEN,
        "act": Role.HIDDEN,
        "blocks.0": Role.RESIDUAL,
        "readout": Role.OUTPUT,
    }


def test_a_readout_that_reaches_the_loss_as_it_is_is_judged_by_its_own_name() -> None:
    tensors = found(sight(NARROW, **SAME), sight(WIDE, **SAME)).tensors
    assert [tensor.name for tensor in tensors if tensor.role is Role.OUTPUT] == [READOUT]
    assert all(tensor.is_judged for tensor in tensors)


def test_a_readout_that_is_changed_on_its_way_is_shown_and_the_loss_s_input_is_judged() -> None:
    tensors = found(sight(NARROW, **END), sight(WIDE, **END)).tensors
    of_output = {t.name: (t.is_judged, t.remark) for t in tensors if t.role is Role.OUTPUT}
    assert of_output == {
        READOUT: (False, "changed before it reaches the loss: judged there"),
        "loss input": (True, "what reaches the loss"),
    }


def times(width: int, factor: float) -> Met:
    return module(HIDDEN, 8, width, face=Face.SCALED, factor=factor)


def test_a_multiplier_that_depends_on_width_belongs_to_its_module() -> None:
    """The NTK parametrization is written so: W x / sqrt(n), and W x alone grows."""
    sights = [sight(width, times(width, width**-0.5), **SAME) for width in (NARROW, WIDE)]
    judged = {tensor.name: tensor.is_judged for tensor in found(*sights).tensors}
    assert (judged[f"{HIDDEN} (raw)"], judged[HIDDEN]) == (False, True)


def test_a_multiplier_that_is_the_same_everywhere_changes_no_slope() -> None:
    sights = [sight(width, times(width, 0.5), **SAME) for width in (NARROW, WIDE)]
    names = [tensor.name for tensor in found(*sights).tensors]
    assert (names.count(HIDDEN), f"{HIDDEN} (raw)" in names) == (1, False)


def test_the_scale_of_a_query_is_attention_s_and_not_the_query_s() -> None:
    sets = SAME | {"into_scores": frozenset({HIDDEN})}
    sights = [sight(width, times(width, width**-0.5), **sets) for width in (NARROW, WIDE)]
    (query,) = [tensor for tensor in found(*sights).tensors if tensor.met == HIDDEN]
    assert (query.face, query.is_judged) == (Face.MODULE, True)


def test_what_one_width_alone_has_is_left_out() -> None:
    only = module("extra", 8, NARROW)
    tensors = found(sight(NARROW, only, **SAME), sight(WIDE, **SAME)).tensors
    assert "extra" not in [tensor.name for tensor in tensors]


def test_without_a_loss_function_the_output_is_judged() -> None:
    def without(width: int) -> Sight:
        of = sight(width, **END)
        return replace(of, met=tuple(m for m in of.met if m.face is not Face.LOSS_INPUT))

    tensors = found(without(NARROW), without(WIDE)).tensors
    assert [t.name for t in tensors if t.is_judged and t.role is Role.OUTPUT] == ["output"]


def test_a_readout_that_nobody_sees_is_told() -> None:
    """Kernels that make logits and loss in one hand out neither."""
    hidden = replace(
        sight(NARROW), met=tuple(m for m in sight(NARROW).met if m.name in ("wte", HIDDEN))
    )
    wide = replace(sight(WIDE), met=tuple(m for m in sight(WIDE).met if m.name in ("wte", HIDDEN)))
    assert "no readout is judged" in found(hidden, wide).notes[-1]
    assert found(sight(NARROW, **SAME), sight(WIDE, **SAME)).notes == ()


def test_roles_are_corrected_and_ignored_by_name() -> None:
    given = {"act": "ignore", "blocks.0": "hidden"}
    tensors = found(sight(NARROW, **SAME), sight(WIDE, **SAME), given=given).tensors
    by_name = {tensor.name: tensor for tensor in tensors}
    assert not by_name["act"].is_judged
    assert by_name["blocks.0"].role is Role.HIDDEN


def test_heads_that_grow_are_told_from_those_that_do_not() -> None:
    def attention(size: int) -> Met:
        return Met("attention_logits", Face.ATTENTION, (8, 8), "attention", "", head_size=size)

    growing = found(sight(NARROW, attention(4), **SAME), sight(WIDE, attention(8), **SAME))
    fixed = found(sight(NARROW, attention(4), **SAME), sight(WIDE, attention(4), **SAME))
    assert (growing.heads_grow, fixed.heads_grow) == (True, False)


def test_the_roles_file_has_a_part_for_activations_that_an_audit_skips(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    models = [built(NARROW), built(WIDE)]
    tensors = found(sight(NARROW, **END), sight(WIDE, **END)).tensors
    roles_file.write(path, infer(models), tensors)
    names = [parameter.name for parameter in models[0].parameters]
    assert roles_file.read(path, names)["readout.weight"] == "output"
    read = roles_file.read_activations(path, [tensor.name for tensor in tensors])
    assert (read["blocks.0"], read[READOUT]) == ("residual", "ignore")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("activations: {act: matrix}", "must be one of embedding, hidden, output, residual"),
        ("activations: {akt: hidden}", "no activation 'akt'; did you mean 'act'?"),
        ("activations: [act]", "activations must map names of activations to roles"),
    ],
)
def test_a_part_that_cannot_be_read_is_said_in_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "roles.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"roles\.yaml") as refused:
        roles_file.read_activations(tmp_path / "roles.yaml", ["act"])
    assert sentence in str(refused.value)


def test_what_grows_is_judged_whatever_seems_to_lie_between_it_and_the_loss() -> None:
    """A product that nobody knows, a compiled function, hides that it is no readout."""
    sets = {"before_loss": frozenset({READOUT, HIDDEN})}
    tensors = found(sight(NARROW, **sets), sight(WIDE, **sets)).tensors
    assert {t.name: t.is_judged for t in tensors}[HIDDEN]
