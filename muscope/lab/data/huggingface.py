"""Texts of the Hugging Face hub, by names that the operator allows."""

from collections.abc import Iterable
from functools import lru_cache

from muscope.catalogue import DatasetUnavailable
from muscope.lab.data import places
from muscope.lab.data.text import Text, of_bytes

MOST_BYTES = 100_000_000
"""The beginning of a larger data set is taken: more than a run of this house can read."""


def read(name: str) -> Text:
    """The column `text` of the split `train`; a third part of the name is the configuration."""
    allowed = places.in_use().huggingface
    if name not in allowed:
        raise DatasetUnavailable(
            f"the Hugging Face data set {name!r} is not allowed here; "
            f"allowed: {', '.join(allowed) or 'none'} (MUSCOPE_HUGGINGFACE_DATASETS)"
        )
    return _read(name)


@lru_cache(maxsize=1)
def _read(name: str) -> Text:
    try:
        # not a dependency: only whoever trains on it has it
        from datasets import load_dataset
    except ImportError as error:
        raise DatasetUnavailable(
            "dataset 'huggingface' needs the library `datasets`, which is not installed beside "
            "the worker; install it with: pip install datasets"
        ) from error
    owner, repository, *configuration = [*name.split("/", 2), ""][:3]
    path = f"{owner}/{repository}" if repository else owner
    try:
        rows = load_dataset(path, *filter(None, configuration), split="train")
    except (OSError, ValueError) as error:  # not there, no network, no such configuration
        raise DatasetUnavailable(
            f"the Hugging Face data set {name!r} cannot be loaded ({error}); connect this machine "
            "to the network, or load it once where the cache of `datasets` is"
        ) from error
    if "text" not in rows.column_names:
        columns = ", ".join(rows.column_names)
        raise DatasetUnavailable(f"{name!r} has no column text, only {columns}; take another")
    return of_bytes(f"the Hugging Face data set {name}", _joined(row["text"] for row in rows))


def _joined(texts: Iterable[str]) -> bytes:
    """Texts with an empty line between them, up to `MOST_BYTES`."""
    joined = bytearray()
    for text in texts:
        joined += text.encode() + b"\n\n"
        if len(joined) >= MOST_BYTES:
            break
    return bytes(joined[:MOST_BYTES])
