"""Decoder-only transformer: learned positions, pre-norm without gains, GELU, no biases."""

import torch
from torch import Tensor
from torch.nn import functional

from muscope.catalogue import Options
from muscope.lab.models.model import BRANCHES, Batch, Parameters, Tap, Weight
from muscope.vocabulary import Role

BYTES = 256
NORM_EPSILON = 1e-9  # the stream has variance 2 or more, so this only guards a division by zero


class Gpt:
    """Reads bytes and predicts the next one."""

    def __init__(self, width: int, depth: int, options: Options) -> None:
        self.width, self.depth = width, depth
        self.head_size = int(options["head_size"])
        self.weights = {
            "embedding.token": Weight(Role.EMBEDDING, (BYTES, width)),
            "embedding.position": Weight(Role.EMBEDDING, (int(options["sequence_length"]), width)),
            **_block_weights(width, depth, int(options["mlp_ratio"])),
            "readout": Weight(Role.OUTPUT, (BYTES, width)),
        }

    def loss(self, parameters: Parameters, batch: Batch, tap: Tap) -> Tensor:
        """The mean cross-entropy over every position of the batch."""
        positions = torch.arange(batch.inputs.shape[1], device=batch.inputs.device)
        stream = parameters.lookup("embedding.token", batch.inputs) + parameters.lookup(
            "embedding.position", positions
        )  # (batch, time, width)
        tap("embedding", stream)
        for block in range(self.depth):
            stream = self._block(f"blocks.{block}", stream, parameters, tap)
        logits = parameters.linear("readout", _norm(stream))  # (batch, time, bytes)
        tap("readout", logits)
        return functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())

    def _block(self, block: str, stream: Tensor, parameters: Parameters, tap: Tap) -> Tensor:
        attended = self._attention(f"{block}.attn", _norm(stream), parameters, tap)
        stream = stream + parameters.scaled(BRANCHES, attended)
        up = parameters.linear(f"{block}.mlp.up", _norm(stream))  # (batch, time, ratio * width)
        tap(f"{block}.mlp.up", up)
        down = parameters.linear(f"{block}.mlp.down", functional.gelu(up))
        tap(f"{block}.mlp.out", down)
        stream = stream + parameters.scaled(BRANCHES, down)
        tap(f"{block}.residual", stream)
        return stream

    def _attention(self, name: str, inputs: Tensor, parameters: Parameters, tap: Tap) -> Tensor:
        heads = []
        for part in ("q", "k", "v"):
            projected = parameters.linear(f"{name}.{part}", inputs)  # (batch, time, width)
            tap(f"{name}.{part}", projected)
            heads.append(projected.view(*projected.shape[:2], -1, self.head_size).transpose(1, 2))
        query, key, value = heads  # (batch, heads, time, head_size)
        logits = query @ key.mT * parameters.attention_scale  # (batch, heads, time, time)
        seen, hidden = _causal(logits.shape[-1], logits.device)
        # Only what causal attention looks at is an activation of the model.
        tap(f"{name}.logits", logits.flatten(-2).index_select(-1, seen))
        weights = logits.masked_fill(hidden, float("-inf")).softmax(-1)
        mixed = (weights @ value).transpose(1, 2).flatten(-2)  # (batch, time, width)
        out = parameters.linear(f"{name}.o", mixed)
        tap(f"{name}.out", out)
        return out


def _block_weights(width: int, depth: int, ratio: int) -> dict[str, Weight]:
    shapes = {
        **{f"attn.{part}": (width, width) for part in ("q", "k", "v", "o")},
        "mlp.up": (ratio * width, width),
        "mlp.down": (width, ratio * width),
    }
    return {
        f"blocks.{block}.{name}": Weight(Role.HIDDEN, shape)
        for block in range(depth)
        for name, shape in shapes.items()
    }


def _causal(time: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The flat indices of what each position may look at, and a mask over what it may not."""
    query, key = torch.tril_indices(time, time, device=device)
    hidden = torch.ones(time, time, dtype=torch.bool, device=device).triu(1)
    return query * time + key, hidden


def _norm(stream: Tensor) -> Tensor:
    return functional.layer_norm(stream, stream.shape[-1:], eps=NORM_EPSILON)
