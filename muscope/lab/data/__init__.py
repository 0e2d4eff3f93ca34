"""The data that models are trained on: prepared once per process, cut into batches."""

from collections.abc import Callable

from muscope.catalogue import MODELS, DatasetUnavailable
from muscope.catalogue.datasets import chosen, classes
from muscope.lab.data import (
    cifar10,
    digits,
    files,
    huggingface,
    markov,
    photo_patches,
    python_docs,
    synthetic_cifar,
)
from muscope.lab.data.examples import Examples, drawn, evenly
from muscope.lab.data.images import Images
from muscope.lab.data.places import Places, use
from muscope.lab.data.text import Text
from muscope.lab.models.model import Batch
from muscope.spec import ModelSpec

__all__ = ["Places", "batch", "digest", "entropy", "examples", "fresh", "held_out", "name", "use"]

TEXTS: dict[str, Callable[[str], Text]] = {
    "python_docs": lambda _: python_docs.read(),
    "text_file": files.text,
    "tokens": files.tokens,
    "huggingface": huggingface.read,
    "markov": lambda _: markov.read(),
}
"""How a text is read, given its `dataset_name`."""

IMAGES: dict[str, Callable[[], Images]] = {
    "digits": digits.read,
    "photo_patches": photo_patches.read,
    "synthetic_cifar": synthetic_cifar.read,
    "cifar10": cifar10.read,
}


def batch(model: ModelSpec) -> Batch:
    """The one batch of a coordinate check, spread over all data, the same for every seed.

    Raises DatasetUnavailable, here and below, where the data cannot be read.
    """
    found = examples(model)
    return found.cut(evenly(found.everything, model.batch_size))


def fresh(model: ModelSpec, *, step: int, seed: int) -> Batch:
    """The batch of a step: drawn from the training part, in an order that the seed decides."""
    found = _in_two_parts(model)
    stream = f"order:{seed}:{step}"
    return found.cut(drawn(found.training, model.batch_size, stream=stream))


def held_out(model: ModelSpec, *, batches: int = 1) -> Batch:
    """Held-out data, as many as so many batches have: the same for every seed and step."""
    found = _in_two_parts(model)
    return found.cut(evenly(found.held_out, batches * model.batch_size))


def name(model: ModelSpec) -> str:
    """The dataset that the model reads, with the name of the file if it has one."""
    file = str(model.options.get("dataset_name", ""))
    return " ".join(filter(None, (_dataset(model), file)))


def digest(model: ModelSpec) -> str:
    """SHA-256 of all data that the model reads from."""
    return _read(model).digest


def entropy(model: ModelSpec) -> float | None:
    """The least loss that can be reached, in nats per token, where it is known."""
    found = _read(model)
    return found.entropy if isinstance(found, Text) else None


def examples(model: ModelSpec) -> Examples:
    """All examples of the model's dataset, and the two parts of them."""
    match _read(model):
        case Text() as text:
            entry, options = chosen(MODELS[model.name].dataset, model.options), model.options
            return text.examples(int(options["sequence_length"]), classes(entry, options))
        case Images() as pictures:
            return pictures.examples


def _read(model: ModelSpec) -> Text | Images:
    dataset = _dataset(model)
    if dataset in IMAGES:
        return IMAGES[dataset]()
    if dataset not in TEXTS:
        # it holds plugins to what the data of this package are
        from muscope.lab import plugged

        return plugged.data(dataset)
    return TEXTS[dataset](str(model.options.get("dataset_name", "")))


def _dataset(model: ModelSpec) -> str:
    return chosen(MODELS[model.name].dataset, model.options).name


def _in_two_parts(model: ModelSpec) -> Examples:
    found = examples(model)
    if len(found.training) and len(found.held_out):
        return found
    raise DatasetUnavailable(
        f"{name(model)} is too short for fresh batches: the tenth that is held out is shorter "
        "than one window; take a longer text or a smaller sequence_length"
    )
