"""What `muscope audit` does: load, build, infer roles, compare, print."""

import json
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from muscope import catalogue
from muscope.catalogue.rules import Choice
from muscope.catalogue.written import choice_of
from muscope.cli import preflight, terminal
from muscope.cli.audit_view import AuditView
from muscope.cli.preflight import Refusal
from muscope.own_model import OwnRole, infer, roles_file
from muscope.verdicts import audit as auditor

if TYPE_CHECKING:
    from muscope.own_model import Built

CLEAN, DEVIATES = 0, 1


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked on the command line."""

    target: str
    parametrization: str
    optimizer: str | None
    learning_rate: float | None
    width: int
    base_width: int
    depth: int | None
    base_depth: int | None
    roles: Path | None
    write_roles: Path | None

    @property
    def widths(self) -> list[int]:
        """Base, twice the base, and the audited one last; where that is the base, twice of it."""
        last = self.width if self.width != self.base_width else 2 * self.base_width
        middle = {2 * self.base_width} - {last}
        return [self.base_width, *middle, last]


def run(question: Question, *, as_json: bool, strict: bool) -> int:
    """Audit a model, print what was found, and give the exit code."""
    choice = _choice(question)
    models, shallow = _built(question)
    roles = _roles(question, models)
    try:
        found = auditor.audit(models, roles, choice, question.optimizer, shallow)
    except ValueError as error:
        raise Refusal(str(error)) from error
    view = AuditView(question.target, choice, models, found, question.learning_rate)
    if as_json:
        print(json.dumps(view.data(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        terminal.console().print(view)
    counting = found.findings if strict else found.deviations
    return DEVIATES if counting else CLEAN


def print_traceback(refusal: Refusal) -> None:
    """Where the user's code raised, if that is what happened."""
    error: BaseException | None = refusal
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    if error is not refusal:
        traceback.print_exception(error, file=sys.stderr)


def _choice(question: Question) -> Choice:
    if question.base_depth is not None and question.depth in (None, question.base_depth):
        raise Refusal("--base-depth needs a --depth that is another one")
    if question.optimizer is not None and question.optimizer not in catalogue.OPTIMIZERS:
        names = ", ".join(catalogue.OPTIMIZERS)
        raise Refusal(f"unknown optimizer {question.optimizer!r}; allowed: {names}")
    try:
        return choice_of(question.parametrization)
    except ValueError as error:
        raise Refusal(str(error)) from error


def _built(question: Question) -> "tuple[list[Built], Built | None]":
    """(the model at every width, the model of the base width at the base depth if asked for)."""
    preflight.torch_is_installed()
    print("loading torch", file=sys.stderr)
    # several seconds, and only after everything else that was asked for is possible
    from muscope.lab import own_model

    try:
        build = own_model.load(own_model.Target.of(question.target))
        models = own_model.build_all(build, question.widths, question.depth, _tell)
        if question.base_depth is None:
            return models, None
        _tell(f"building at depth {question.base_depth}")
        return models, own_model.built(build, question.base_width, question.base_depth)
    except own_model.OwnModelError as error:
        raise Refusal(str(error)) from error


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _roles(question: Question, models: "list[Built]") -> dict[str, OwnRole]:
    names = [parameter.name for parameter in models[0].parameters]
    try:
        given = roles_file.read(question.roles, names) if question.roles else {}
        roles = infer(models, given)
        if question.write_roles:
            roles_file.write(question.write_roles, roles)
            _tell(f"wrote {question.write_roles}")
    except (OSError, ValueError) as error:
        raise Refusal(str(error)) from error
    return roles
