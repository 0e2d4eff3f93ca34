"""The options by which a model chooses its data, and what is refused before anything is read."""

import pytest

from muscope import catalogue, plan
from muscope.catalogue import DATASETS, Options, complete_options
from muscope.catalogue.datasets import chosen, classes, complaint, data_options
from muscope.spec import ModelSpec, StudySpec, digest
from tests.core.grids import study

TEXT, IMAGES = data_options("python_docs"), data_options("digits")


def test_without_a_choice_nothing_is_added_to_a_spec() -> None:
    assert complete_options({"dataset": "python_docs", "vocabulary": 0}, TEXT) == {}
    assert chosen("python_docs", {}).name == "python_docs"


def test_a_model_of_images_takes_no_text() -> None:
    with pytest.raises(ValueError, match="'dataset' must be one of digits, photo_patches"):
        complete_options({"dataset": "python_docs"}, IMAGES)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a..b", ".hidden", "a b", "a\\b", "a\n", "é", "a" * 101],
)
def test_a_path_is_no_dataset_name(name: str) -> None:
    with pytest.raises(ValueError, match="option 'dataset_name' must match"):
        complete_options({"dataset_name": name}, TEXT)


@pytest.mark.parametrize("name", ["tale.txt", "books/tale-1.txt", "Owner/some_thing", "0"])
def test_a_name_may_have_parts(name: str) -> None:
    assert complete_options({"dataset_name": name}, TEXT) == {"dataset_name": name}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dataset": "text_file"}, "dataset 'text_file' needs a dataset_name"),
        ({"dataset_name": "a"}, "dataset 'python_docs' takes no dataset_name, got 'a'; text_file"),
        ({"vocabulary": 100}, "dataset 'python_docs' has 256 tokens or more, a vocabulary of 100"),
    ],
)
def test_data_that_cannot_be_are_refused_with_a_sentence(options: Options, sentence: str) -> None:
    said = complaint("python_docs", options)
    assert said is not None
    assert said.startswith(sentence)


def test_a_model_may_have_more_classes_than_the_data() -> None:
    assert classes(DATASETS["tokens"], {}) == 50_257
    assert classes(DATASETS["tokens"], {"vocabulary": 65}) == 65
    assert complaint("python_docs", {"dataset": "markov", "vocabulary": 65}) is None


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_an_image_has_a_shape_and_a_text_a_least_vocabulary(entry: catalogue.DatasetEntry) -> None:
    is_image = entry.modality == "image"
    assert bool(entry.shape) == is_image
    assert bool(entry.least_classes) != is_image
    assert entry.inputs == (64 if entry.name == "digits" else entry.inputs)


def test_batches_are_silent_and_reach_every_run() -> None:
    spec = study()
    fresh = StudySpec.model_validate({**spec.model_dump(), "batches": "fresh"})
    assert "batches" not in spec.model_dump_json()
    assert digest(fresh) != digest(spec)
    assert {run.batches for run in plan.runs(fresh)} == {"fresh"}
    assert any("another one" in warning for warning in plan.plan(fresh).warnings)


def test_another_dataset_is_another_shape_of_model() -> None:
    small = ModelSpec(name="mlp", batch_size=4)
    large = ModelSpec(name="mlp", batch_size=4, options={"dataset": "synthetic_cifar"})
    first, *_ = catalogue.MODELS["mlp"].weights(8, 1, dict(large.options))
    assert first.fan_in == 3072
    assert digest(small) != digest(large)
