"""A torch model in somebody's loop is measured from outside, and the loop does not notice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import muscope
from muscope.recorder import spool
from muscope.vocabulary import Role


class Small(nn.Module):
    """Embedding, a normalized hidden layer with dropout, readout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, width)
        self.hidden = nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.readout = nn.Linear(width, 11, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.norm(torch.relu(self.hidden(self.embed(tokens))))
        out: Tensor = self.readout(self.drop(hidden))
        return out


def build(width: int) -> nn.Module:
    return Small(width)


TOKENS = torch.arange(11)


def loss_of(model: nn.Module) -> Tensor:
    return cross_entropy(model(TOKENS), TOKENS.flip(0))


class Recordings(Protocol):
    """Makes recorders that are closed with the test."""

    def __call__(self, **how: object) -> muscope.Recorder: ...


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recordings]:
    """Recorders whose server is away: what they hold stays in their buffer."""
    made: list[muscope.Recorder] = []

    def make(**how: object) -> muscope.Recorder:
        options = {"url": "http://127.0.0.1:9", "token": "t", "width": 16, "spool": tmp_path}
        made.append(muscope.Recorder("watched", **(options | how)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for recorder in made:
        recorder.close(timeout_s=0)


def train(recorder: muscope.Recorder | None, steps: int, **watch: object) -> list[float]:
    """A loop with dropout and batch norm; its losses."""
    torch.manual_seed(0)
    model = build(16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if recorder is not None:
        recorder.watch(model, **watch)  # type: ignore[arg-type]
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if recorder is not None:
            recorder.step(loss)
    return losses


@dataclass(frozen=True)
class Held:
    """A row as it stands in the spool."""

    step: int
    name: str
    role: str
    values: dict[str, float]


def held(recorder: muscope.Recorder, folder: Path) -> list[Held]:
    """What a recorder has written, after it was closed."""
    recorder.close(timeout_s=0)
    found = []
    for path in spool.orphans(folder):
        kept = spool.Spool.adopt(path)
        assert kept is not None
        batches = [json.loads(line.body) for line in kept.lines() if line.tag == spool.BATCH]
        for batch in batches:
            lines = batch["tensors"]
            for row in batch["rows"]:
                line = lines[row["tensor"]]
                found.append(Held(row["step"], line["name"], line["role"], row["values"]))
        kept.release()
    return found


@pytest.mark.parametrize("watch", [{"probe": loss_of}, {}], ids=["probe", "the loop's forward"])
def test_watching_changes_nothing_in_the_loop(
    recording: Recordings, watch: dict[str, object]
) -> None:
    assert train(recording(), 4, **watch) == train(None, 4)


def test_a_probe_gives_sizes_and_changes_at_the_steps_that_are_recorded(
    recording: Recordings, tmp_path: Path
) -> None:
    recorder = recording(every=2)
    train(recorder, 5, probe=loss_of)
    rows = [row for row in held(recorder, tmp_path) if row.name == "hidden"]
    assert [row.step for row in rows] == [0, 2, 4]
    assert ["change" in row.values for row in rows] == [False, True, True]
    assert rows[1].values["change"] > 0


def test_what_is_measured_is_what_the_model_makes(recording: Recordings, tmp_path: Path) -> None:
    recorder = recording()
    torch.manual_seed(0)
    model = build(16)
    recorder.watch(model, probe=loss_of)
    (row,) = [row for row in held(recorder, tmp_path) if row.name == "embed"]
    expected = model.get_parameter("embed.weight").abs().mean()
    # float32, 176 terms
    assert row.values["l1"] == pytest.approx(float(expected.detach()), rel=1e-5)


ROLES = {"embed": Role.EMBEDDING, "hidden": Role.HIDDEN, "readout": Role.OUTPUT}


@pytest.mark.parametrize(
    "watch",
    [{"probe": loss_of}, {"probe": loss_of, "build": build, "build_at": (8, 16)}, {}],
    ids=["guessed", "inferred", "guessed from the loop"],
)
def test_roles_are_found(recording: Recordings, tmp_path: Path, watch: dict[str, object]) -> None:
    recorder = recording()
    train(recorder, 2, **watch)
    found = {row.name: row.role for row in held(recorder, tmp_path)}
    assert {name: found[name] for name in ROLES} == ROLES


def test_roles_that_are_given_overrule(recording: Recordings, tmp_path: Path) -> None:
    recorder = recording(roles={"hid*": "residual"})
    train(recorder, 1, probe=loss_of)
    assert {row.role for row in held(recorder, tmp_path) if row.name == "hidden"} == {Role.RESIDUAL}


def test_the_loop_s_own_forwards_have_sizes_only(recording: Recordings, tmp_path: Path) -> None:
    recorder = recording()
    train(recorder, 3)
    rows = [row for row in held(recorder, tmp_path) if row.name == "readout"]
    assert [row.step for row in rows] == [0, 1, 2]
    assert {name for row in rows for name in row.values} == {"l1", "rms"}


def test_a_probe_that_raises_is_told_at_once_and_later_only_logged(
    recording: Recordings, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(at: int) -> Callable[[nn.Module], Tensor]:
        calls = []

        def probe(model: nn.Module) -> Tensor:
            calls.append(1)
            if len(calls) > at:
                raise RuntimeError("no batch left")
            return loss_of(model)

        return probe

    with pytest.raises(RuntimeError, match="no batch left"):
        train(recording(), 1, probe=raising(0))
    train(recording(), 4, probe=raising(3))
    said = [record.message for record in caplog.records if "no batch left" in record.message]
    assert len(said) == 1


def test_the_optimizer_says_what_theory_needs(recording: Recordings, tmp_path: Path) -> None:
    recorder = recording()
    model = build(16)
    recorder.watch(model, probe=loss_of, optimizer=torch.optim.AdamW(model.parameters()))
    assert set(recorder._opening.variant.optimizers.values()) == {"adamw"}
