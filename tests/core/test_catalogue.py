"""What the catalogue says by arithmetic is what the lab builds and measures."""

import math

import pytest

from muscope import catalogue
from muscope.catalogue import Option, Options, complete_options, with_defaults
from muscope.vocabulary import Role


def options(model: str) -> Options:
    return complete_options({}, catalogue.MODELS[model].options)


@pytest.mark.parametrize("model", list(catalogue.MODELS))
def test_every_weight_has_one_name_and_as_many_numbers_as_its_shape(model: str) -> None:
    said = catalogue.MODELS[model].weights(96, 3, options(model))
    assert len({entry.name for entry in said}) == len(said)
    for entry in said:
        assert math.prod(entry.shape) == entry.parameters, entry.name
        assert entry.fan_out in entry.shape


@pytest.mark.parametrize("model", list(catalogue.MODELS))
def test_roles_say_how_many_dimensions_grow(model: str) -> None:
    switches: Options = {"biases": True, "norm_gains": "vector"}
    known = {option.name for option in catalogue.MODELS[model].options}
    chosen = {**options(model), **{name: v for name, v in switches.items() if name in known}}
    narrow, wide = (catalogue.MODELS[model].weights(width, 2, chosen) for width in (64, 128))
    for one, two in zip(narrow, wide, strict=True):
        growing = (one.fan_in < two.fan_in) + (one.fan_out < two.fan_out)
        expected = {Role.HIDDEN: 2, Role.SCALAR: 0}.get(one.role, 1)  # facts 0
        assert growing == expected, one.name


@pytest.mark.parametrize(
    ("width", "given", "sentence"),
    [
        (100, {}, "width 100 is not a multiple of the head size 32"),
        (64, {"heads": 3}, "width 64 is not a multiple of the 3 heads"),
        (
            96,
            {"queries_per_key": 2},
            "width 96 has 3 heads, which is not a multiple of the 2 queries that share a key",
        ),
        (
            6,
            {"heads": 2, "positions": "rope"},
            "width 6 has heads of 3 elements; rotations need an even number",
        ),
    ],
)
def test_a_width_without_such_heads_is_refused_with_its_numbers(
    width: int, given: Options, sentence: str
) -> None:
    assert catalogue.MODELS["gpt"].check(width, {**options("gpt"), **given}) == sentence


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
