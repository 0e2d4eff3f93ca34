"""Images: normalized, balanced, and learnable without being trivial."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from muscope.catalogue import DATASETS, DatasetUnavailable
from muscope.lab import data
from muscope.lab.data import photo_patches, synthetic_cifar
from tests.lab.data.specs import images

BUILT_IN = ("digits", "photo_patches", "synthetic_cifar")


def everything(dataset: str) -> tuple[Tensor, Tensor]:
    examples = data.examples(images(dataset))
    return tuple(examples.cut(torch.tensor(examples.everything)))  # type: ignore[return-value]


@pytest.mark.parametrize("dataset", BUILT_IN)
def test_pixels_have_mean_zero_and_variance_one_and_classes_are_even(dataset: str) -> None:
    pixels, classes = everything(dataset)
    assert abs(float(pixels.mean())) < 1e-4  # float32
    assert float(pixels.std()) == pytest.approx(1, abs=1e-4)
    counts = torch.bincount(classes, minlength=DATASETS[dataset].classes)
    assert int(counts.min()) > 0.9 * int(counts.max())


def test_the_fixed_batch_of_digits_is_spread_evenly_over_them() -> None:
    pixels, classes = everything("digits")
    batch = data.batch(images("digits", batch_size=7))
    chosen = [row * 1797 // 7 for row in range(7)]
    assert torch.equal(batch.inputs, pixels[chosen])
    assert torch.equal(batch.targets, classes[chosen])


@pytest.mark.parametrize("dataset", ["photo_patches", "synthetic_cifar"])
def test_a_small_batch_has_several_classes(dataset: str) -> None:
    assert len(set(data.batch(images(dataset, batch_size=16)).targets.tolist())) > 4


@pytest.mark.parametrize("dataset", BUILT_IN)
def test_a_linear_model_learns_more_than_chance_and_not_everything(dataset: str) -> None:
    examples = data.examples(images(dataset))
    training = examples.cut(torch.as_tensor(examples.training))
    held_out = examples.cut(torch.as_tensor(examples.held_out))
    inputs, classes = training.inputs, DATASETS[dataset].classes
    ridge = inputs.mT @ inputs + 100 * torch.eye(inputs.shape[1])
    targets = functional.one_hot(training.targets).float() - 1 / classes
    weight = torch.linalg.solve(ridge, inputs.mT @ targets)
    right = ((held_out.inputs @ weight).argmax(1) == held_out.targets).float().mean()
    assert 2 / classes < float(right) < 0.97


def test_synthetic_images_cannot_be_told_apart_even_by_who_knows_how_they_are_made() -> None:
    pixels, classes = everything("synthetic_cifar")
    common = synthetic_cifar.prototypes(torch.Generator().manual_seed(0)).flatten(2)
    basis = synthetic_cifar.drawn_smooth(torch.eye(16).view(16, 1, 4, 4)).flatten(1)  # (16, pixels)
    mean = pixels.view(-1, 3, 1024) - pixels.view(-1, 3, 1024).mean(0)
    points = mean @ torch.linalg.pinv(basis) * _contrast()  # (images, channels, 16)
    centred = (common - common.mean(0)).flatten(1)
    nearest = torch.cdist(points.flatten(1), centred).argmin(1)
    assert 0.8 < float((nearest == classes).float().mean()) < 0.97


def _contrast() -> float:
    """From normalized pixels back to the scale of the points."""
    images = synthetic_cifar.read()
    return images.std / synthetic_cifar.CONTRAST


def write_cifar(folder: Path, *, images: int = 20, label: int = 9) -> None:
    (folder / "cifar-10-batches-bin").mkdir()
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for number, name in enumerate(names):
        records = np.full((images, 3073), number, dtype=np.uint8)
        records[:, 0] = np.arange(images) % (label + 1)
        records.tofile(folder / f"cifar-10-batches-bin/{name}.bin")


def test_cifar_is_read_in_its_published_form_and_its_test_images_are_held_out(
    folder: Path,
) -> None:
    write_cifar(folder)
    examples = data.examples(images("cifar10"))
    assert (len(examples.everything), len(examples.held_out)) == (120, 20)
    held_out = data.held_out(images("cifar10"), batches=5)
    assert held_out.inputs.shape == (20, 3072)
    assert held_out.targets.tolist() == [*range(10), *range(10)]
    assert len(set(held_out.inputs.flatten().tolist())) == 1  # only test images are all fives


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"label": 10}, "names a class 10 of ten"), ({"images": 0}, "has 0 bytes")],
)
def test_a_broken_cifar_is_refused(folder: Path, wrong: dict[str, int], sentence: str) -> None:
    write_cifar(folder, **wrong)
    with pytest.raises(DatasetUnavailable, match=sentence):
        data.batch(images("cifar10"))


def test_without_pillow_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    photo_patches.read.cache_clear()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DatasetUnavailable, match=r"pip install 'muscope\[worker\]'"):
        data.batch(images("photo_patches"))
