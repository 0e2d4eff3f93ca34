"""An exported snippet, executed as a reader would, beside the engine that made the study."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from muscope import plan
from muscope.lab import data, engine, parametrize
from muscope.lab.models.model import Batch
from muscope.recipe import Format, Recipe, export
from muscope.spec import RunSpec, StudySpec

STEPS = 3


def namespace(text: str) -> dict[str, Any]:
    """What the snippet defines."""
    names: dict[str, Any] = {}
    exec(compile(text, "recipe.py", "exec"), names)
    return names


def run_of(spec: StudySpec, found: Recipe) -> RunSpec:
    """The run of the study's largest width, at the rate of the recipe."""
    given = spec.variants[0].optimizer.learning_rate
    octave = math.log2(found.rate.learning_rate / given)
    run = next(run for run in plan.runs(spec) if run.width == spec.widths[-1] and run.seed == 0)
    return run.model_copy(update={"octave": octave, "steps": STEPS})


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """Of a model that makes logits."""
    return functional.cross_entropy(model(batch.inputs).flatten(0, -2), batch.targets.flatten())


def both_train(
    spec: StudySpec,
    found: Recipe,
    build: Callable[[RunSpec], nn.Module],
    loss_of: Callable[[nn.Module, Batch], Tensor] = cross_entropy,
) -> tuple[list[float], list[float]]:
    """(losses of the engine, losses of a model with the snippet) from the same first values."""
    run = run_of(spec, found)
    wanted = [record.progress[0].train_loss for record in engine.train([run])]
    snippet, model = namespace(export(found, Format.PYTORCH)), build(run)
    trainers = snippet["use"](model)
    _start_as(run, model, snippet)
    losses = []
    for step in range(run.steps + 1):
        loss = loss_of(model, data.fresh(run.model, step=step, seed=run.seed))
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for trainer in trainers:
            trainer.step()
    return wanted, losses


def _start_as(run: RunSpec, model: nn.Module, snippet: dict[str, Any]) -> None:
    """The engine's draws in place of the snippet's, which have the same std."""
    rules, lines = parametrize.rules(run), snippet["lines_of"](model)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for entry in plan.weights(run):
            name = entry.name if entry.name.endswith(".bias") else f"{entry.name}.weight"
            values = parametrize.initial(entry, rules[entry.name], seed=run.seed)
            assert lines[name]["std"] == rules[entry.name].init_std
            parameters[name].copy_(values.view_as(parameters[name]))
