"""A recipe as a configuration of Cerebras' modelzoo, with the µP keys of its guide.

The keys scale initializers and learning rates by themselves (docs/facts.md 2.6), so what is
written are the numbers of the base model, found by undoing that.
"""

import math

import yaml

from muscope.recipe import cerebras_keys, language_model, read_back, words
from muscope.recipe.language_model import LanguageModel
from muscope.recipe.types import Recipe

NAME = "Cerebras"
INSTEAD = "make a study with parametrization 'cerebras' and adamw, which is what its keys say"
ADVICE = f"{INSTEAD}, or take the format pytorch or json"
NONLINEARITIES = ("gelu", "relu", "silu", "swiglu")
NOTES = (
    "For the modelzoo's GPT models (GPT2LMHeadModel) from release 2.3 on: merge it into your "
    "trainer's configuration. Initializers are normal, as in the study; truncated at two "
    "standard deviations they would start 12 % smaller. The learning rate is the peak; put your "
    "warm-up and decay around it, as factors."
)
GAINS = "The modelzoo's norms have trainable gains and biases; the study's norms had none."


def export(recipe: Recipe) -> str:
    """YAML whose keys, read as their documentation says, give every number of the recipe."""
    if recipe.optimizer.name != "adamw":
        raise language_model.no_key(NAME, recipe.optimizer.title, INSTEAD)
    model = LanguageModel.of(recipe, NAME)
    _refuse_what_has_no_key(model)
    document = {
        "trainer": {
            "init": {
                "model": _model(recipe, model),
                "optimizer": _optimizer(recipe, model),
                "schedulers": [{"ConstantLR": {"learning_rate": _base_rate(recipe)}}],
            }
        }
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    read_back.check(recipe, cerebras_keys.read(text), framework=NAME, advice=ADVICE)
    notes = NOTES if model.gains == "vector" else f"{NOTES} {GAINS}"
    return words.comment(recipe, "", notes) + text


def _refuse_what_has_no_key(model: LanguageModel) -> None:
    if not model.norm_first:
        raise language_model.no_key(NAME, "norms after the sum", "set norm_placement to 'pre'")
    if model.nonlinearity not in NONLINEARITIES:
        raise language_model.no_key(
            NAME, f"the nonlinearity {model.nonlinearity!r}", "take gelu, relu, silu or swiglu"
        )
    if model.gains == "scalar":
        raise language_model.no_key(
            NAME, "norms with one gain for all channels", "set norm_gains to 'none' or 'vector'"
        )


def _is_mup(recipe: Recipe) -> bool:
    """SP has no base model; with base dimensions the keys would scale it."""
    return recipe.parametrization.name != "sp"


def _model(recipe: Recipe, model: LanguageModel) -> dict[str, object]:
    return {
        "hidden_size": model.hidden_size,
        "filter_size": model.filter_size,
        "num_hidden_layers": model.layers,
        "num_heads": model.heads,
        **_attention_module(model),
        "vocab_size": model.vocabulary,
        "max_position_embeddings": model.length,
        "position_embedding_type": "learned" if model.learned_positions else "rotary",
        **({} if model.learned_positions else {"rotary_dim": model.head_size}),
        "share_embedding_weights": model.tied,
        "norm_type": model.norm,
        "nonlinearity": model.nonlinearity,
        "use_projection_bias_in_attention": model.biases,
        "use_ffn_bias_in_attention": model.biases,
        "use_ffn_bias": model.biases,
        "attention_type": "scaled_dot_product",
        **_initializers(recipe, model),
        **_mup(recipe, model),
    }


def _attention_module(model: LanguageModel) -> dict[str, object]:
    if model.key_heads == model.heads:
        return {}
    return {
        "attention_module": "multiquery_attention",
        "extra_attention_params": {"num_kv_groups": model.key_heads},
    }


def _initializers(recipe: Recipe, model: LanguageModel) -> dict[str, object]:
    """The base model's stds: those that the keys scale are divided by their scale."""
    m_hidden, m_filter, blocks = _scales(recipe, model)

    def normal(name: str, scale: float) -> dict[str, object]:
        return {"name": "normal", "mean": 0.0, "std": recipe.tensor(name).init_std * scale}

    return {
        "embedding_initializer": normal("embedding.token", 1.0),
        "initializer": normal("blocks.0.attn.q", math.sqrt(m_hidden)),
        "ffn_initializer": normal("blocks.0.mlp.up", math.sqrt(m_hidden)),
        "output_layer_initializer": normal("blocks.0.attn.o", math.sqrt(m_hidden * blocks)),
        "ffn_output_layer_initializer": normal("blocks.0.mlp.down", math.sqrt(m_filter * blocks)),
        **({} if model.tied else {"initializer_range": recipe.tensor("readout").init_std}),
    }


def _scales(recipe: Recipe, model: LanguageModel) -> tuple[float, float, int]:
    """(m of the hidden size, m of the filter size, twice the layers); 1 where nothing is scaled."""
    if not _is_mup(recipe):
        return 1.0, 1.0, 1
    m = recipe.width / recipe.base_width
    return m, m, 2 * model.layers


def _mup(recipe: Recipe, model: LanguageModel) -> dict[str, object]:
    by_d = _is_mup(recipe) and bool(recipe.parametrization.options.get("scale_qk_dot_by_d", True))
    d = float(model.head_size) if by_d else math.sqrt(model.head_size)
    attention = {
        "scale_qk_dot_by_d": by_d,
        "attention_logits_alpha": (recipe.attention_scale or 0.0) * d,
    }
    scale = recipe.tensor("embedding.token").multiplier
    if not _is_mup(recipe):
        return {**attention, "embeddings_scale": scale}
    logits_by_d = bool(recipe.parametrization.options.get("scale_output_logits_by_d", True))
    m = recipe.width / recipe.base_width
    return {
        "mup_base_hidden_size": recipe.base_width,
        "mup_base_filter_size": model.filter_size // model.hidden_size * recipe.base_width,
        **attention,
        "scale_output_logits_by_d": logits_by_d,
        "embeddings_scale": scale,
        "output_logits_alpha": _logits(recipe) * (m if logits_by_d else math.sqrt(m)),
    }


def _logits(recipe: Recipe) -> float:
    if recipe.tied_multiplier is not None:
        return recipe.tied_multiplier
    return recipe.tensor("readout").multiplier


def _base_rate(recipe: Recipe) -> float:
    """What is in no group: the readout's; of tied embeddings the embedding's own."""
    tied = recipe.tied_multiplier is not None
    return recipe.tensor("embedding.token" if tied else "readout").learning_rate


def _optimizer(recipe: Recipe, model: LanguageModel) -> dict[str, object]:
    options, token = recipe.optimizer.options, recipe.tensor("embedding.token")
    overrides = _overrides(recipe, model)
    return {
        **({"adjust_learning_rate": overrides} if overrides else {}),
        "AdamW": {
            "betas": [float(options["beta1"]), float(options["beta2"])],
            "eps": token.epsilon,
            "weight_decay": token.weight_decay,
            "correct_bias": True,
        },
    }


def _overrides(recipe: Recipe, model: LanguageModel) -> dict[str, float]:
    """The groups whose factor is not the one that the base dimensions give them."""
    m_hidden, m_filter, _ = _scales(recipe, model)
    groups = {
        "embedding": ("embedding.token", 1.0),
        "decoder_attention": ("blocks.0.attn.q", 1 / m_hidden),
        "decoder_input_ffn": ("blocks.0.mlp.up", 1 / m_hidden),
        "decoder_output_ffn": ("blocks.0.mlp.down", 1 / m_filter),
    }
    found = {
        group: (recipe.tensor(name).learning_rate / _base_rate(recipe), scale)
        for group, (name, scale) in groups.items()
    }
    return {
        group: factor
        for group, (factor, scale) in found.items()
        if not math.isclose(factor, scale, rel_tol=read_back.SAME)
    }
