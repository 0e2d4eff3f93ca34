"""Every optimizer agrees with its original over 20 steps and keeps the laws of optimizers."""

from pathlib import Path

import pytest
import torch

from muscope import catalogue
from muscope.catalogue import Options
from muscope.lab.optimizers import OPTIMIZERS, build
from muscope.lab.optimizers.optimizer import State
from muscope.lab.parametrize import rules
from muscope.vocabulary import Role, UpdateFamily
from tests.lab.optimizers.stepping import Member, normal, options_of, resumed, stepped
from tests.lab.optimizers.table import CASES, MEMBERS, Case, largest_difference
from tests.lab.specs import run

TAKES_ALL_SIZES = [
    name
    for name, entry in catalogue.OPTIMIZERS.items()
    if entry.family is not UpdateFamily.SGD_LIKE and name != "sophia"  # unless it clips
]


def defaults(name: str) -> Options:
    return options_of(name, {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_twenty_steps_equal_those_of_the_original(case: Case) -> None:
    assert largest_difference(case) <= case.tolerance


def test_every_optimizer_of_the_catalogue_can_be_stepped_and_has_a_row() -> None:
    assert set(OPTIMIZERS) == set(catalogue.OPTIMIZERS)
    assert set(OPTIMIZERS) == {case.name for case in CASES}


def test_every_original_has_its_row_in_the_docs() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/parity.md").read_text()
    assert [c.id for c in CASES if f"| {c.name} | {c.title} |" not in text] == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_quadratic_decreases(name: str) -> None:
    target = normal(1, 6, 6, seed=1)
    weight = start = normal(1, 6, 6)
    member, state = Member(0.05, 1e-8, 0.0), OPTIMIZERS[name](defaults(name)).start(start)
    for step in range(60):
        weight, state = resumed(
            name, defaults(name), (member,), weight, [weight - target], state=state, done=step
        )
    assert (weight - target).square().sum() < 0.5 * (start - target).square().sum()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_copied_state_goes_on_as_the_original_does(name: str) -> None:
    gradients = [normal(2, 5, 7, seed=step) for step in range(1, 7)]
    state: State = OPTIMIZERS[name](defaults(name)).start(normal(2, 5, 7))
    weight, state = resumed(
        name, defaults(name), MEMBERS, normal(2, 5, 7), gradients[:3], state=state, done=0
    )
    copied = tuple(part.clone() for part in state)
    for kept in (state, copied, state):  # twice from the same state: nothing was written into it
        end, _ = resumed(name, defaults(name), MEMBERS, weight, gradients[3:], state=kept, done=3)
        whole = stepped(name, defaults(name), MEMBERS, normal(2, 5, 7), gradients)
        assert torch.equal(end, whole)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_leaves_its_arguments_alone(name: str) -> None:
    start, gradient = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    stepped(name, defaults(name), MEMBERS, start, [gradient] * 3)
    assert torch.equal(start, normal(2, 3, 4))
    assert torch.equal(gradient, normal(2, 3, 4, seed=1))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_member_does_not_notice_that_it_is_stacked(name: str) -> None:
    # Square: of a singular matrix SOAP's eigenvectors are arbitrary where the eigenvalue is zero.
    start = normal(2, 6, 6)
    gradients = [normal(2, 6, 6, seed=step) for step in range(1, 6)]
    together = stepped(name, defaults(name), MEMBERS, start, gradients)
    for i, member in enumerate(MEMBERS):
        alone = stepped(name, defaults(name), (member,), start[[i]], [g[[i]] for g in gradients])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-9, atol=1e-9)  # float64


@pytest.mark.parametrize("name", TAKES_ALL_SIZES)
def test_the_size_of_the_gradient_cancels_up_to_epsilon(name: str) -> None:
    start, member = normal(1, 6, 6), (Member(1e-2, 1e-30, 0.0),)
    gradients = [normal(1, 6, 6, seed=step) for step in range(1, 9)]
    small = stepped(name, defaults(name), member, start, gradients)
    large = stepped(name, defaults(name), member, start, [1e3 * g for g in gradients])
    torch.testing.assert_close(small, large, rtol=1e-9, atol=1e-9)  # float64
    assert not torch.equal(small, start)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_zero_moves_nothing(name: str) -> None:
    start, member = normal(1, 4, 5), (Member(1e-2, 1e-8, 0.0),)
    end = stepped(name, defaults(name), member, start, [torch.zeros_like(start)] * 3)
    assert torch.equal(end, start)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_weight_of_zero_can_move(name: str) -> None:
    start, member = torch.zeros(1, 4, 5, dtype=torch.float64), (Member(1e-2, 1e-8, 0.0),)
    end = stepped(name, defaults(name), member, start, [normal(1, 4, 5)] * 3)
    assert torch.isfinite(end).all()
    assert (end != 0).all()


@pytest.mark.parametrize(
    "name", [name for name, entry in catalogue.OPTIMIZERS.items() if entry.fallback]
)
def test_an_optimizer_of_matrices_leaves_what_is_not_hidden_to_another(name: str) -> None:
    entry = catalogue.OPTIMIZERS[name]
    for role in (Role.EMBEDDING, Role.OUTPUT, Role.VECTOR):
        assert type(build(name, defaults(name), role)) is OPTIMIZERS["adamw"]
        assert entry.family_of(role) is UpdateFamily.SIGN_LIKE
    assert type(build(name, defaults(name), Role.HIDDEN)) is OPTIMIZERS[name]
    assert entry.family_of(Role.HIDDEN) is entry.family


def test_soap_takes_the_rule_of_another_family_for_hidden_weights_if_asked() -> None:
    entry = catalogue.OPTIMIZERS["soap"]
    assert entry.family_of(Role.HIDDEN, {"family": "orthogonal_rms"}) is UpdateFamily.ORTHOGONAL_RMS
    assert entry.family_of(Role.HIDDEN, defaults("soap")) is UpdateFamily.ORTHOGONAL
    assert entry.family_of(Role.OUTPUT, {"family": "orthogonal"}) is UpdateFamily.SIGN_LIKE
    rates = [
        rules(run(optimizer="soap", options={"family": family}))["hidden.0"].learning_rate_factor
        for family in ("orthogonal", "orthogonal_rms", "sign_like")
    ]
    assert rates == pytest.approx([1, 2**-0.5, 1 / 2])  # at twice the base width
