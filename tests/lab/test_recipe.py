"""The round trip: a model built from an export passes the audit, and trains as the engine does."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from muscope.catalogue import OPTIMIZERS
from muscope.catalogue.rules import Choice
from muscope.cli import auditing
from muscope.lab import own_model, sharing, starting
from muscope.own_model import infer
from muscope.recipe import (
    Format,
    Recipe,
    cerebras_keys,
    export,
    nanotron_keys,
    recipe,
)
from muscope.recipe.read_back import ReadModel
from muscope.spec import StudySpec
from muscope.verdicts import audit as auditor
from tests.core.recipes import study, swept
from tests.lab import exported, plain_models

BASE, AUDITED = 32, 128


Built = tuple[nn.Module, list[torch.optim.Optimizer]]
Builder = Callable[[int, int], Built]


def from_pytorch(spec: StudySpec, change: Callable[[str], str] = str) -> Builder:
    def build(width: int, depth: int) -> Built:
        found = recipe(spec, "", swept(spec), width, depth)
        model = plain_models.of(found)
        snippet = exported.namespace(change(export(found, Format.PYTORCH)))
        lacking = {name: _like_lion for name in OPTIMIZERS if name not in snippet["CLASSES"]}
        return model, snippet["use"](model, classes=lacking)

    return build


class Lion(torch.optim.SGD):
    """Steps as SGD does; an audit reads its name and its groups."""


def _like_lion(groups: list[dict[str, Any]]) -> Lion:
    return Lion(groups)


def from_yaml(
    spec: StudySpec, format: Format, read: Callable[[str], ReadModel], change: Any = str
) -> Builder:
    """A model with the weights that a framework would make of its keys, and a group for each."""

    def build(width: int, depth: int) -> Built:
        found = recipe(spec, "", swept(spec), width, depth)
        weights = read(change(export(found, format))).by_name()
        known = {tensor.name: tensor for tensor in found.tensors}
        model = plain_models.Plain(known.values())
        parameters = dict(model.named_parameters())
        groups = []
        with torch.no_grad():
            for name in known:
                of = parameters[name if name.endswith(".bias") else f"{name}.weight"]
                one = weights[name]
                assert tuple(of.shape) in (one.shape, one.shape[:1])
                of.normal_(0.0, one.init_std) if one.init_std else of.zero_()
                groups.append(
                    {
                        "params": [of],
                        "lr": one.learning_rate,
                        "weight_decay": one.weight_decay,
                        "eps": one.epsilon,
                    }
                )
        return model, [torch.optim.AdamW(groups)]

    return build


def from_json(spec: StudySpec) -> Builder:
    """A model with what the JSON says of every tensor, read as plain data."""

    def build(width: int, depth: int) -> Built:
        text = export(recipe(spec, "", swept(spec), width, depth), Format.JSON)
        tensors = Recipe.model_validate_json(text).tensors
        model = plain_models.Plain(tensors)
        parameters = dict(model.named_parameters())
        groups = []
        with torch.no_grad():
            for one in tensors:
                of = parameters[f"{one.name}.weight"]
                of.normal_(one.start, one.init_std) if one.init_std else of.fill_(one.start)
                numbers = {"lr": one.learning_rate, "weight_decay": one.weight_decay}
                groups.append({"params": [of], "eps": one.epsilon, **numbers})
        return model, [torch.optim.AdamW(groups)]

    return build


def audited(spec: StudySpec, build: Builder, *, depth: int | None = None) -> auditor.Audit:
    """The audit of three widths, and of two depths if another one is asked for."""
    own = spec.variants[0].parametrization
    choice = Choice(own.name, own.options)
    models = [own_model.built(build, width, 2) for width in (BASE, 2 * BASE, AUDITED)]
    shallow = None
    if depth is not None:
        models = [own_model.built(build, width, depth) for width in (BASE, 2 * BASE, AUDITED)]
        shallow = own_model.built(build, BASE, 2)
    return auditor.audit(models, infer(models), choice, None, shallow)


DECAYED: dict[str, Any] = {"weight_decay": 0.1, "epsilon": 1e-8}
ROUND_TRIPS: Mapping[str, tuple[StudySpec, Callable[[StudySpec], Builder]]] = {
    "mup": (study("mup", {"zero_readout": False}, model="gpt", **DECAYED), from_pytorch),
    "mup table 3": (study("mup", {"form": "table3"}, model="gpt", **DECAYED), from_pytorch),
    "mup table 9 with biases": (
        study(
            "mup",
            {"form": "table9", "zero_readout": False},
            model="gpt",
            model_options={"biases": True, "norm_gains": "vector"},
            **DECAYED,
        ),
        from_pytorch,
    ),
    "mup, tied": (
        study("mup", {"zero_readout": False}, model="gpt", model_options={"tied_embeddings": True}),
        from_pytorch,
    ),
    "mup, independent decay": (
        study("mup", model="gpt", name="adamw_independent", weight_decay=0.01),
        from_pytorch,
    ),
    "mup, SGD": (study("mup", {"zero_readout": False}, name="sgd"), from_pytorch),
    "mup, Muon": (study("mup", model="gpt", name="muon"), from_pytorch),
    "mup, Lion": (study("mup", model="gpt", name="lion"), from_pytorch),
    "sp": (study("sp", model="gpt", **DECAYED), from_pytorch),
    "ntk": (study("ntk"), from_pytorch),
    "spectral": (study("spectral", model="llama"), from_pytorch),
    "u_mup": (study("u_mup", model="gpt", **DECAYED), from_pytorch),
    "json": (study("mup", {"zero_readout": False}, model="gpt", **DECAYED), from_json),
    "cerebras": (
        study("cerebras", model="gpt", **DECAYED),
        lambda spec: from_yaml(spec, Format.CEREBRAS, cerebras_keys.read),
    ),
    "cerebras keys of Lingle's rule": (
        study("lingle", model="gpt"),
        lambda spec: from_yaml(spec, Format.CEREBRAS, cerebras_keys.read),
    ),
    "cerebras keys of µP": (
        study("mup", {"zero_readout": False}, model="gpt", model_options={"biases": True}),
        lambda spec: from_yaml(spec, Format.CEREBRAS, cerebras_keys.read),
    ),
    "nanotron": (
        study("nanotron", model="llama", model_options={"fused_projections": True}),
        lambda spec: from_yaml(spec, Format.NANOTRON, nanotron_keys.read),
    ),
}


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_a_model_that_is_built_from_an_export_passes_the_audit(name: str) -> None:
    spec, builder = ROUND_TRIPS[name]
    found = audited(spec, builder(spec))
    assert [finding.sentence() for finding in found.deviations] == []


@pytest.mark.parametrize(
    ("name", "builder"),
    [
        ("complete_p", from_pytorch),
        ("complete_p", from_json),
        ("u_mup", from_pytorch),
        (
            "cerebras",
            lambda spec: from_yaml(spec, Format.CEREBRAS, cerebras_keys.read),
        ),
    ],
)
def test_in_depth_it_passes_too(name: str, builder: Callable[[StudySpec], Builder]) -> None:
    spec = study(name, model="gpt", **DECAYED)
    found = audited(spec, builder(spec), depth=4)
    assert [finding.sentence() for finding in found.deviations] == []
    assert found.in_depth, "depths were compared"


def _doubled_rates(text: str) -> str:
    """The learning rates of one weight, with a factor that follows the width."""
    width = int(text.partition("WIDTH, DEPTH = ")[2].partition(",")[0])
    change = f"TENSORS['blocks.*.mlp.up']['lr'] *= {width}"
    return text.replace("def groups(", f"{change}\n\n\ndef groups(")


def _half_the_std(text: str) -> str:
    return text.replace("std * draws", "std**2 * draws")


def _one_rate(text: str) -> str:
    return text.replace("def groups(", "for t in TENSORS.values(): t['lr'] = 1e-3\n\n\ndef groups(")


@pytest.mark.parametrize("broken", [_doubled_rates, _half_the_std, _one_rate])
def test_a_broken_snippet_is_caught(broken: Callable[[str], str]) -> None:
    spec = study("mup", {"zero_readout": False}, model="gpt")
    assert audited(spec, from_pytorch(spec, broken)).deviations


@pytest.mark.parametrize(
    ("format", "read", "key"),
    [
        (Format.CEREBRAS, cerebras_keys.read, "mup_base_hidden_size: 32"),
        (Format.NANOTRON, nanotron_keys.read, "use_mup: true"),
    ],
)
def test_a_key_that_was_lost_is_caught(format: Format, read: Any, key: str) -> None:
    spec = (
        study("cerebras", model="gpt")
        if format is Format.CEREBRAS
        else study("nanotron", model="llama", model_options={"fused_projections": True})
    )
    lost = from_yaml(spec, format, read, lambda text: text.replace(key, "std: 0.02"))
    assert audited(spec, lost).deviations


def test_the_command_finds_nothing_in_the_files_that_the_command_wrote(tmp_path: Path) -> None:
    spec = study("mup", {"zero_readout": False})
    for width in (BASE, 2 * BASE, AUDITED):
        text = export(recipe(spec, "", swept(spec), width, 2), Format.PYTORCH)
        (tmp_path / f"recipe_{width}.py").write_text(text)
    (tmp_path / "mine.py").write_text(MINE)
    question = auditing.Question(
        target=f"{tmp_path}/mine.py:build",
        parametrization="mup",
        optimizer=None,
        learning_rate=None,
        width=AUDITED,
        base_width=BASE,
        depth=None,
        base_depth=None,
        roles=None,
        write_roles=None,
    )
    assert auditing.run(question, as_json=True, strict=False) == auditing.CLEAN


MINE = '''
import importlib
import torch

class Mine(torch.nn.Module):
    """Names of its own."""

    def __init__(self, n):
        super().__init__()
        self.first = torch.nn.Linear(64, n, bias=False)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(n, n, bias=False) for _ in range(2))
        self.head = torch.nn.Linear(n, 10, bias=False)

def build(width):
    recipe = importlib.import_module(f"recipe_{width}")
    recipe.NAMES = {
        "input": "first.weight", "hidden.*": "layers.*.weight", "readout": "head.weight"
    }
    model = Mine(width)
    return model, recipe.use(model, seed=torch.initial_seed())
'''


ENGINE = {
    "mup": study("mup", {"zero_readout": False}, model="gpt", **DECAYED),
    "mup table 9": study(
        "mup",
        {"form": "table9", "zero_readout": False},
        model="gpt",
        model_options={"biases": True},
        **DECAYED,
    ),
    "tied": study(
        "mup",
        {"zero_readout": False},
        model="gpt",
        model_options={"tied_embeddings": True},
        **DECAYED,
    ),
    "complete_p": study("complete_p", model="gpt", **DECAYED),
    "cerebras": study("cerebras", model="gpt", **DECAYED),
    "ntk": study("ntk", name="adam"),
    "mup, SGD": study("mup", name="sgd", momentum=0.9),
    "mup, Muon": study("mup", model="gpt", name="muon", weight_decay=0.1),
    "mup, Muon of AdamW's size": study("mup", model="gpt", name="muon_match_rms"),
    "independent decay": study("mup", name="adamw_independent", weight_decay=0.01),
}


@pytest.mark.parametrize("name", ENGINE)
def test_at_the_study_s_own_width_the_snippet_trains_as_the_engine_did(name: str) -> None:
    spec = ENGINE[name]
    found = recipe(spec, "", swept(spec), spec.widths[-1])
    wanted, losses = exported.both_train(spec, found, lambda run: plain_models.of(found))
    assert losses == pytest.approx(wanted, rel=1e-4)  # float32; sums in another order
    assert max(abs(b / a - 1) for a, b in pairwise(losses)) > 1e-3, "the steps are seen"


@pytest.mark.parametrize("name", ENGINE)
def test_the_recipe_has_the_numbers_that_the_engine_stacks(name: str) -> None:
    spec = ENGINE[name]
    found = recipe(spec, "", swept(spec), spec.widths[-1])
    run = exported.run_of(spec, found)
    scales = sharing.scales([run])
    for tensor in found.tensors:
        rate, epsilon, decay = (of.item() for of in starting.rates(tensor.name, [run], scales))
        mine = (tensor.learning_rate, tensor.weight_decay)
        assert mine == pytest.approx((rate, decay), rel=1e-6)  # float32
        assert tensor.epsilon is None or tensor.epsilon == pytest.approx(epsilon, rel=1e-6)
        assert tensor.multiplier == scales[0].multipliers[tensor.name]


def test_a_model_of_another_shape_is_refused_by_the_snippet() -> None:
    spec = study("mup")
    snippet = exported.namespace(export(recipe(spec, "", swept(spec), 128, 2), Format.PYTORCH))
    for width, depth, said in ((64, 2, "which is not that of hidden"), (128, 3, "2 times in")):
        model = plain_models.of(recipe(spec, "", swept(spec), width, depth))
        with pytest.raises(ValueError, match=said):
            snippet["use"](model)


class Fused(nn.Module):
    """A block whose queries, keys and values are one matrix, as many have them."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(n, 3 * n, bias=False)


