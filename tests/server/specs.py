"""Small studies to submit."""

from typing import Any


def small(**changes: Any) -> dict[str, Any]:
    """An MLP in SP and µP at two widths: four runs; `changes` replace top-level fields."""
    spec = {
        "version": 1,
        "name": "small",
        "kind": "coordinate_check",
        "arms": [
            {
                "model": {"name": "mlp", "batch_size": 8},
                "optimizers": [{"name": "sgd", "learning_rate": 0.1}],
            }
        ],
        "parametrizations": [{"name": "sp"}, {"name": "mup"}],
        "widths": [32, 64],
        "depths": [1],
        "seeds": 1,
        "steps": 2,
    }
    return spec | changes


def with_model(**changes: Any) -> dict[str, Any]:
    """The small study with other fields of its model."""
    model = {"name": "mlp", "batch_size": 8} | changes
    return small(arms=[{"model": model, "optimizers": small()["arms"][0]["optimizers"]}])


def with_optimizer(**changes: Any) -> dict[str, Any]:
    """The small study with other fields of its optimizer."""
    optimizer = {"name": "sgd", "learning_rate": 0.1} | changes
    return small(arms=[{"model": small()["arms"][0]["model"], "optimizers": [optimizer]}])
