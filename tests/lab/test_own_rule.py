"""A rule of the catalogue put into somebody's model: first values, multipliers, rates."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from muscope.catalogue.rules import Choice
from muscope.lab import own_model
from muscope.lab.own import rule
from muscope.lab.own.rule import LabStepper, OwnRule, Recipe
from muscope.own_model import infer

BASE, WIDE = 16, 64
M = WIDE / BASE


class Network(nn.Module):
    """One of every role."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(40, n)
        self.up = nn.Linear(n, 4 * n)
        self.down = nn.Linear(4 * n, n, bias=False)
        self.norm = nn.LayerNorm(n)
        self.readout = nn.Linear(n, 40, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.readout(self.norm(self.down(self.up(self.wte(tokens)).relu())))
        return out


class Tied(nn.Module):
    """Embedding and readout in one tensor."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(40, n)
        self.readout = nn.Linear(n, 40, bias=False)
        self.readout.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.readout(self.wte(tokens))
        return out


def rules(build: Any, parametrization: str, optimizer: str = "adamw", **options: Any) -> Any:
    recipe = Recipe(Choice(parametrization, options), optimizer, 1e-3)
    models = [own_model.built_once(build, width, None) for width in (BASE, WIDE)]
    return recipe, rule.rules(recipe, models[1], models[0], infer(models), None)


def test_first_values_are_those_of_the_rule_and_of_a_seed() -> None:
    _, found = rules(Network, "mup", zero_readout=False)
    model = Network(WIDE)
    rule.start(model, found, seed=0)
    # std of N values is known to 1/sqrt(2N): 16384 values 0.6 %, 2560 values 1.4 %
    for name in ("up.weight", "down.weight", "wte.weight", "readout.weight"):
        std = found[name].rule.init_std
        own = dict(model.named_parameters(remove_duplicate=False))
        weight = own.get(name)
        if weight is None:  # behind a multiplier
            module, leaf = name.split(".")
            weight = model.get_submodule(module).parametrizations[leaf].original
        assert weight.std().item() == pytest.approx(std, rel=0.05)
    assert model.up.bias.count_nonzero() == 0
    assert torch.equal(model.norm.weight, torch.ones(WIDE))
    other = Network(WIDE)
    rule.start(other, found, seed=1)
    assert not torch.equal(other.down.weight, model.down.weight)


def test_hidden_rates_fall_with_the_width_under_mup_and_not_under_sp() -> None:
    _, mup = rules(Network, "mup")
    _, sp = rules(Network, "sp")
    assert mup["down.weight"].rule.learning_rate_factor == pytest.approx(1 / M)
    assert mup["wte.weight"].rule.learning_rate_factor == 1
    assert sp["down.weight"].rule.learning_rate_factor == 1


@pytest.mark.parametrize("form", ["table3", "table8", "table9"])
def test_a_multiplier_is_in_the_product_and_the_parameter_stays_what_it_is(form: str) -> None:
    _, found = rules(Network, "mup", form=form, zero_readout=False)
    model = Network(WIDE)
    parameters = {name: model.get_parameter(name) for name in found}
    rule.start(model, found, seed=0)
    x = torch.randn(3, WIDE)
    multiplier = found["readout.weight"].multipliers["readout.weight"]
    torch.testing.assert_close(model.readout(x), multiplier * x @ parameters["readout.weight"].T)
    assert set(parameters.values()) == set(model.parameters())


def test_one_tensor_in_two_places_has_a_multiplier_in_each() -> None:
    _, found = rules(Tied, "mup", zero_readout=False)
    model = Tied(WIDE)
    weight = model.wte.weight
    rule.start(model, found, seed=0)
    of = found["wte.weight"].multipliers
    assert of["readout.weight"] < of["wte.weight"] == 1
    tokens = torch.arange(5)
    inner = of["wte.weight"] * weight[tokens]
    torch.testing.assert_close(model(tokens), of["readout.weight"] * inner @ weight.T)
    assert [id(p) for p in model.parameters()] == [id(weight)]


def test_tied_weights_whose_rates_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="gives the two different learning rates"):
        rules(Tied, "mup", form="table3", zero_readout=False)
    with pytest.raises(ValueError, match="starts a readout at zero"):
        rules(Tied, "mup", zero_readout=True)


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (Recipe(Choice("u_mup", {}), "adamw", 1.0), "write it with the package unit_scaling"),
        (Recipe(None, "sophia", 1.0), "draws labels from the model's softmax"),
        (Recipe(Choice("complete_p", {}), "adamw", 1.0), "needs the depth: give --depths"),
    ],
)
def test_what_cannot_be_done_from_outside_is_said(recipe: Recipe, sentence: str) -> None:
    assert sentence in (recipe.complaint(has_depth=False) or "")


def plain(model: nn.Module, optimizer: str) -> tuple[dict[str, OwnRule], Recipe]:
    recipe = Recipe(None, optimizer, 1e-2)
    models = [own_model.built_once(type(model), width, None) for width in (BASE, WIDE)]
    return rule.rules(recipe, models[1], models[0], infer(models), None), recipe


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("adamw", lambda p: torch.optim.AdamW(p, 1e-2, (0.9, 0.95), 1e-16, weight_decay=0)),
        ("sgd", lambda p: torch.optim.SGD(p, 1e-2)),
    ],
)
def test_the_lab_s_optimizer_steps_a_model_as_torch_s_does(name: str, theirs: Any) -> None:
    torch.manual_seed(0)
    ours, twin = Network(WIDE), Network(WIDE)
    twin.load_state_dict(ours.state_dict())
    found, recipe = plain(ours, name)
    steppers = [LabStepper(dict(ours.named_parameters()), found, recipe), theirs(twin.parameters())]
    tokens = torch.arange(40)
    for _ in range(3):
        for model, stepper in zip((ours, twin), steppers, strict=True):
            stepper.zero_grad()
            functional.cross_entropy(model(tokens), tokens).backward()
            stepper.step()
    for one, other in zip(ours.parameters(), twin.parameters(), strict=True):
        # three updates of 1e-2 in float32; Adam divides gradients near rounding by themselves
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "muon", "adafactor", "shampoo", "soap"])
def test_every_shape_of_a_parameter_can_be_stepped(name: str) -> None:
    class Shapes(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, n, 3)
            self.back = nn.ConvTranspose1d(n, 2 * n, 3)
            self.experts = nn.Parameter(torch.randn(2, n, 2 * n) / n)
            self.scale = nn.Parameter(torch.ones(()))
            self.token = nn.Parameter(torch.randn(1, 1, n))

    torch.manual_seed(0)
    model = Shapes(WIDE)
    found, recipe = plain(model, name)
    before = {key: value.clone() for key, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    stepper = LabStepper(dict(model.named_parameters()), found, recipe)
    for _ in range(2):  # SOAP's first only looks
        stepper.step()
    for key, value in model.named_parameters():
        assert value.shape == before[key].shape
        assert value.isfinite().all()
        assert not torch.equal(value, before[key])
