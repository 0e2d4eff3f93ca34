"""What the keys of Cerebras' modelzoo mean, as documented: a reader of its configurations.

(Cerebras' µP guide; modelzoo f1fd1e0, models/nlp/gpt2/gpt2_model.py; docs/facts.md 2.6.)
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from muscope.recipe.read_back import ReadModel, ReadWeight

DEFAULTS: Mapping[str, Any] = {
    "share_embedding_weights": True,
    "embeddings_scale": 1.0,
    "attention_logits_alpha": 1.0,
    "scale_output_logits_by_d": True,
    "use_projection_bias_in_attention": True,
    "use_ffn_bias_in_attention": True,
    "use_ffn_bias": True,
    "initializer_range": 0.02,
    "position_embedding_type": "learned",
    "nonlinearity": "gelu",
}


@dataclass(frozen=True, slots=True)
class _Config:
    """The sections of a configuration, with defaults."""

    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    learning_rate: float

    @property
    def m_hidden(self) -> float:
        """The hidden size over the base's; presence of the base is what turns µP on."""
        base = self.model.get("mup_base_hidden_size")
        return self.model["hidden_size"] / base if base else 1.0

    @property
    def m_filter(self) -> float:
        """The filter size over the base's."""
        base = self.model.get("mup_base_filter_size")
        return self.model["filter_size"] / base if base else 1.0

    @property
    def is_mup(self) -> bool:
        """Whether base dimensions are given."""
        return bool(self.model.get("mup_base_hidden_size"))

    @property
    def depth_scale(self) -> float:
        """(2 layers)^-1/2 on what writes into the residual stream, in a µP run."""
        return float((2 * self.model["num_hidden_layers"]) ** -0.5) if self.is_mup else 1.0

    def std(self, key: str, fallback: str = "") -> float:
        """The std of an initializer before it is scaled."""
        found = self.model.get(key) or self.model.get(fallback)
        return float(found["std"]) if found else float(self.model["initializer_range"])

    def factor(self, group: str, automatic: float) -> float:
        """The learning-rate factor of a group, which `adjust_learning_rate` may override."""
        return float(self.optimizer.get("adjust_learning_rate", {}).get(group, automatic))


def read(text: str) -> ReadModel:
    """The model that a configuration makes, in the catalogue's names; ValueError if it is none."""
    try:
        init = yaml.safe_load(text)["trainer"]["init"]
        rate = float(init["schedulers"][0]["ConstantLR"]["learning_rate"])
        return _model(_Config({**DEFAULTS, **init["model"]}, init["optimizer"], rate))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no configuration of a Cerebras trainer: {error} is missing") from error


def _model(config: _Config) -> ReadModel:
    model = config.model
    head = model["hidden_size"] / model["num_heads"]
    by_d = model.get("scale_qk_dot_by_d")
    by_d = config.is_mup if by_d is None else by_d
    logits = _logits(config)
    return ReadModel(
        weights=tuple(_weights(config, logits)),
        attention_scale=model["attention_logits_alpha"] / (head if by_d else math.sqrt(head)),
        logits=logits,
    )


def _logits(config: _Config) -> float:
    """output_logits_alpha over m, or over sqrt(m); 1 without base dimensions."""
    if not config.is_mup:
        return 1.0
    alpha = float(config.model.get("output_logits_alpha") or 1.0)
    by_d = config.model["scale_output_logits_by_d"]
    return alpha / (config.m_hidden if by_d else math.sqrt(config.m_hidden))


def _weights(config: _Config, logits: float) -> Iterator[ReadWeight]:
    model = config.model
    n, vocabulary = model["hidden_size"], model["vocab_size"]
    embedding = {
        "std": config.std("embedding_initializer"),
        "multiplier": float(model["embeddings_scale"]),
        "factor": config.factor("embedding", 1.0),
    }
    yield _weight(config, "embedding.token", (vocabulary, n), **embedding)
    if model["position_embedding_type"] == "learned":
        rows = model["max_position_embeddings"]
        yield _weight(config, "embedding.position", (rows, n), **embedding)
    for number in range(model["num_hidden_layers"]):
        yield from _block(config, f"blocks.{number}")
    yield _weight(config, "norm.gain", (n, 1), std=0.0)
    if not model["share_embedding_weights"]:
        std = float(model["initializer_range"])
        yield _weight(config, "readout", (vocabulary, n), std=std, multiplier=logits)


def _block(config: _Config, block: str) -> Iterator[ReadWeight]:
    model = config.model
    n, hidden, heads = model["hidden_size"], model["filter_size"], model["num_heads"]
    groups = model.get("extra_attention_params", {}).get("num_kv_groups", heads)
    keys = n // heads * groups
    width = config.m_hidden**-0.5
    attention = config.factor("decoder_attention", 1 / config.m_hidden)
    inside = config.factor("decoder_input_ffn", 1 / config.m_hidden)
    out = config.factor("decoder_output_ffn", 1 / config.m_filter)
    yield _weight(config, f"{block}.attn.norm.gain", (n, 1), std=0.0)
    for name, rows in (("q", n), ("k", keys), ("v", keys)):
        std = config.std("initializer") * width
        yield _weight(config, f"{block}.attn.{name}", (rows, n), std=std, factor=attention)
        yield from _bias(config, f"{block}.attn.{name}", rows, "use_projection_bias_in_attention")
    std = config.std("output_layer_initializer") * width * config.depth_scale
    yield _weight(config, f"{block}.attn.o", (n, n), std=std, factor=attention)
    yield from _bias(config, f"{block}.attn.o", n, "use_ffn_bias_in_attention")
    yield _weight(config, f"{block}.mlp.norm.gain", (n, 1), std=0.0)
    for name in ("up", "gate") if model["nonlinearity"] == "swiglu" else ("up",):
        std = config.std("ffn_initializer", "initializer") * width
        yield _weight(config, f"{block}.mlp.{name}", (hidden, n), std=std, factor=inside)
        yield from _bias(config, f"{block}.mlp.{name}", hidden, "use_ffn_bias")
    # with a base filter size it is never that of attention's output
    fallback = "" if model.get("mup_base_filter_size") else "output_layer_initializer"
    std = config.std("ffn_output_layer_initializer", fallback) * config.m_filter**-0.5
    std *= config.depth_scale if fallback == "" else 1.0
    yield _weight(config, f"{block}.mlp.down", (n, hidden), std=std, factor=out)
    yield from _bias(config, f"{block}.mlp.down", n, "use_ffn_bias")


def _bias(config: _Config, of: str, rows: int, switch: str) -> Iterator[ReadWeight]:
    if config.model[switch]:
        yield _weight(config, f"{of}.bias", (rows, 1), std=0.0)


def _weight(
    config: _Config,
    name: str,
    shape: tuple[int, int],
    *,
    std: float,
    multiplier: float = 1.0,
    factor: float = 1.0,
) -> ReadWeight:
    adam = config.optimizer["AdamW"]
    return ReadWeight(
        name=name,
        shape=shape,
        init_std=std,
        multiplier=multiplier,
        learning_rate=config.learning_rate * factor,
        weight_decay=float(adam["weight_decay"]),
        epsilon=float(adam["eps"]),
    )
