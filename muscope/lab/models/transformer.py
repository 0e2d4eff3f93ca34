"""Decoder-only transformer: GPT and Llama by their switches (catalogue/models/transformer.py)."""

import torch
from torch import Tensor

from muscope.catalogue import Options
from muscope.catalogue.models.transformer import heads
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Operators

ROTATION_BASE = 10_000.0


class Transformer:
    """Reads tokens and predicts the next one."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        self.depth, self.heads = depth, heads(width, options)
        self.nonlinearity, self.norm_kind = str(options["nonlinearity"]), str(options["norm"])
        self.is_pre = options["norm_placement"] == "pre"
        self.rotates = options["positions"] == "rope"
        self.is_fused = bool(options["fused_projections"])

    def loss(self, operators: Operators, batch: Batch) -> Tensor:
        """The mean cross-entropy over every position of the batch."""
        stream = self._embed(operators, batch.inputs)  # (batch, time, width)
        for number in range(self.depth):
            stream = self._block(operators, number, stream)
        if self.is_pre:
            stream = operators.norm("norm", self.norm_kind, stream)
        logits = operators.tap("readout", operators.unembed(stream))  # (batch, time, classes)
        return operators.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())

    def _embed(self, operators: Operators, tokens: Tensor) -> Tensor:
        stream = operators.lookup("embedding.token", tokens)
        if not self.rotates:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
            stream = operators.add(stream, operators.lookup("embedding.position", positions))
        return operators.tap("embedding", stream)

    def _block(self, operators: Operators, number: int, stream: Tensor) -> Tensor:
        block = f"blocks.{number}"
        stream = self._branch(operators, 2 * number, f"{block}.attn", stream)
        stream = self._branch(operators, 2 * number + 1, f"{block}.mlp", stream)
        return operators.tap(f"{block}.residual", stream)

    def _branch(self, operators: Operators, index: int, name: str, stream: Tensor) -> Tensor:
        inside = self._attention if name.endswith(".attn") else self._feed_forward

        def norm(inputs: Tensor) -> Tensor:
            return operators.norm(f"{name}.norm", self.norm_kind, inputs)

        if self.is_pre:
            return operators.branch(index, stream, lambda x: inside(operators, name, norm(x)))
        return norm(operators.branch(index, stream, lambda x: inside(operators, name, x)))

    def _attention(self, operators: Operators, name: str, inputs: Tensor) -> Tensor:
        projected = self._project(operators, [f"{name}.{part}" for part in "qkv"], inputs)
        query, key, value = (
            rows.view(*rows.shape[:2], -1, self.heads.size).transpose(1, 2) for rows in projected
        )  # (batch, heads, time, head size)
        if self.rotates:
            query, key = rotated(query), rotated(key)
        group = self.heads.queries // self.heads.keys
        key, value = (x.repeat_interleave(group, dim=1) if group > 1 else x for x in (key, value))
        mixed = operators.attention(name, query, key, value).transpose(1, 2).flatten(-2)
        return operators.tap(f"{name}.out", operators.linear(f"{name}.o", mixed))

    def _feed_forward(self, operators: Operators, name: str, inputs: Tensor) -> Tensor:
        if self.nonlinearity == "swiglu":
            up, gate = self._project(operators, [f"{name}.up", f"{name}.gate"], inputs)
            hidden = operators.gated(up, gate)
        else:
            (up,) = self._project(operators, [f"{name}.up"], inputs)
            hidden = operators.nonlinearity(self.nonlinearity, up)  # (batch, time, ratio * width)
        return operators.tap(f"{name}.out", operators.linear(f"{name}.down", hidden))

    def _project(self, operators: Operators, names: list[str], inputs: Tensor) -> list[Tensor]:
        """The projections of one input, each recorded under its own name."""
        if self.is_fused and len(names) > 1:
            outputs = operators.fused(names, inputs)
        else:
            outputs = [operators.linear(name, inputs) for name in names]
        for name, output in zip(names, outputs, strict=True):
            operators.tap(name, output)
        return outputs


def rotated(heads: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs of elements turn by an angle of their position.

    `heads` is (batch, heads, time, head size); element i is paired with i + head size / 2.
    """
    time, size = heads.shape[-2:]
    steps = torch.arange(size // 2, device=heads.device, dtype=torch.float32)
    angles = torch.outer(
        torch.arange(time, device=heads.device, dtype=torch.float32),
        ROTATION_BASE ** (-2 * steps / size),
    )  # (time, head size / 2)
    one, other = heads.chunk(2, dim=-1)
    cos, sin = angles.cos().to(heads.dtype), angles.sin().to(heads.dtype)
    return torch.cat((one * cos - other * sin, other * cos + one * sin), dim=-1)
