"""A recipe as a configuration of huggingface/nanotron: its own µP, or one std for all."""

import yaml

from muscope.recipe import language_model, nanotron_keys, read_back, words
from muscope.recipe.language_model import LanguageModel
from muscope.recipe.types import NotARecipe, Recipe

NAME = "nanotron"
RULES = ("nanotron", "sp")
INSTEAD = (
    "make a study of the model 'llama' with parametrization 'nanotron' and fused_projections, as "
    "its use_mup does it, or with 'sp' and init 'gpt2', its one std"
)
ADVICE = f"{INSTEAD}, or take the format pytorch or json"
WARNING = (
    "WARNING: nanotron's own rule differs from every published µP. With use_mup it multiplies "
    "every learning rate by fan_out / fan_in, whatever the optimizer: that is the rule of SGD. "
    "With AdamW a square matrix keeps the base rate at every width, so that its output moves in "
    "proportion to the width, as under SP; nanotron's own page reports losses that blew up at "
    "1 B and 8 B parameters (docs/facts.md 2.5). Weight decay and epsilon are not scaled. Its "
    "scheduler takes every group to the same absolute min_decay_lr, so that the ratios between "
    "groups are lost in the decay."
)
SP_WARNING = (
    "WARNING: nanotron's own µP (use_mup) is off here, and differs from the published ones where "
    "it is on; this is SP, with one std and one learning rate for all."
)
GAINS = "nanotron's norms have trainable gains; the study's norms had none."


def export(recipe: Recipe) -> str:
    """YAML whose keys, as nanotron's code reads them, give every number of the recipe."""
    if recipe.optimizer.name != "adamw":
        raise language_model.no_key(NAME, recipe.optimizer.title, "take adamw")
    model = LanguageModel.of(recipe, NAME)
    _refuse_what_is_no_llama(model)
    if recipe.parametrization.name not in RULES:
        rules = f"the rules of {recipe.parametrization.title}"
        raise language_model.no_key(NAME, rules, INSTEAD)
    is_mup = recipe.parametrization.name != "sp"
    document = {
        "model": {
            "init_method": {"use_mup": True}
            if is_mup
            else {"std": recipe.tensor("embedding.token").init_std},
            "model_config": _model(model),
        },
        "optimizer": _optimizer(recipe),
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    read_back.check(recipe, nanotron_keys.read(text), framework=NAME, advice=ADVICE)
    notes = [WARNING if is_mup else SP_WARNING, *([] if model.gains == "vector" else [GAINS])]
    return words.comment(recipe, "", *notes) + text


def _refuse_what_is_no_llama(model: LanguageModel) -> None:
    is_llama = model.gated and model.norm == "rmsnorm" and not model.learned_positions
    if not is_llama or model.biases or not model.norm_first or model.gains == "scalar":
        raise NotARecipe(
            f"{NAME}'s configuration is that of a Llama (RMSNorm before each branch, rotations, "
            f"SwiGLU, no biases), and the study's model is something else; {ADVICE}"
        )


def _model(model: LanguageModel) -> dict[str, object]:
    return {
        "is_llama_config": True,
        "hidden_act": "silu",
        "hidden_size": model.hidden_size,
        "intermediate_size": model.filter_size,
        "max_position_embeddings": model.length,
        "num_attention_heads": model.heads,
        "num_hidden_layers": model.layers,
        "num_key_value_heads": model.key_heads,
        "tie_word_embeddings": model.tied,
        "vocab_size": model.vocabulary,
    }


def _optimizer(recipe: Recipe) -> dict[str, object]:
    options, token = recipe.optimizer.options, recipe.tensor("embedding.token")
    return {
        "learning_rate_scheduler": {"learning_rate": token.learning_rate},
        "optimizer_factory": {
            "name": "adamW",
            "adam_beta1": float(options["beta1"]),
            "adam_beta2": float(options["beta2"]),
            "adam_eps": token.epsilon,
            "torch_adam_is_fused": True,
        },
        "weight_decay": token.weight_decay,
    }
