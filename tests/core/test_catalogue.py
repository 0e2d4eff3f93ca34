"""What the catalogue says by arithmetic is what the lab builds and measures."""

import math

import pytest
import torch

from muscope import catalogue
from muscope.catalogue import Option, Options, complete_options, with_defaults
from muscope.lab import data, models
from muscope.lab.models.model import Parameters
from muscope.spec import ModelSpec

SIZES = [(64, 1), (96, 2), (128, 3)]


def options(model: str) -> Options:
    return complete_options({}, catalogue.MODELS[model].options)


@pytest.mark.parametrize(("width", "depth"), SIZES)
@pytest.mark.parametrize("model", list(catalogue.MODELS))
def test_weights_have_the_names_roles_and_shapes_that_are_built(
    model: str, width: int, depth: int
) -> None:
    built = models.build(model, width, depth, options(model)).weights
    said = catalogue.MODELS[model].weights(width, depth, options(model))
    assert [entry.name for entry in said] == list(built)
    for entry in said:
        weight = built[entry.name]
        lookup = entry.fan_in == 1  # a table keeps one row per index: (rows, fan_out)
        assert weight.role is entry.role
        assert weight.shape[1 if lookup else 0] == entry.fan_out
        assert lookup or weight.shape[1] == entry.fan_in
        assert math.prod(weight.shape) == entry.parameters


@pytest.mark.parametrize(("width", "depth"), SIZES)
@pytest.mark.parametrize("model", list(catalogue.MODELS))
def test_activations_have_the_names_and_sizes_that_are_measured(
    model: str, width: int, depth: int
) -> None:
    built = models.build(model, width, depth, options(model))
    weights = {name: torch.zeros(weight.shape) for name, weight in built.weights.items()}
    taps: dict[str, int] = {}
    built.loss(
        Parameters(weights, {}, torch.tensor(1.0)),
        data.batch(ModelSpec(name=model, batch_size=2)),
        lambda name, value: taps.update({name: value.numel()}),
    )
    said = catalogue.MODELS[model].activations(width, depth, options(model))
    assert [(entry.name, 2 * entry.elements_per_example) for entry in said] == list(taps.items())


def test_a_width_that_heads_do_not_divide_is_refused_with_both_numbers() -> None:
    complaint = catalogue.MODELS["gpt"].check(100, options("gpt"))
    assert complaint == "width 100 is not a multiple of the head size 32"


@pytest.mark.parametrize("model", list(catalogue.MODELS))
def test_every_model_reads_a_dataset_of_the_catalogue(model: str) -> None:
    assert catalogue.MODELS[model].dataset in catalogue.DATASETS


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"speed": 1.0}, "unknown option 'speed'; allowed: rate"),
        ({"rate": True}, "option 'rate' must be a number, got True"),
        ({"rate": 2.0}, "option 'rate' must lie between 0 and 1, got 2.0"),
        ({"rate": math.nan}, "option 'rate' must lie between 0 and 1, got nan"),
        ({"rate": "fast"}, "option 'rate' must be a number, got 'fast'"),
    ],
)
def test_a_wrong_option_is_refused_with_a_sentence(given: Options, sentence: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        complete_options(given, (Option("rate", 0.5, "", 0.0, 1.0),))
    assert str(refusal.value) == sentence


def test_a_choice_takes_only_what_is_allowed() -> None:
    form = Option("form", "round", "", allowed=("round", "square"))
    assert complete_options({"form": "square"}, (form,)) == {"form": "square"}
    with pytest.raises(ValueError, match="option 'form' must be one of round, square, got 'oval'"):
        complete_options({"form": "oval"}, (form,))


def test_a_silent_option_is_said_only_when_it_is_not_at_its_default() -> None:
    form = Option("form", "round", "", allowed=("round", "square"), silent=True)
    assert complete_options({"form": "round"}, (form,)) == {}
    assert with_defaults({}, (form,)) == {"form": "round"}


def test_options_are_completed_and_whole_numbers_become_the_type_of_the_default() -> None:
    assert complete_options({"rate": 1}, (Option("rate", 0.5, "", 0.0, 1.0),)) == {"rate": 1.0}
    assert complete_options({}, (Option("rate", 0.5, "", 0.0, 1.0),)) == {"rate": 0.5}
