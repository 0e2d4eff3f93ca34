"""What the keys of nanotron mean, as its code reads them: a reader of its configurations.

(huggingface/nanotron 2411b02, scaling/parametrization.py and helpers.py; docs/facts.md 2.5.)
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from muscope.recipe.read_back import ReadModel, ReadWeight


@dataclass(frozen=True, slots=True)
class _Config:
    """The sections of a configuration."""

    model: Mapping[str, Any]
    init: Mapping[str, Any]
    optimizer: Mapping[str, Any]

    @property
    def is_mup(self) -> bool:
        """Whether nanotron's own rule is on."""
        return bool(self.init.get("use_mup"))

    @property
    def head_size(self) -> int:
        """Elements of an attention head."""
        return int(self.model["hidden_size"] // self.model["num_attention_heads"])


def read(text: str) -> ReadModel:
    """The model that a configuration makes, in the catalogue's names; ValueError if it is none."""
    try:
        document = yaml.safe_load(text)
        model, optimizer = document["model"], document["optimizer"]
        config = _Config(model["model_config"], model["init_method"], optimizer)
        d = config.head_size
        return ReadModel(
            weights=tuple(_weights(config)),
            attention_scale=1 / d if config.is_mup else 1 / math.sqrt(d),
            logits=1.0,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no configuration of nanotron: {error} is missing") from error


def _weights(config: _Config) -> Iterator[ReadWeight]:
    model = config.model
    n, vocabulary = model["hidden_size"], model["vocab_size"]
    std = 1.0 if config.is_mup else float(config.init["std"])
    yield _weight(config, "embedding.token", (vocabulary, n), std=std)
    for number in range(model["num_hidden_layers"]):
        yield from _block(config, f"blocks.{number}")
    yield _weight(config, "norm.gain", (n, 1), std=0.0)
    if not model["tie_word_embeddings"]:
        yield _linear(config, "readout", (vocabulary, n), stored_rows=vocabulary)


def _block(config: _Config, block: str) -> Iterator[ReadWeight]:
    model = config.model
    n, hidden = model["hidden_size"], model["intermediate_size"]
    keys = config.head_size * model["num_key_value_heads"]
    yield _weight(config, f"{block}.attn.norm.gain", (n, 1), std=0.0)
    for name, rows in (("q", n), ("k", keys), ("v", keys)):  # stored as one matrix
        yield _linear(config, f"{block}.attn.{name}", (rows, n), stored_rows=n + 2 * keys)
    yield _linear(config, f"{block}.attn.o", (n, n), stored_rows=n, is_row=True)
    yield _weight(config, f"{block}.mlp.norm.gain", (n, 1), std=0.0)
    for name in ("up", "gate"):
        yield _linear(config, f"{block}.mlp.{name}", (hidden, n), stored_rows=2 * hidden)
    yield _linear(config, f"{block}.mlp.down", (n, hidden), stored_rows=n, is_row=True)


def _linear(
    config: _Config,
    name: str,
    shape: tuple[int, int],
    *,
    stored_rows: int,
    is_row: bool = False,
) -> ReadWeight:
    """A column- or row-parallel layer: the spectral rule, or one std, by sqrt(2 layers) in rows."""
    fan_in = shape[1]
    if config.is_mup:
        ratio = stored_rows / fan_in
        std = min(1.0, math.sqrt(ratio)) / math.sqrt(fan_in)
        return _weight(config, name, shape, std=std, factor=ratio)
    layers = config.model["num_hidden_layers"]
    std = float(config.init["std"]) / (math.sqrt(2 * layers) if is_row else 1.0)
    return _weight(config, name, shape, std=std)


def _weight(
    config: _Config, name: str, shape: tuple[int, int], *, std: float, factor: float = 1.0
) -> ReadWeight:
    rate = float(config.optimizer["learning_rate_scheduler"]["learning_rate"])
    return ReadWeight(
        name=name,
        shape=shape,
        init_std=std,
        multiplier=1.0,
        learning_rate=rate * factor,
        weight_decay=float(config.optimizer["weight_decay"]),
        epsilon=float(config.optimizer["optimizer_factory"]["adam_eps"]),
    )
