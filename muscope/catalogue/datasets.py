"""The data that are there on every machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """Data that are there on every machine, with the size of one example."""

    name: str
    title: str
    help: str
    inputs: int
    classes: int


DATASETS: dict[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name="python_docs",
            title="Python documentation",
            help="English text that ships with every CPython (pydoc_data.topics), as bytes.",
            inputs=256,
            classes=256,
        ),
        DatasetEntry(
            name="digits",
            title="Digits",
            help="1797 real 8x8 images of handwritten digits (scikit-learn).",
            inputs=64,
            classes=10,
        ),
    )
}
