"""The data that a model can be trained on, and the options by which a model chooses them."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from muscope.catalogue.options import Option, Options
from muscope.catalogue.registry import Described, Registry

Modality: TypeAlias = Literal["text", "image"]

NAME_PATTERN = r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,99}"
"""What a `dataset_name` may look like: a name with parts, never a path out of a folder."""


class DatasetUnavailable(ValueError):
    """The data cannot be read here; the message says what is missing and where to put it."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """Data with the size of one example.

    `shape` is (channels, height, width) of an image, empty for text; the lab hands images over as
    rows of `inputs` numbers. Text is a row of tokens, `classes` is then its vocabulary, of which a
    model may have more but not fewer than `least_classes`. `place` says what the operator puts
    where, nothing for data that are there; a `named` one needs a `dataset_name` too.
    """

    name: str
    title: str
    help: str
    source: str
    modality: Modality
    classes: int
    shape: tuple[int, ...] = ()
    least_classes: int = 0
    named: bool = False
    place: str = ""

    @property
    def inputs(self) -> int:
        """Numbers of one input: pixels of an image; the vocabulary, one-hot, of a token."""
        return math.prod(self.shape) if self.shape else self.classes


DATASETS: Registry[DatasetEntry] = Registry(
    (entry.name, entry)
    for entry in (
        DatasetEntry(
            name="python_docs",
            title="Python documentation",
            help="English text that ships with every CPython, as bytes.",
            source="pydoc_data.topics of the running Python; differs between its versions",
            modality="text",
            classes=256,
            least_classes=256,
        ),
        DatasetEntry(
            name="text_file",
            title="Text file",
            help="Any file of the operator's datasets folder, as bytes.",
            source="yours",
            modality="text",
            classes=256,
            least_classes=256,
            named=True,
            place="<datasets folder>/<dataset_name>",
        ),
        DatasetEntry(
            name="tokens",
            title="Tokens",
            help="A file of tokens as nanoGPT writes them: 16-bit numbers without a header.",
            source="nanoGPT, data/*/prepare.py (train.bin, val.bin); GPT-2's vocabulary by default",
            modality="text",
            classes=50_257,
            least_classes=2,
            named=True,
            place="<datasets folder>/<dataset_name>",
        ),
        DatasetEntry(
            name="huggingface",
            title="Hugging Face",
            help="A data set of the Hugging Face hub that the operator allows, its text as bytes.",
            source="load_dataset of the `datasets` library, split train, column text",
            modality="text",
            classes=256,
            least_classes=256,
            named=True,
            place="the cache of the `datasets` library, by itself where there is a network",
        ),
        DatasetEntry(
            name="markov",
            title="Markov source",
            help="Made text whose next token depends on the last one; its entropy is known.",
            source="made here with a fixed seed, the same on every machine",
            modality="text",
            classes=64,
            least_classes=64,
        ),
        DatasetEntry(
            name="digits",
            title="Digits",
            help="1797 real 8x8 images of handwritten digits.",
            source="scikit-learn, load_digits (UCI, Alpaydin & Kaynak 1998)",
            modality="image",
            classes=10,
            shape=(1, 8, 8),
        ),
        DatasetEntry(
            name="photo_patches",
            title="Photo patches",
            help="8320 patches of two photos; the class is which photo, and which quarter of it.",
            source="scikit-learn, load_sample_images (china.jpg, flower.jpg; CC BY)",
            modality="image",
            classes=8,
            shape=(3, 8, 8),
        ),
        DatasetEntry(
            name="synthetic_cifar",
            title="Synthetic CIFAR",
            help="10 000 made images of CIFAR-10's shape; they stand in for it, they are not it.",
            source="made here with a fixed seed: a smooth prototype per class, in smooth noise",
            modality="image",
            classes=10,
            shape=(3, 32, 32),
        ),
        DatasetEntry(
            name="cifar10",
            title="CIFAR-10",
            help="60 000 small photos of ten things, in the published binary format.",
            source="Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            modality="image",
            classes=10,
            shape=(3, 32, 32),
            place="<datasets folder>/cifar-10-batches-bin/",
        ),
    )
)


def data_options(default: str) -> tuple[Option, ...]:
    """The options of a model that reads the dataset `default` unless another is chosen."""
    modality = DATASETS[default].modality
    words = tuple(name for name, entry in DATASETS.items() if entry.modality == modality)
    dataset = Option(
        "dataset",
        default,
        "The data it is trained on.",
        allowed=words,
        silent=True,
        described=Described(DATASETS, partial(_is_of, modality)),
    )
    return (dataset, *_TEXT_ONLY) if modality == "text" else (dataset,)


def _is_of(modality: Modality, entry: DatasetEntry) -> bool:
    return entry.modality == modality


_TEXT_ONLY = (
    Option(
        "dataset_name",
        "",
        "A name, never a path: a file of the datasets folder, or a Hugging Face data set.",
        pattern=NAME_PATTERN,
        silent=True,
    ),
    Option(
        "vocabulary", 0, "Tokens of the model; 0 is what the data have.", 0, 65_536, silent=True
    ),
)

TEXT_OPTIONS = data_options("python_docs")
IMAGE_OPTIONS = data_options("digits")


def chosen(default: str, options: Options) -> DatasetEntry:
    """The dataset that options choose for a model that else reads `default`."""
    return DATASETS[str(options.get("dataset", default))]


def classes(entry: DatasetEntry, options: Options) -> int:
    """Classes that a model tells apart: those of the data, or its own, larger vocabulary."""
    return int(options.get("vocabulary", 0)) or entry.classes


def complaint(default: str, options: Options) -> str | None:
    """What is wrong with the data that options choose, as a sentence; None if nothing is."""
    entry, name = chosen(default, options), options.get("dataset_name", "")
    if entry.named and not name:
        return f"dataset {entry.name!r} needs a dataset_name: {entry.help}"
    if name and not entry.named:
        named = ", ".join(other.name for other in DATASETS.values() if other.named)
        return f"dataset {entry.name!r} takes no dataset_name, got {name!r}; {named} do"
    if classes(entry, options) < entry.least_classes:
        return (
            f"dataset {entry.name!r} has {entry.least_classes} tokens or more, "
            f"a vocabulary of {options['vocabulary']} cannot name them all"
        )
    return None
