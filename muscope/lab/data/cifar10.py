"""CIFAR-10 in its published binary format (Krizhevsky 2009)."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from muscope.catalogue import DATASETS, DatasetUnavailable
from muscope.lab.data import images, places
from muscope.lab.data.images import Images

FOLDER = "cifar-10-batches-bin"
TRAINING = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
RECORD = 1 + 3 * 32 * 32
"""A byte for the class, then the pixels, channel after channel."""

GET = (
    "download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz "
    "and unpack it in the datasets folder"
)


def read() -> Images:
    """Training images, then test images; the test images are held out."""
    files = [places.find("cifar10", f"{FOLDER}/{name}", get=GET) for name in (*TRAINING, TEST)]
    return _read(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=1)
def _read(files: tuple[tuple[Path, int], ...]) -> Images:
    parts = [_records(path) for path, _ in files]
    records = torch.from_numpy(np.concatenate(parts))  # (images, record)
    classes = records[:, 0].long()
    return images.of_bytes(records[:, 1:].contiguous(), classes, test=len(parts[-1]))


def _records(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    content = np.fromfile(path, dtype=np.uint8)
    if not content.size or content.size % RECORD:
        raise DatasetUnavailable(
            f"{path} has {content.size} bytes, which is no multiple of the {RECORD} of an image; "
            f"{GET} again"
        )
    records = content.reshape(-1, RECORD)
    if records[:, 0].max() >= DATASETS["cifar10"].classes:
        raise DatasetUnavailable(f"{path} names a class {records[:, 0].max()} of ten; {GET} again")
    return records
