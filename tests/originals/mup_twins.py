"""The models of the lab as a user of microsoft/mup writes them: torch, MuReadout, base shapes.

Parameters have our names but for ".weight". A forward gives the activations by our names.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from muscope.lab.models.model import Batch
from muscope.spec import RunSpec
from tests import needs
from tests.originals.ours import our_name

mup = needs.package("mup", "pip install --no-deps mup==1.0.0")

PIXELS, DIGITS, BYTES = 64, 10, 256
Activations = dict[str, Tensor]
Options = Mapping[str, bool | int | float | str]


class MlpTwin(nn.Module):
    """Input layer, hidden layers, readout; ReLU."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        super().__init__()
        biases = bool(options.get("biases"))
        self.input = nn.Linear(PIXELS, width, biases)
        self.hidden = nn.ModuleList(nn.Linear(width, width, biases) for _ in range(depth))
        self.readout = mup.MuReadout(width, DIGITS, biases)

    def forward(self, images: Tensor) -> Activations:
        seen = {"input": self.input(images)}
        stream = seen["input"]
        for number, layer in enumerate(self.hidden):
            stream = seen[f"hidden.{number}"] = layer(stream.relu())
        seen["readout"] = self.readout(stream.relu())
        return seen


class GptTwin(nn.Module):
    """Learned positions, pre-norm, GELU; attention logits of base x 1/d."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        super().__init__()
        positions = int(options["sequence_length"])
        self.embedding = nn.ModuleDict(
            {"token": nn.Embedding(BYTES, width), "position": nn.Embedding(positions, width)}
        )
        self.blocks = nn.ModuleList(BlockTwin(width, options) for _ in range(depth))
        self.norm = norm(width, options)
        self.readout = mup.MuReadout(width, BYTES, bias=False)

    def forward(self, tokens: Tensor) -> Activations:
        positions = torch.arange(tokens.shape[-1])
        stream = self.embedding["token"](tokens) + self.embedding["position"](positions)
        seen = {"embedding": stream}
        for number, block in enumerate(self.blocks):
            inner = block(stream)
            seen |= {f"blocks.{number}.{name}": value for name, value in inner.items()}
            stream = inner["residual"]
        seen["readout"] = self.readout(self.norm(stream))
        return seen


class BlockTwin(nn.Module):
    """Attention and a feed-forward network, each added to the stream."""

    def __init__(self, width: int, options: Options) -> None:
        super().__init__()
        hidden, biases = int(options["mlp_ratio"]) * width, bool(options.get("biases"))
        self.head_size = width // int(options.get("heads") or width // int(options["head_size"]))
        self.attention_scale = 1.0  # `based` sets it
        attention = {part: nn.Linear(width, width, biases) for part in "qkvo"}
        up, down = nn.Linear(width, hidden, biases), nn.Linear(hidden, width, biases)
        self.attn = nn.ModuleDict(attention | {"norm": norm(width, options)})
        self.mlp = nn.ModuleDict({"up": up, "down": down, "norm": norm(width, options)})

    def forward(self, stream: Tensor) -> Activations:
        attended, seen = self.attention(self.attn["norm"](stream))
        stream = stream + attended
        seen["mlp.up"] = self.mlp["up"](self.mlp["norm"](stream))
        seen["mlp.out"] = self.mlp["down"](functional.gelu(seen["mlp.up"]))
        return seen | {"residual": stream + seen["mlp.out"]}

    def attention(self, inputs: Tensor) -> tuple[Tensor, Activations]:
        """What the branch adds, and what is seen on the way."""
        seen = {f"attn.{part}": self.attn[part](inputs) for part in "qkv"}
        query, key, value = (
            projected.unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for projected in seen.values()
        )  # (batch, heads, time, head_size)
        logits = query @ key.mT * self.attention_scale
        past = torch.ones(logits.shape[-2:], dtype=torch.bool).tril()
        mixed = logits.masked_fill(~past, float("-inf")).softmax(-1) @ value
        out = self.attn["o"](mixed.transpose(1, 2).flatten(-2))
        return out, seen | {"attn.logits": logits[..., past], "attn.out": out}


def norm(width: int, options: Options) -> nn.LayerNorm:
    """As in the lab, whose epsilon only guards a division by zero; a gain if asked."""
    has_gain = options.get("norm_gains") == "vector"
    return nn.LayerNorm(width, eps=1e-9, elementwise_affine=has_gain, bias=False)


class ResNetTwin(nn.Module):
    """Three stages of blocks on square images of one channel, norms without gains, ReLU."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        super().__init__()
        self.stem, sizes = convolution(1, width), (width, 2 * width, 4 * width)
        self.stages = nn.ModuleList(
            nn.ModuleDict(
                {str(block): ConvolutionsTwin(size) for block in range(depth)}
                | ({"down": convolution(size // 2, size, stride=2)} if number else {})
            )
            for number, size in enumerate(sizes)
        )
        self.readout = mup.MuReadout(sizes[-1], DIGITS, bias=False)

    def forward(self, pixels: Tensor) -> Activations:
        images = pixels.view(len(pixels), 1, *(round(pixels.shape[1] ** 0.5),) * 2)
        stream = self.stem(images)
        seen = {"stem": stream}
        for number, stage in enumerate(self.stages):
            name = f"stages.{number}"
            if "down" in stage:
                stream = seen[f"{name}.down"] = stage["down"](stream)
            for block, convolutions in stage.items():
                if block == "down":
                    continue
                inner = convolutions(stream)
                seen |= {f"{name}.{block}.{part}": value for part, value in inner.items()}
                stream = inner["residual"]
        seen["readout"] = self.readout(image_norm(stream).relu().mean((2, 3)))
        return seen


class ConvolutionsTwin(nn.Module):
    """Norm, ReLU and convolution, twice, added to the stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (convolution(channels, channels) for _ in range(2))

    def forward(self, stream: Tensor) -> Activations:
        first = self.conv1(image_norm(stream).relu())
        second = self.conv2(image_norm(first).relu())
        return {"conv1": first, "conv2": second, "residual": stream + second}


def convolution(channels: int, fan_out: int, *, stride: int = 1) -> nn.Conv2d:
    """A kernel of 3 x 3 that keeps the image's side, but for the stride."""
    return nn.Conv2d(channels, fan_out, 3, stride, padding=1, bias=False)


def image_norm(images: Tensor) -> Tensor:
    """Over all that an image has, as in the lab."""
    return functional.layer_norm(images, images.shape[1:], eps=1e-9)


TWINS: dict[str, Callable[[int, int, Options], nn.Module]] = {
    "mlp": MlpTwin,
    "gpt": GptTwin,
    "resnet": ResNetTwin,
}

OPTIMIZERS = {"adam": mup.MuAdam, "adamw": mup.MuAdamW, "sgd": mup.MuSGD}


def plain(run: RunSpec, width: int | None = None) -> nn.Module:
    """The twin before mup knows its base, initialized as torch does."""
    model = run.variant.model
    return TWINS[model.name](width or run.width, run.depth, model.options)


def based(run: RunSpec, model: nn.Module, *, rescale: bool) -> nn.Module:
    """The model with the base shapes of the run; a second width tells mup what grows.

    Attention is left to the user by mup: its README divides q.k by d and multiplies it by the root
    of the base's, so that the base is its SP twin.
    """
    base, delta = plain(run, run.base_width), plain(run, 2 * run.base_width)
    mup.set_base_shapes(model, base, delta=delta, rescale_params=rescale)
    for here, there in zip(model.modules(), base.modules(), strict=True):
        if isinstance(here, BlockTwin):
            here.attention_scale = there.head_size**0.5 / here.head_size
    return model


def named(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters by our names."""
    return {our_name(name): weight for name, weight in model.named_parameters()}


def load(model: nn.Module, values: dict[str, Tensor]) -> None:
    """Overwrite every parameter by our name."""
    parameters = named(model)
    assert set(parameters) == set(values)
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value.view_as(parameters[name]))


def optimizer(run: RunSpec, model: nn.Module, **more: float) -> torch.optim.Optimizer:
    """mup's optimizer with the scalars of the run, and more by torch's names."""
    chosen = run.variant.optimizer
    options = chosen.options
    named_by_torch = {
        "momentum": options.get("momentum"),
        "weight_decay": options.get("weight_decay"),
        "eps": options.get("epsilon"),
        "betas": (options["beta1"], options["beta2"]) if "beta1" in options else None,
    }
    given = {name: value for name, value in named_by_torch.items() if value is not None} | more
    made = OPTIMIZERS[chosen.name](model.parameters(), lr=chosen.learning_rate, **given)
    assert isinstance(made, torch.optim.Optimizer)
    return made


def train(run: RunSpec, model: nn.Module, batch: Batch) -> list[dict[str, float]]:
    """mean |x| of every activation at steps 0 to the run's last, by our names, and the loss."""
    stepper = optimizer(run, model)
    seen: list[dict[str, float]] = []
    for _ in range(run.steps + 1):
        activations = model(batch.inputs)
        loss = functional.cross_entropy(
            activations["readout"].flatten(0, -2), batch.targets.flatten()
        )
        sizes = {name: float(value.detach().abs().mean()) for name, value in activations.items()}
        seen.append({**sizes, "loss": float(loss.detach())})
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    return seen


def groups(stepper: torch.optim.Optimizer, model: nn.Module) -> dict[str, dict[str, float]]:
    """The group that every parameter was put in, by our names: its rate, decay and epsilon."""
    group_of = {id(weight): group for group in stepper.param_groups for weight in group["params"]}
    return {name: group_of[id(weight)] for name, weight in named(model).items()}
