"""Models that read one dataset or another."""

from muscope.spec import ModelSpec

Value = bool | int | float | str


def text(dataset: str = "python_docs", *, batch_size: int = 4, **options: Value) -> ModelSpec:
    """A GPT on short windows of a text."""
    chosen: dict[str, Value] = {"dataset": dataset, "sequence_length": 16, **options}
    return ModelSpec(name="gpt", batch_size=batch_size, options=chosen)


def images(dataset: str = "digits", *, batch_size: int = 4) -> ModelSpec:
    """An MLP on images."""
    return ModelSpec(name="mlp", batch_size=batch_size, options={"dataset": dataset})
