"""A recipe as Python: parameter groups, first values and multipliers for any nn.Module.

What stands below the tables is the same in every export: `pytorch_snippet.txt`, beside this file.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from muscope.catalogue import OPTIMIZERS, PARAMETRIZATION_ENTRIES, WeightKind
from muscope.recipe import words
from muscope.recipe.lines import Line, lines
from muscope.recipe.types import NotARecipe, Recipe, TensorRecipe
from muscope.theory import symmetry
from muscope.theory.rule import WeightRule
from muscope.vocabulary import DecayForm, Role

SNIPPET = Path(__file__).with_name("pytorch_snippet.txt")
OPEN_ENDED = {Role.EMBEDDING: "fan_out", Role.OUTPUT: "fan_in"}
"""Roles of which one dimension does not grow: a vocabulary may be another one."""

_CLASSES = {
    "adamw": "torch.optim.AdamW(groups, betas=({beta1}, {beta2}))",
    "adamw_independent": "torch.optim.AdamW(groups, betas=({beta1}, {beta2}))",
    "adam": "torch.optim.Adam(groups, betas=({beta1}, {beta2}))",
    "sgd": "torch.optim.SGD(groups, momentum={momentum})",
    "muon": "torch.optim.Muon(groups, momentum={momentum}, nesterov={nesterov})",
    "muon_match_rms": "torch.optim.Muon(groups, momentum={momentum}, nesterov={nesterov}, "
    'adjust_lr_fn="match_rms_adamw")',
}
"""The optimizers that PyTorch has, as it is called there; the numbers are options of ours."""


INDEPENDENT = (
    " Weight decay is that of PyTorch's AdamW which shrinks as much per step at the peak; there it "
    "follows the schedule, in the study it did not."
)


def export(recipe: Recipe) -> str:
    """A module that is run as it is; what a reader may change stands on top."""
    found = lines(recipe)
    tensors = {line.name: _numbers(line, recipe) for line in found}
    names = {line.name: _parameter_name(line) for line in found}
    parts = (
        f"{words.comment(recipe, _usage(recipe))}\nimport functools\nimport re\n\nimport torch",
        f"WIDTH, DEPTH = {recipe.width}, {recipe.depth}",
        *_forward(recipe),
        f"TENSORS = {_table(found, tensors)}",
        "# To change: how your model calls each weight; * stands for the number of its block.\n"
        f"NAMES = {_pretty(names)}",
        "# To change: what your model has and the study's had not, by name or pattern, such as\n"
        '# {"blocks.*.norm.weight": {"start": 1.0, "std": 0.0, "lr": 1e-3, "weight_decay": 0.0,\n# '
        f'"multiplier": 1.0, "optimizer": {recipe.optimizer.name!r}}}}}.\nOTHERS = {{}}',
        _readouts(recipe),
        _classes(recipe),
        SNIPPET.read_text(encoding="utf-8"),
    )
    return "\n\n".join(parts)


def _numbers(line: Line, recipe: Recipe) -> dict[str, object]:
    tensor = line.tensor
    if tensor.kind in (WeightKind.BIAS, WeightKind.GAIN):
        tensor = _folded(tensor, recipe)
    grows = OPEN_ENDED.get(tensor.role)
    epsilon = {} if tensor.epsilon is None else {"eps": tensor.epsilon}
    return {
        "count": line.count,
        "size": getattr(tensor, grows) if grows else tensor.shape[0] * tensor.shape[1],
        "is_open": grows is not None,
        "start": tensor.start,
        "std": tensor.init_std,
        "multiplier": 1.0 if _has_own_operators(recipe) else tensor.multiplier,
        "lr": tensor.learning_rate,
        "weight_decay": _decay(tensor),
        **epsilon,
        "optimizer": tensor.optimizer,
    }


def _folded(tensor: TensorRecipe, recipe: Recipe) -> TensorRecipe:
    """The same training without a multiplier (docs/facts.md, section 1): a bias has no input."""
    if tensor.multiplier == 1:
        return tensor
    entry = OPTIMIZERS[tensor.optimizer]
    form = entry.decay if tensor.weight_decay else DecayForm.COUPLED
    family = entry.family_of(tensor.role, recipe.optimizer.options)
    rule = WeightRule(
        multiplier=tensor.multiplier,
        init_std=tensor.init_std,
        learning_rate_factor=tensor.learning_rate,
        weight_decay_factor=tensor.weight_decay,
        epsilon_factor=tensor.epsilon or 1.0,
    )
    try:
        same = symmetry.transform(rule, 1 / tensor.multiplier, family, form)
    except ValueError as error:
        raise NotARecipe(
            f"{tensor.name} has a multiplier, for which PyTorch has no place: {error}"
        ) from error
    return tensor.model_copy(
        update={
            "start": tensor.start * tensor.multiplier,
            "init_std": same.init_std,
            "multiplier": 1.0,
            "learning_rate": same.learning_rate_factor,
            "weight_decay": same.weight_decay_factor,
            "epsilon": None if tensor.epsilon is None else same.epsilon_factor,
        }
    )


def _decay(tensor: TensorRecipe) -> float:
    """As PyTorch means it: its AdamW multiplies by the group's rate what ours does not."""
    if OPTIMIZERS[tensor.optimizer].decay is DecayForm.INDEPENDENT:
        return tensor.weight_decay / tensor.learning_rate
    return tensor.weight_decay


