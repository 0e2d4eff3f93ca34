"""Scikit-learn's handwritten digits."""

from functools import cache

import torch

from muscope.lab.data.images import Images


@cache
def read() -> Images:
    """1797 images of 64 pixels, with mean 0 and variance 1 over all pixels."""
    from sklearn.datasets import load_digits  # takes a second, only those who train on it wait

    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images, dtype=torch.float32)  # (images, pixels)
    classes = torch.tensor(labels, dtype=torch.int64)
    return Images((pixels - pixels.mean()) / pixels.std(), classes, mean=0.0, std=1.0)
