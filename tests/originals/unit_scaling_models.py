"""Whole models as a user of unit-scaling writes them.

`Decoder` is theirs; `Transformer` and `Mlp` are made of their modules, with parts of our names.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from muscope.catalogue import MODELS, Options
from muscope.catalogue.models.transformer import heads
from muscope.lab.models.model import Batch
from muscope.lab.models.transformer import rotated
from muscope.spec import RunSpec
from tests.originals.ours import our_name
from tests.originals.unit_scaling_twins import functional, unit_scaling

CLASSES, PIXELS, DIGITS = 256, 64, 10
NORM_EPSILON = 1e-9  # the lab's; theirs is 1e-5 unless told
Activations = dict[str, Tensor]


class Transformer(nn.Module):
    """A Llama or a GPT."""

    def __init__(self, run: RunSpec) -> None:
        super().__init__()
        options, self.alphas = options_of(run), run.variant.parametrization.complete
        tables = {"token": unit_scaling.Embedding(CLASSES, run.width)}
        if options["positions"] == "learned":
            length = int(options["sequence_length"])
            tables["position"] = unit_scaling.Embedding(length, run.width)
        self.embedding = nn.ModuleDict(tables)
        taus = unit_scaling.transformer_residual_scaling_rule(
            self.alphas["alpha_res"], self.alphas["alpha_res_attn_ratio"]
        )
        self.blocks = unit_scaling.DepthModuleList(
            Block(run, [taus(2 * number + part, 2 * run.depth) for part in (0, 1)])
            for number in range(run.depth)
        )
        self.norm = norm(run.width, options)
        constraint = str(self.alphas["readout_constraint"]).replace("none", "") or None
        self.readout = unit_scaling.LinearReadout(run.width, CLASSES, constraint=constraint)

    def forward(self, batch: Batch) -> tuple[Tensor, Activations]:
        stream = self.embedding["token"](batch.inputs)
        if "position" in self.embedding:
            positions = torch.arange(batch.inputs.shape[1])
            stream = functional.add(stream, self.embedding["position"](positions))
        seen = {"embedding": stream}
        for number, block in enumerate(self.blocks):
            stream = block(stream)
            seen[f"blocks.{number}.residual"] = stream
        seen["readout"] = self.readout(self.norm(stream))
        logits, targets = seen["readout"].flatten(0, 1), batch.targets.flatten()
        mult = self.alphas["alpha_loss_softmax"]
        return functional.cross_entropy(logits, targets, mult=mult), seen


class Block(nn.Module):
    """As their TransformerLayer, with the switches of ours."""

    def __init__(self, run: RunSpec, taus: list[float]) -> None:
        super().__init__()
        options, alphas = options_of(run), run.variant.parametrization.complete
        self.of, self.taus = heads(run.width, options), taus
        self.rotates = options["positions"] == "rope"
        self.gated = options["nonlinearity"] == "swiglu"
        self.attention_mult = float(alphas["alpha_attn_softmax"])
        self.act_mult = float(alphas["alpha_ffn_act"])
        width, hidden = run.width, int(options["mlp_ratio"]) * run.width
        keys = self.of.keys * self.of.size
        attention = {"q": (width, width), "k": (width, keys), "v": (width, keys)}
        up = {"up": (width, hidden), **({"gate": (width, hidden)} if self.gated else {})}
        biases = bool(options["biases"])
        # Without a constraint, as in their MLP: what goes up by one factor comes down by another.
        self.attn, self.mlp = (
            nn.ModuleDict(
                {"norm": norm(width, options)}
                | {
                    name: unit_scaling.Linear(*shape, bias=biases, constraint=constraint)
                    for name, shape in shapes.items()
                }
            )
            for shapes, constraint in (
                (attention | {"o": (width, width)}, "to_output_scale"),
                (up | {"down": (hidden, width)}, None),
            )
        )

    def forward(self, stream: Tensor) -> Tensor:
        stream = functional.residual_apply(self.attend, stream, self.taus[0])
        out: Tensor = functional.residual_apply(self.feed_forward, stream, self.taus[1])
        return out

    def attend(self, stream: Tensor) -> Tensor:
        """Causal attention; keys are shared by groups of queries."""
        inputs = self.attn["norm"](stream)
        query, key, value = (
            self.attn[part](inputs).unflatten(-1, (-1, self.of.size)).transpose(1, 2)
            for part in "qkv"
        )  # (batch, heads, time, head size)
        if self.rotates:
            query, key = rotated(query), rotated(key)
        group = self.of.queries // self.of.keys
        key, value = (part.repeat_interleave(group, dim=1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, mult=self.attention_mult
        )
        out: Tensor = self.attn["o"](mixed.transpose(1, 2).flatten(-2))
        return out

    def feed_forward(self, stream: Tensor) -> Tensor:
        """SwiGLU, or GELU."""
        inputs = self.mlp["norm"](stream)
        up = self.mlp["up"](inputs)
        if self.gated:
            hidden = functional.silu_glu(up, self.mlp["gate"](inputs), mult=self.act_mult)
        else:
            hidden = functional.gelu(up, mult=self.act_mult)
        out: Tensor = self.mlp["down"](hidden)
        return out


def norm(width: int, options: Options) -> nn.Module:
    """Of theirs, with the lab's epsilon and a gain if asked."""
    has_gain = options["norm_gains"] == "vector"
    if options["norm"] == "rmsnorm":
        made = unit_scaling.RMSNorm(width, eps=NORM_EPSILON, elementwise_affine=has_gain)
    else:
        made = unit_scaling.LayerNorm(width, NORM_EPSILON, has_gain, bias=False)
    assert isinstance(made, nn.Module)
    return made


