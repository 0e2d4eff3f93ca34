"""Before the first step: every size built, roles inferred, rules read, one forward looked at."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psutil

from muscope.lab import cgroup, own_model
from muscope.lab.own import data, inspection, rule, training
from muscope.lab.own.data import Task
from muscope.lab.own.rule import OwnRule
from muscope.lab.own_model import OwnModelError, size_in_words
from muscope.own_check.making import in_words, made
from muscope.own_check.question import Failure, OwnQuestion, Prepared, Sized
from muscope.own_check.variant import variant
from muscope.own_model import Built, OwnRole, infer
from muscope.own_model.tensors import Activations, activations
from muscope.verdicts.audit import wiring
from muscope.verdicts.audit.finding import Quantity

COPIES = 4
"""Of the weights: themselves, gradients, and two moments of Adam."""

Tell = Callable[[str], None]


def prepare(question: OwnQuestion, tell: Tell) -> Prepared:
    """Build at every size and look at one forward; OwnModelError where nothing can be judged."""
    failures: list[Failure] = []
    at_depth = {depth: _built(question, depth, failures, tell) for depth in question.depths}
    some = next(iter(at_depth.values()))
    narrow = some[min(some)]
    _has_a_stepper(question, narrow)
    task = data.task(question.file, narrow)
    sizes = tuple(
        _sized(question, task, depth, built, failures) for depth, built in at_depth.items()
    )
    seeds, notes = _seeds(question, min(some))
    notes += [note for sized in sizes[:1] for note in sized.activations.notes]
    notes += _about_optimizers(question, narrow) + _about_attention(question, sizes)
    if task.assumed:
        notes.insert(0, f"there is no function loss(model, batch); {task.assumed}")
    return Prepared(
        question=question,
        task=task,
        sizes=sizes,
        variant=variant(question, narrow, sizes),
        seeds=seeds,
        notes=notes,
        failures=failures,
    )


def _built(
    question: OwnQuestion, depth: int | None, failures: list[Failure], tell: Tell
) -> dict[int, Built]:
    """The facts at every width that can be built; at least two, or OwnModelError."""
    found: dict[int, Built] = {}
    errors = []
    for number, width in enumerate(question.widths, start=1):
        size = size_in_words(width, depth)
        tell(f"building at {size} ({number} of {len(question.widths)})")
        try:
            _fits(found, width, size)
            found[width] = own_model.built_once(question.file.build, width, depth)
        except OwnModelError as error:
            errors.append(Failure(width, depth, in_words(error, size), error))
    if len(found) < 2:
        raise errors[0].error if errors else OwnModelError("a slope needs two widths at least")
    failures.extend(errors)
    own_model.comparable(list(found.values()))
    return found


def _fits(found: Mapping[int, Built], width: int, size: str) -> None:
    """Refuse what this machine cannot hold, by what the widest so far needs."""
    if not found:
        return
    widest = max(found)
    numbers = sum(parameter.size for parameter in found[widest].parameters)
    needed = COPIES * 4 * numbers * max(1.0, width / widest) ** 2
    free = min(psutil.virtual_memory().available, cgroup.free_bytes() or math.inf)
    if needed > free:
        raise OwnModelError(
            f"{size} would need about {needed / 2**30:.1f} GiB for weights, gradients and "
            f"optimizer, and {free / 2**30:.1f} GiB are free"
        )


def _has_a_stepper(question: OwnQuestion, built: Built) -> None:
    if question.recipe is None and not built.has_optimizer:
        raise OwnModelError(
            "build returns no optimizer: let it return (module, optimizer) as your training makes "
            "them, or name one: --optimizer adamw --lr 3e-3, with --parametrize mup if a rule "
            "should set first values and rates"
        )
    if question.recipe is None and not any(one.steppings for one in built.parameters):
        raise OwnModelError(
            "the optimizer that build returns holds no parameter of the model: was it built for "
            "another one, or before its parameters were replaced?"
        )


def _about_optimizers(question: OwnQuestion, built: Built) -> list[str]:
    """What is wrong with the optimizers of the code, as far as they are used."""
    if question.recipe is not None:
        return []
    found = wiring.findings([built])
    return [f"{one.where}: {one.found}" for one in found if one.quantity is Quantity.OPTIMIZER]


def _sized(
    question: OwnQuestion,
    task: Task,
    depth: int | None,
    built: Mapping[int, Built],
    failures: list[Failure],
) -> Sized:
    """Roles of the parameters, then those of the activations that two forwards show."""
    models = list(built.values())
    names = [parameter.name for parameter in models[0].parameters]
    roles = infer(models, question.given(names, ()) if question.given else {})
    rules = _rules(question, built, roles)
    sized = Sized(depth, built, roles, rules, Activations(()))
    sights = []
    for width in sorted(built):
        try:
            model, _ = made(question, sized, width, seed=0)
            with own_model.users_code("the forward raised"):
                sights.append(inspection.look(model, task.loss, width))
        except OwnModelError as error:
            size = size_in_words(width, depth)
            failures.append(Failure(width, depth, in_words(error, size), error))
        if len(sights) == 2:
            break
    if len(sights) < 2:
        raise failures[-1].error
    found = activations(sights, roles, models[0])
    if question.given:
        shown = [tensor.name for tensor in found.tensors]
        found = activations(sights, roles, models[0], question.given(names, shown))
    lost = {failure.width for failure in failures if failure.depth == depth}
    kept = {width: model for width, model in built.items() if width not in lost}
    return replace(sized, built=kept, activations=found)


def _rules(
    question: OwnQuestion, built: Mapping[int, Built], roles: Mapping[str, OwnRole]
) -> dict[int, dict[str, OwnRule]]:
    if question.recipe is None:
        return {}
    base = built[min(built)]
    base_depth = question.depths[0]
    try:
        return {
            width: rule.rules(question.recipe, model, base, roles, base_depth)
            for width, model in built.items()
        }
    except ValueError as error:
        raise OwnModelError(str(error)) from error


def _seeds(question: OwnQuestion, width: int) -> tuple[int, list[str]]:
    """(seeds that are worth running, what is worth saying of them)."""
    depth = question.depths[0]
    first, again, other = (
        own_model.model(question.file.build, width, depth, seed=seed)[0] for seed in (0, 0, 1)
    )
    if not training.same_start([first, again]):
        return question.seeds, [
            "build is not deterministic: with one seed it made two different models, so that no "
            "run can be repeated"
        ]
    starts_by_rule = question.recipe is not None and question.recipe.choice is not None
    if question.seeds > 1 and not starts_by_rule and training.same_start([first, other]):
        return 1, [
            "build makes the same model whatever the seed: it seeds itself or starts from "
            "constants, so one seed is run, and there are no intervals"
        ]
    return question.seeds, []


def _about_attention(question: OwnQuestion, sizes: Sequence[Sized]) -> list[str]:
    """The scale of q.k is in the forward, which a rule cannot reach from outside."""
    choice = question.recipe.choice if question.recipe else None
    if choice is None or not any(sized.activations.heads_grow for sized in sizes):
        return []
    narrow, wide = (choice.theory.attention_scale(size, 64, choice.complete) for size in (64, 256))
    if math.isclose(wide / narrow, 0.5):
        return []
    return [
        f"the size of a head grows with the width, and {choice.theory.title} wants q·k multiplied "
        "by 1/d: the forward is yours, so see that it does"
    ]
