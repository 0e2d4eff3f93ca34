"""Texts and tokens that lie as files in the operator's datasets folder."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from muscope.catalogue import DatasetUnavailable
from muscope.lab.data import places
from muscope.lab.data.text import Text

TOKEN_BYTES = 2


def text(name: str) -> Text:
    """Any file, as bytes; left on disk."""
    return _text(*_stamped("text_file", name))


def tokens(name: str) -> Text:
    """A file of 16-bit tokens, as nanoGPT writes them on a little-endian machine; left on disk."""
    return _tokens(*_stamped("tokens", name))


def _stamped(dataset: str, name: str) -> tuple[Path, int, int]:
    """The file with its size and time, so that one put in its place is read anew."""
    path = places.find(dataset, name)
    found = path.stat()
    if not found.st_size:
        raise DatasetUnavailable(f"{path} is empty (0 bytes); put a text there")
    return path, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=2)
def _text(path: Path, size: int, changed_ns: int) -> Text:
    return Text(str(path), np.memmap(path, dtype=np.uint8, mode="r"))


@lru_cache(maxsize=2)
def _tokens(path: Path, size: int, changed_ns: int) -> Text:
    if size % TOKEN_BYTES:
        raise DatasetUnavailable(
            f"{path} has {size} bytes, an odd number; tokens are 16-bit numbers without a header"
        )
    return Text(str(path), np.memmap(path, dtype="<u2", mode="r"))