class Mlp(nn.Module):
    """Their layers with biases, GELU between them."""

    def __init__(self, run: RunSpec) -> None:
        super().__init__()
        self.input = unit_scaling.Linear(PIXELS, run.width, bias=True)
        self.hidden = nn.ModuleList(
            unit_scaling.Linear(run.width, run.width, bias=True) for _ in range(run.depth)
        )
        self.readout = unit_scaling.LinearReadout(run.width, DIGITS, bias=True)

    def forward(self, batch: Batch) -> tuple[Tensor, Activations]:
        seen = {"input": self.input(batch.inputs)}
        stream = seen["input"]
        for number, layer in enumerate(self.hidden):
            stream = seen[f"hidden.{number}"] = layer(functional.gelu(stream))
        seen["readout"] = self.readout(functional.gelu(stream))
        return functional.cross_entropy(seen["readout"], batch.targets), seen


class Decoder(nn.Module):
    """Their TransformerDecoder as it is, on the sum of two tables, with the lab's epsilon."""

    def __init__(self, run: RunSpec) -> None:
        super().__init__()
        options = options_of(run)
        count = heads(run.width, options).queries
        self.theirs = unit_scaling.TransformerDecoder(run.width, CLASSES, run.depth, count)
        self.position = unit_scaling.Embedding(int(options["sequence_length"]), run.width)
        for module in self.modules():
            if isinstance(module, unit_scaling.RMSNorm):
                module.eps = NORM_EPSILON

    def forward(self, batch: Batch) -> tuple[Tensor, Activations]:
        positions = self.position(torch.arange(batch.inputs.shape[1]))
        stream = functional.add(self.theirs.embedding(batch.inputs), positions)
        seen = {"embedding": stream}
        for number, layer in enumerate(self.theirs.layers):
            stream = seen[f"blocks.{number}.residual"] = layer(stream)
        seen["readout"] = self.theirs.projection(self.theirs.final_norm(stream))
        logits, targets = seen["readout"].flatten(0, 1), batch.targets.flatten()
        return functional.cross_entropy(logits, targets), seen


OF_DECODER = {
    "theirs.embedding.weight": "embedding.token",
    "position.weight": "embedding.position",
    "theirs.projection.weight": "readout",
}
OF_LAYER = {
    "mhsa.linear_o.weight": "attn.o",
    "mlp.linear_1.weight": "mlp.up",
    "mlp.linear_gate.weight": "mlp.gate",
    "mlp.linear_2.weight": "mlp.down",
}
FUSED = "mhsa.linear_qkv.weight"


def by_our_names(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What belongs to our weights, of tensors by the names of a twin's parameters."""
    if not isinstance(model, Decoder):
        return {our_name(name): tensor for name, tensor in tensors.items()}
    found = {}
    for name, tensor in tensors.items():
        if name in OF_DECODER:
            found[OF_DECODER[name]] = tensor
            continue
        _, _, number, part = name.split(".", 3)
        parts = (
            {f"attn.{letter}": rows for letter, rows in zip("qkv", tensor.chunk(3), strict=True)}
            if part == FUSED
            else {OF_LAYER[part]: tensor}
        )
        found |= {f"blocks.{number}.{ours}": rows for ours, rows in parts.items()}
    return found


def options_of(run: RunSpec) -> Options:
    """Every option of the model."""
    model = run.variant.model
    return MODELS[model.name].complete(dict(model.options))


def load(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Overwrite every weight, by our names."""
    model.to(next(iter(values.values())).dtype)
    theirs = by_our_names(model, dict(model.named_parameters()))
    assert set(theirs) == set(values)
    with torch.no_grad():
        for name, value in values.items():
            theirs[name].copy_(value.view_as(theirs[name]))  # rows of q, k, v are views
