"""A user's own model: loads the file, builds at several sizes, reads plain facts off the result."""

import contextlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from muscope.lab import own_optimizer, own_parameters
from muscope.lab.own import conduct
from muscope.lab.own.conduct import PrintsForEver
from muscope.own_model.facts import Built, Parameter, pooled

ENOUGH = 2000
"""Values of a random tensor after which its std is known to 1.6 %; smaller ones are built again."""

MOST_BUILDS = 8
CHEAP = 20_000_000
"""Elements up to which a model is built again for the sake of its small tensors."""

LONGEST = 300
"""Characters of an exception of the user's code that a sentence repeats."""

_file_numbers = itertools.count()


class OwnModelError(ValueError):
    """The user's file or function cannot be used; its cause, if any, is the user's exception."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function in a file: `my_model.py:build`."""

    path: Path
    function: str

    @classmethod
    def of(cls, text: str) -> "Target":
        """`FILE.py:FUNCTION`; without a function it is `build`."""
        path, colon, function = text.rpartition(":")
        if not colon or function.endswith(".py"):
            path, function = text, "build"
        if not function.isidentifier():
            raise OwnModelError(f"{text!r} is not FILE.py:FUNCTION, such as my_model.py:build")
        return cls(Path(path), function)


@dataclass(frozen=True, slots=True)
class OwnFile:
    """What a user's file defines: what builds the model, and perhaps its batch and its loss."""

    build: Callable[..., object]
    batch: Callable[..., object] | None = None
    loss: Callable[..., object] | None = None


def load(target: Target) -> Callable[..., object]:
    """The function of the user's file, which is executed; its folder can be imported from."""
    return _function(_module(target.path), target)


def open_file(target: Target) -> OwnFile:
    """The function of the user's file with its functions `batch` and `loss`, if it has them."""
    module = _module(target.path)
    build = _function(module, target)
    return OwnFile(build, _beside(module, "batch"), _beside(module, "loss"))


def _beside(module: ModuleType, name: str) -> Callable[..., object] | None:
    """A function of that name; a number called batch, or a loss module, is something else."""
    value = getattr(module, name, None)
    return value if callable(value) and not isinstance(value, nn.Module | type) else None


def _function(module: ModuleType, target: Target) -> Callable[..., object]:
    function = getattr(module, target.function, None)
    if function is None:
        names = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        has = f"it has {', '.join(names)}" if names else "it has no function at all"
        raise OwnModelError(f"{target.path} has no function {target.function!r}; {has}")
    if not callable(function):
        raise OwnModelError(f"{target.function!r} of {target.path} is not a function")
    return function  # type: ignore[no-any-return]  # callable, as was just seen


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        raise OwnModelError(f"there is no file {path}")
    name = f"muscope_own_model_{next(_file_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OwnModelError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with users_code(f"{path} cannot be imported"):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def users_code(what: str) -> Iterator[None]:
    """The user's code may print, exit or raise anything: stdout is ours, and one sentence is."""
    try:
        with conduct.behaved():
            yield
    except OwnModelError:
        raise
    except PrintsForEver as error:
        raise OwnModelError(f"{what}: {error}") from error
    except SystemExit as error:
        raise OwnModelError(f"{what}: it ended the program (exit {error.code})") from error
    except Exception as error:
        kind, line = type(error).__name__, said(error).partition("\n")[0][:LONGEST]
        raise OwnModelError(f"{what}: {kind}: {line}" if line else f"{what}: {kind}") from error


def said(error: BaseException) -> str:
    """What an exception says of itself; nothing where that raises too, as the user's own may."""
    try:
        return str(error).strip()
    except Exception:
        return ""


def build_all(
    build: Callable[..., object],
    widths: Sequence[int],
    depth: int | None,
    tell: Callable[[str], None],
) -> list[Built]:
    """The facts of the model at every width; OwnModelError where they cannot be compared."""
    models = []
    for number, width in enumerate(widths, start=1):
        tell(f"building at {size_in_words(width, depth)} ({number} of {len(widths)})")
        models.append(built(build, width, depth))
    comparable(models)
    return models


def built(build: Callable[..., object], width: int, depth: int | None) -> Built:
    """The facts at one size, its small random tensors measured over several builds."""
    first = built_once(build, width, depth, seed=0)
    others = [
        built_once(build, width, depth, seed=seed).by_name() for seed in range(1, _builds(first))
    ]
    parameters = tuple(_over(parameter, others) for parameter in first.parameters)
    return replace(first, parameters=parameters)


