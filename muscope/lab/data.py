"""Real data that are on every machine; one batch, the same for every seed, width and variant."""

import hashlib
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from muscope.lab.models.model import Batch
from muscope.spec import ModelSpec


def batch(model: ModelSpec) -> Batch:
    """The batch that a model is trained on, decided by its batch size and sequence length only."""
    if model.name == "gpt":
        return _text_batch(model.batch_size, int(model.options["sequence_length"]))
    return _digits_batch(model.batch_size)


def digest(dataset: str) -> str:
    """SHA-256 of a dataset; the Python documentation differs between versions of Python."""
    readers: dict[str, Callable[[], bytes]] = {
        "python_docs": python_docs,
        "digits": lambda: b"".join(part.numpy().tobytes() for part in digits()),
    }
    return hashlib.sha256(readers[dataset]()).hexdigest()


@cache
def python_docs() -> bytes:
    """The texts of `help()` in the order of their names."""
    from pydoc_data.topics import topics  # 0.7 MB of text, only for those who read it

    return "\n\n".join(topics[name] for name in sorted(topics)).encode()


@cache
def digits() -> tuple[Tensor, Tensor]:
    """1797 images of 64 pixels with mean 0 and variance 1 over all pixels, and their digits."""
    from sklearn.datasets import load_digits  # takes a second, only the MLP needs it

    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images, dtype=torch.float32)  # (images, pixels)
    return (pixels - pixels.mean()) / pixels.std(), torch.tensor(labels, dtype=torch.int64)


def _text_batch(batch_size: int, length: int) -> Batch:
    text = torch.tensor(list(python_docs()), dtype=torch.int64)
    starts = _evenly(len(text) - length, batch_size)  # (batch,)
    windows = text[starts[:, None] + torch.arange(length + 1)]  # (batch, time + 1)
    return Batch(windows[:, :-1], windows[:, 1:])


def _digits_batch(batch_size: int) -> Batch:
    images, labels = digits()
    chosen = _evenly(len(labels), batch_size)
    return Batch(images[chosen], labels[chosen])


def _evenly(count: int, batch_size: int) -> Tensor:
    """Indices spread over the whole dataset, so that a small batch is not all from one page."""
    return torch.arange(batch_size) * count // batch_size
