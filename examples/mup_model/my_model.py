"""A model that the package `mup` parametrizes, checked as it is: MuReadout, base shapes, MuAdam.

    pip install --no-deps mup==1.0.0
    muscope check examples/mup_model/my_model.py:build
    muscope check examples/mup_model/my_model.py:build_with_torch_s_adam

`build_with_torch_s_adam` forgets MuAdam: its hidden rates do not fall with the width.
"""

import torch
from mup import MuAdam, MuReadout, set_base_shapes
from torch import Tensor, nn

PIXELS, CLASSES = 64, 10
BASE_WIDTH, DELTA_WIDTH = 32, 64
LEARNING_RATE = 3e-3


class Mlp(nn.Module):
    """mup's own first example: two hidden layers and a MuReadout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(PIXELS, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)
        self.readout = MuReadout(width, CLASSES, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, pixels) -> logits (batch, classes)."""
        hidden = torch.tanh(self.second(torch.tanh(self.first(images))))
        logits: Tensor = self.readout(hidden)
        return logits


def build(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Shapes of a base and of a delta model say what grows; MuAdam divides hidden rates by m."""
    model = _with_base_shapes(width)
    return model, MuAdam(model.parameters(), lr=LEARNING_RATE)


def build_with_torch_s_adam(width: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The mistake that is made most: base shapes, and an optimizer that does not read them."""
    model = _with_base_shapes(width)
    return model, torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)


def _with_base_shapes(width: int) -> nn.Module:
    model = Mlp(width)
    set_base_shapes(model, Mlp(BASE_WIDTH), delta=Mlp(DELTA_WIDTH))
    return model


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Noisy copies of ten random pictures, and which one each is."""
    random = torch.Generator().manual_seed(seed)
    pictures = torch.randn(CLASSES, PIXELS, generator=random)
    classes = torch.randint(CLASSES, (128,), generator=random)
    noise = torch.randn(len(classes), PIXELS, generator=random)
    return pictures[classes] + 0.5 * noise, classes
