"""The data are real, fixed and named by a digest."""

import hashlib

import pytest
import torch

from muscope import catalogue
from muscope.lab import data
from muscope.spec import ModelSpec


def test_the_text_is_english_from_the_python_documentation() -> None:
    text = data.python_docs().decode()
    assert len(text) > 100_000
    assert 'The "if" statement is used for conditional execution' in text


def test_targets_are_the_next_bytes() -> None:
    batch = data.batch(ModelSpec(name="gpt", batch_size=3, options={"sequence_length": 16}))
    assert batch.inputs.shape == batch.targets.shape == (3, 16)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert bytes(batch.inputs[1].tolist()) in data.python_docs()


def test_digits_have_mean_zero_and_variance_one() -> None:
    images, labels = data.digits()
    assert images.shape == (1797, 64)
    assert abs(images.mean()) < 1e-5
    assert abs(images.std() - 1) < 1e-5
    assert set(labels.tolist()) == set(range(10))


def test_a_batch_may_be_larger_than_the_dataset() -> None:
    batch = data.batch(ModelSpec(name="mlp", batch_size=4000))
    assert batch.inputs.shape == (4000, 64)


@pytest.mark.parametrize("dataset", list(catalogue.DATASETS))
def test_every_dataset_has_a_digest(dataset: str) -> None:
    assert len(bytes.fromhex(data.digest(dataset))) == 32


def test_the_digest_of_the_text_is_that_of_its_bytes() -> None:
    assert data.digest("python_docs") == hashlib.sha256(data.python_docs()).hexdigest()
