"""The recipe of u-µP is for graphcore's modules: with them it trains as the engine does."""

from typing import Any

import pytest
from torch import Tensor, nn

from muscope.lab.models.model import Batch
from muscope.recipe import recipe
from tests.core.recipes import study, swept
from tests.lab import exported
from tests.originals.unit_scaling_models import Transformer


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    loss: Tensor = model(batch)[0]
    return loss


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_independent"])
def test_unit_scaling_s_modules_with_the_recipe_train_as_the_engine_does(optimizer: str) -> None:
    numbers: dict[str, Any] = {"learning_rate": 0.5, "weight_decay": 0.01, "epsilon": 1e-8}
    spec = study("u_mup", model="gpt", name=optimizer, **numbers)
    found = recipe(spec, "", swept(spec), spec.widths[-1])
    wanted, losses = exported.both_train(spec, found, Transformer, loss_of)
    assert losses == pytest.approx(wanted, rel=1e-4)  # float32; sums in another order
    assert abs(losses[-1] / losses[0] - 1) > 1e-3, "the steps are seen"
