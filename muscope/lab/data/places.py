"""Where the operator's data lie; set by an entry point, never read from the environment here."""

import re
from dataclasses import dataclass
from pathlib import Path

from muscope.catalogue import DatasetUnavailable
from muscope.catalogue.datasets import NAME_PATTERN


@dataclass(frozen=True, slots=True)
class Places:
    """The folder of data files (None: there is none), and the Hugging Face names allowed."""

    folder: Path | None = None
    huggingface: tuple[str, ...] = ()


_in_use = Places()


def use(places: Places) -> None:
    """Look for data there from now on."""
    global _in_use  # noqa: PLW0603  # like torch's thread count: one per process, set by its entry
    _in_use = places


def in_use() -> Places:
    """Where data are looked for."""
    return _in_use


def find(dataset: str, name: str, *, get: str = "put the file there") -> Path:
    """The file of that name in the datasets folder; `get` says how it comes there.

    Raises DatasetUnavailable where it is missing, no file, or leads out of the folder.
    """
    folder = in_use().folder
    if folder is None:
        raise DatasetUnavailable(
            f"dataset {dataset!r} needs files, and no datasets folder is set; "
            "set MUSCOPE_DATASETS_DIR"
        )
    path = folder / name
    try:
        if not re.fullmatch(NAME_PATTERN, name) or not _inside(path, folder):
            raise DatasetUnavailable(
                f"{name!r} leads out of the datasets folder {folder}; "
                "put the file itself into the folder, not a link"
            )
        if path.is_file():
            return path
        found = "is no file" if path.exists() else "is not there"
    except (OSError, RuntimeError):  # no right to look; a link to itself
        found = "cannot be looked at"
    raise DatasetUnavailable(f"dataset {dataset!r} needs {path}, which {found}; {get}")


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