def _has_own_operators(recipe: Recipe) -> bool:
    entry = PARAMETRIZATION_ENTRIES[recipe.parametrization.name]
    return entry.operators == "unit_scaled"


def _parameter_name(line: Line) -> str:
    """As a plain module with the catalogue's names would call it."""
    if line.tensor.kind is WeightKind.BIAS:
        return line.name
    return f"{line.name.removesuffix('.gain')}.weight"


def _forward(recipe: Recipe) -> Iterator[str]:
    """Numbers of the forward that no parameter has."""
    if recipe.attention_scale is not None:
        yield (
            "# q·k is multiplied by this: scaled_dot_product_attention(…, scale=ATTENTION_SCALE).\n"
            f"ATTENTION_SCALE = {recipe.attention_scale!r}"
        )
    if recipe.residual_multiplier is not None:
        yield (
            "# Every branch is multiplied by this: x = x + BRANCH_MULTIPLIER * branch(norm(x)).\n"
            f"BRANCH_MULTIPLIER = {recipe.residual_multiplier!r}"
        )
    if recipe.operator_scales:
        yield (
            "# The operators are u-µP's: build with unit-scaling's modules, which have the\n"
            "# multipliers and these scales inside, backward scales too; no hook adds them.\n"
            f"OPERATOR_SCALES = {_pretty(recipe.operator_scales)}"
        )


def _readouts(recipe: Recipe) -> str:
    found = {} if recipe.tied_multiplier is None else {"readout": recipe.tied_multiplier}
    return (
        "# To change: the module that makes the logits of a tied embedding, with its multiplier.\n"
        f"READOUTS = {found!r}"
    )


def _classes(recipe: Recipe) -> str:
    """The optimizers as PyTorch has them; of the others what the study gave them."""
    names = dict.fromkeys(tensor.optimizer for tensor in recipe.tensors)
    known = {name: _CLASSES[name] for name in names if name in _CLASSES}
    rows = [
        f'    "{name}": lambda groups: {call.format(**recipe.optimizer.options)},'
        for name, call in known.items()
    ]
    options = ", ".join(f"{name} {value}" for name, value in recipe.optimizer.options.items())
    told = f"# {recipe.optimizer.name} had {options}."
    return "\n".join((*textwrap.wrap(told, 96, subsequent_indent="# "), "CLASSES = {", *rows, "}"))


def _usage(recipe: Recipe) -> str:
    lacking = [t.optimizer for t in recipe.tensors if t.optimizer not in _CLASSES]
    classes = f', classes={{"{lacking[0]}": YourOptimizer}}' if lacking else ""
    independent = recipe.optimizer.name == "adamw_independent"
    return (
        "\nHow to use it, once NAMES has your model's names:\n"
        f"    model = YourModel(...)  # of width {recipe.width} and depth {recipe.depth}\n"
        f"    trainers = use(model, seed=0{classes})  # first values, multipliers, optimizers\n"
        "The learning rates are peaks: a schedule multiplies all groups by one factor (LambdaLR) "
        "and never sets an absolute rate, or their ratios are lost."
        + (INDEPENDENT if independent else "")
    )


def _table(found: Sequence[Line], tensors: Mapping[str, Mapping[str, object]]) -> str:
    """A few lines for each weight, under the line of the rule table that they are from."""
    rows = []
    for line in found:
        numbers = " ".join(f"{key}={value!r}," for key, value in tensors[line.name].items())
        rule = textwrap.wrap(line.tensor.rule, 88)
        inside = [*(f"# {part}" for part in rule), *textwrap.wrap(numbers, 90)]
        shown = "".join(f"        {row}\n" for row in inside)
        rows.append(f"    {line.name!r}: dict(\n{shown}    ),\n")
    return f"{{\n{''.join(rows)}}}"


def _pretty(value: Mapping[str, object]) -> str:
    """An entry per line, to be changed one by one."""
    return "{\n" + "".join(f"    {key!r}: {one!r},\n" for key, one in value.items()) + "}"
