"""Patches of scikit-learn's two sample photos: a temple and a flower."""

from functools import cache

import torch
from torch import Tensor

from muscope.catalogue import DatasetUnavailable
from muscope.lab.data import images
from muscope.lab.data.images import Images

SIDE = 8
QUARTERS = 4


@cache
def read() -> Images:
    """8x8 patches side by side; the class is the photo and the quarter of its height.

    Where the sky of one photo looks like the wall of the other nobody can tell: the least error
    is not zero, and not known.
    """
    from sklearn.datasets import load_sample_images  # takes a second, as above

    try:
        photos = load_sample_images().images
    except ImportError as error:
        raise DatasetUnavailable(
            "dataset 'photo_patches' needs Pillow to read JPEG, which is not installed; "
            "install it with: pip install 'muscope[worker]'"
        ) from error
    parts = [_patches(torch.tensor(photo)) for photo in photos]
    pixels = torch.cat([patches for patches, _ in parts])
    classes = [quarter + QUARTERS * photo for photo, (_, quarter) in enumerate(parts)]
    return images.of_bytes(pixels, torch.cat(classes))


def _patches(photo: Tensor) -> tuple[Tensor, Tensor]:
    """Patches (patches, channels * side * side) and quarters of a photo (height, width, 3)."""
    rows, columns = photo.shape[0] // SIDE // QUARTERS * QUARTERS, photo.shape[1] // SIDE
    cropped = photo[: rows * SIDE, : columns * SIDE]
    grid = cropped.reshape(rows, SIDE, columns, SIDE, 3).permute(0, 2, 4, 1, 3)
    quarters = torch.arange(rows)[:, None].expand(rows, columns) * QUARTERS // rows
    return grid.reshape(rows * columns, -1), quarters.flatten()
