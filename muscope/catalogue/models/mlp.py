"""Multi-layer perceptron: an input layer, hidden layers, a readout."""

from muscope.catalogue import datasets
from muscope.catalogue.models.entries import (
    PRECISION,
    ActivationEntry,
    ModelEntry,
    WeightEntry,
    any_width,
    bias,
    matrix,
)
from muscope.catalogue.options import Option, Options
from muscope.vocabulary import Role

DATASET = "digits"
NONLINEARITIES = ("relu", "gelu", "squared_relu", "silu", "tanh")
LOSSES = ("cross_entropy", "mse")


def weights(width: int, depth: int, options: Options) -> tuple[WeightEntry, ...]:
    """The weights, in the order of the forward."""
    data = datasets.chosen(DATASET, options)
    matrices = (
        matrix("input", Role.EMBEDDING, width, data.inputs),
        *(matrix(f"hidden.{layer}", Role.HIDDEN, width, width) for layer in range(depth)),
        matrix("readout", Role.OUTPUT, datasets.classes(data, options), width),
    )
    if not options["biases"]:
        return matrices
    return tuple(entry for of in matrices for entry in (of, bias(of)))


def activations(width: int, depth: int, options: Options) -> tuple[ActivationEntry, ...]:
    """Every layer before its nonlinearity."""
    data = datasets.chosen(DATASET, options)
    return (
        ActivationEntry("input", Role.EMBEDDING, width),
        *(  # the nonlinearity before each layer is kept beside it
            ActivationEntry(f"hidden.{layer}", Role.HIDDEN, width, unrecorded_elements=width)
            for layer in range(depth)
        ),
        ActivationEntry(
            "readout", Role.OUTPUT, datasets.classes(data, options), unrecorded_elements=width
        ),
    )


MLP = ModelEntry(
    name="mlp",
    title="MLP",
    help="Multi-layer perceptron: input layer, `depth` hidden layers, readout; ReLU.",
    dataset=DATASET,
    batch_size=64,
    options=(
        Option("nonlinearity", "relu", "After every layer.", allowed=NONLINEARITIES, silent=True),
        Option("biases", False, "A bias on every layer.", silent=True),
        Option(
            "loss",
            "cross_entropy",
            "Cross-entropy, or the mean squared distance from the class as one-hot vector.",
            allowed=LOSSES,
            silent=True,
        ),
        PRECISION,
        *datasets.data_options(DATASET),
    ),
    complaint_of=any_width,
    weights_of=weights,
    activations_of=activations,
)