def _builds(model: Built) -> int:
    """As many builds as the smallest random tensor needs, if building is cheap."""
    random = [p.values.count for p in model.parameters if not p.values.is_constant]
    if not random or sum(random) > CHEAP:
        return 1
    return min(MOST_BUILDS, -(-ENOUGH // min(random)))


def _over(parameter: Parameter, others: Sequence[dict[str, Parameter]]) -> Parameter:
    again = [table[parameter.name].values for table in others if parameter.name in table]
    return replace(parameter, values=pooled((parameter.values, *again)))


def model(
    build: Callable[..., object], width: int, depth: int | None, *, seed: int
) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
    """The module and its optimizers at one size, with that seed."""
    size = size_in_words(width, depth)
    torch.manual_seed(seed)
    with users_code(f"build raised at {size}"):
        made = build(width) if depth is None else build(*_with_depth(build, width, depth))
    return parts(made, size)


def built_once(
    build: Callable[..., object], width: int, depth: int | None, *, seed: int = 0
) -> Built:
    """The facts at one size, of a single build."""
    size = size_in_words(width, depth)
    module, optimizers = model(build, width, depth, seed=seed)
    with users_code(f"the model at {size} cannot be read"):
        steppings, strangers = own_optimizer.steppings(module, optimizers)
        parameters = own_parameters.read(module, steppings)
    if not parameters:
        raise OwnModelError(f"the model at {size} has no parameters")
    return Built(width, depth, parameters, bool(optimizers), strangers)


def _with_depth(build: Callable[..., object], width: int, depth: int) -> tuple[int, int]:
    try:
        inspect.signature(build).bind(width, depth)
    except TypeError as error:
        raise OwnModelError("build takes no depth: define build(width, depth=None)") from error
    return width, depth


def parts(made: object, size: str) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
    """(module, optimizers) of what build returned: a module, or one with its optimizer or list."""
    module, held = made if isinstance(made, tuple) and len(made) == 2 else (made, [])
    optimizers: list[Any] = list(held) if isinstance(held, list | tuple) else [held]
    if not isinstance(module, nn.Module) or not all(map(_is_optimizer, optimizers)):
        raise OwnModelError(
            f"build returned {_kind(made)} at {size}; it must return an nn.Module, or "
            "(module, optimizer)"
        )
    # what torch.compile wraps is the module that its names are about
    return getattr(module, "_orig_mod", module), optimizers


def _is_optimizer(value: object) -> bool:
    """Some optimizers do not inherit from torch's; the groups are what is read."""
    return isinstance(getattr(value, "param_groups", None), list)


def _kind(made: object) -> str:
    if isinstance(made, tuple):
        return f"({', '.join(type(part).__name__ for part in made)})"
    return type(made).__name__


def comparable(models: Sequence[Built]) -> None:
    """OwnModelError where models of several widths differ in more than shapes, or not in them."""
    first, *others = models
    for other in others:
        _same_names(first, other)
    shapes = [[parameter.shape for parameter in model.parameters] for model in models]
    if all(shape == shapes[0] for shape in shapes):
        widths = " and ".join(str(model.width) for model in models)
        raise OwnModelError(f"build ignores width: every parameter has the same shape at {widths}")


def _same_names(one: Built, other: Built) -> None:
    mine, theirs = one.by_name(), other.by_name()
    different = sorted(mine.keys() ^ theirs.keys())
    if different:
        shown = ", ".join(different[:3]) + (", …" if len(different) > 3 else "")
        raise OwnModelError(
            f"the parameters at {size_in_words(one.width, one.depth)} and "
            f"{size_in_words(other.width, other.depth)} have different names ({shown}): only their "
            "shapes may depend on width"
        )
    for name, parameter in mine.items():
        if len(parameter.shape) != len(theirs[name].shape):
            raise OwnModelError(
                f"{name} has {len(parameter.shape)} dimensions at width {one.width} and "
                f"{len(theirs[name].shape)} at width {other.width}"
            )
    if one.has_optimizer is not other.has_optimizer:
        raise OwnModelError("build returns an optimizer at some widths only")


def size_in_words(width: int, depth: int | None) -> str:
    """`width 64, depth 2`."""
    return f"width {width}" if depth is None else f"width {width}, depth {depth}"