@pytest.mark.parametrize("zero_query", [False, True])
def test_one_matrix_may_stand_for_several_weights_that_agree(zero_query: bool) -> None:
    spec = study("mup", model="gpt", model_options={"zero_query": zero_query})
    snippet = exported.namespace(export(recipe(spec, "", swept(spec), 128, 1), Format.PYTORCH))
    qkv = [f"blocks.*.attn.{part}" for part in "qkv"]
    snippet["NAMES"] = dict.fromkeys(qkv, "*.qkv.weight")
    snippet["TENSORS"] = {name: snippet["TENSORS"][name] for name in qkv}
    model = nn.ModuleList([Fused(128)])
    if zero_query:
        with pytest.raises(ValueError, match="need different std"):
            snippet["use"](model)
    else:
        (trainer,) = snippet["use"](model)
        (found,) = trainer.param_groups
        assert found["lr"] == snippet["TENSORS"]["blocks.*.attn.q"]["lr"]
        assert next(model.parameters()).std().item() == pytest.approx(128**-0.5, rel=0.02)


def test_a_weight_of_which_the_study_knew_nothing_needs_a_line() -> None:
    spec = study("mup")
    found = recipe(spec, "", swept(spec), 128, 2)
    snippet = exported.namespace(export(found, Format.PYTORCH))
    model = plain_models.of(found)
    model.add_module("extra", nn.LayerNorm(128))
    with pytest.raises(ValueError, match=r"no line for extra\.weight"):
        snippet["use"](model)
    numbers = {"std": 0.0, "lr": 1e-3, "weight_decay": 0.0, "eps": 1e-8, "optimizer": "adamw"}
    snippet["OTHERS"] |= {
        "extra.weight": {"start": 1.0, **numbers},
        "extra.bias": {"start": 0.0, **numbers},
    }
    (trainer,) = snippet["use"](model)
    assert sum(len(group["params"]) for group in trainer.param_groups) == 6
    assert dict(model.named_parameters())["extra.weight"].eq(1).all()
