"""Cerebras-GPT's µP, with the keys of Cerebras' modelzoo (Dey et al. 2023, Table 14)."""

import math

from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Table 14; weight decay and epsilon are not scaled there (docs/facts.md 2.6)."""
    return WeightRule(
        multiplier=_multiplier(dims, options),
        init_std=_init_std(dims, float(options["base_std"])),
        learning_rate_factor=_rate(dims, options),
        weight_decay_factor=1.0,
        epsilon_factor=1.0,
    )


# modelzoo's learning-rate groups, by the first words of a part: `adjust_learning_rate` overrides
# the factor of one. Biases and norms are in none of them.
_GROUP = {
    "attention": "decoder_attention",
    "mlp.up": "decoder_input_ffn",
    "mlp.gate": "decoder_input_ffn",
    "mlp.down": "decoder_output_ffn",
}


def _rate(dims: WeightDims, options: Switches) -> float:
    """1/m if hidden (of the feed-forward's last matrix: the ratio of filters), or the override."""
    if dims.role is not Role.HIDDEN:
        return 1.0
    groups = (group for part, group in _GROUP.items() if dims.part.startswith(part))
    override = next((float(options[group]) for group in groups), 0.0)
    return override or 1 / dims.m_in


def _multiplier(dims: WeightDims, options: Switches) -> float:
    """m_emb on the embeddings' sum; alpha / m, or alpha / sqrt(m), on the logits."""
    match dims.role:
        case Role.EMBEDDING:
            return float(options["embeddings_scale"])
        case Role.OUTPUT:
            m = dims.m_in if options["scale_output_logits_by_d"] else math.sqrt(dims.m_in)
            return float(options["output_logits_alpha"]) / m
        case _:
            return 1.0


def _init_std(dims: WeightDims, base_std: float) -> float:
    """sigma; sigma / sqrt(m) if hidden; sigma / sqrt(2 m L) if it writes into the stream."""
    if dims.role is not Role.HIDDEN:
        return base_std
    blocks = 2 * dims.depth if dims.writes_stream else 1
    return base_std / math.sqrt(dims.m_in * blocks)


def formulas(options: Switches) -> dict[Role, str]:
    """The rows of Table 14, with this study's alpha and scale."""
    m = "m" if options["scale_output_logits_by_d"] else "√m"
    sigma = f"{options['base_std']:g}"
    return {
        Role.EMBEDDING: f"A = {options['embeddings_scale']:g}, B = {sigma}, C = 1",
        Role.HIDDEN: f"A = 1, B = {sigma}/√m, {sigma}/√(2 m depth) if it writes, C = 1/m",
        Role.OUTPUT: f"A = {options['output_logits_alpha']:g}/{m}, B = {sigma}, C = 1",
        Role.VECTOR: "A = 1, B = 0, C = 1",
    }


def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """alpha / d with `scale_qk_dot_by_d`, as the tools ship it; the paper prints 1 / sqrt(d)."""
    d = head_size if options["scale_qk_dot_by_d"] else math.sqrt(head_size)
    return float(options["attention_logits_alpha"]) / d


CEREBRAS = Parametrization(
    name="cerebras",
    title="Cerebras-GPT µP",
    source="Dey et al. 2023 (Cerebras-GPT), Table 14; Cerebras/modelzoo f1fd1e0",
    families=(UpdateFamily.SIGN_LIKE,),
    table=table,
    formulas=formulas,
    attention_scale=attention_scale,
)
