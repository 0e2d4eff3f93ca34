"""What every plugin can be tested for, before any worker has it."""

import json

import pytest
import torch
from muscope_example.gated_mlp import GATED_MLP
from muscope_example.half_mup import HALF_MUP
from muscope_example.kurtosis import KURTOSIS, kurtosis
from muscope_example.rings import RINGS
from muscope_example.signum import SIGNUM

from muscope.plugins import descriptions


@pytest.mark.parametrize("plugin", [SIGNUM, GATED_MLP, HALF_MUP, RINGS, KURTOSIS])
def test_muscope_understands_what_it_says(plugin):
    assert descriptions.read(json.dumps(plugin.describe())).title == plugin.description["title"]


def test_the_data_are_what_they_say():
    pixels, classes = RINGS.make()
    assert pixels[0].numel() == 16
    assert set(classes.tolist()) == {0, 1, 2, 3}


def test_a_normal_tensor_has_the_kurtosis_3():
    values = torch.randn(2, 1000, 1000, generator=torch.Generator().manual_seed(0))
    # a million normal numbers: the standard error of their kurtosis is sqrt(24 / 10^6) = 0.005
    torch.testing.assert_close(kurtosis(values), torch.full((2,), 3.0).double(), atol=0.03, rtol=0)


def test_only_the_sign_of_a_gradient_counts():
    optimizer = SIGNUM.make({"momentum": 0.9, "weight_decay": 0.0})
    weight, gradient = torch.zeros(1, 2, 2), torch.tensor([[[1.0, -2.0], [3e-4, -5e5]]])
    rates = type("Rates", (), {"learning_rate": torch.tensor(0.1), "weight_decay": 0.0})
    moved, _ = optimizer.update(
        weight, gradient, state=optimizer.start(weight), rates=rates, step=1
    )
    torch.testing.assert_close(moved, -0.1 * gradient.sign())
