"""Laws of a checkpoint: training that goes on from a file gives the numbers of one that never left.

All comparisons are exact: on a CPU with equal threads the same operations follow.
"""

import pickle
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from muscope import catalogue
from muscope.lab import checkpoint, engine, ensemble
from muscope.lab.checkpoint import Checkpoint, Unusable
from muscope.lab.models.mlp import Mlp
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Operators
from muscope.lab.optimizers import OPTIMIZERS
from muscope.lab.snapshot import Snapshot, StackState
from muscope.recording import STATISTICS, Record
from muscope.records import StepRecord
from muscope.spec import RunSpec
from tests.lab import specs
from tests.lab.test_ensemble import stopping, sweep


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a checkpoint is written."""
    return tmp_path / "bundle.safetensors"


def assert_goes_on(
    members: Sequence[RunSpec],
    path: Path,
    *,
    after: int,
    stop: engine.Stop | None = None,
) -> list[StepRecord]:
    """Left after a step and taken up from the file, the records are those of one training."""
    whole = list(engine.train(members, stop))
    training = engine.train(members, stop)
    first = [next(training) for _ in range(after + 1)]
    Checkpoint(training.snapshot()).write(path, "")
    rest = list(engine.train(members, stop, checkpoint.read(path)))
    assert rest
    assert str([*first, *rest]) == str(whole)
    return whole


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_goes_on_where_it_was(optimizer: str, path: Path) -> None:
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    known = {option.name for option in catalogue.OPTIMIZERS[optimizer].options}
    options |= {name: 2 for name in known if name.endswith("frequency")}
    members = [
        specs.run(
            "gpt",
            optimizer=optimizer,
            options=options,
            seed=seed,
            depth=1,
            batches="fresh",
            steps=4,
        )
        for seed in range(2)
    ]
    assert_goes_on(members, path, after=1)


@pytest.mark.parametrize("record", list(STATISTICS))
@pytest.mark.parametrize("every", [1, 2])
def test_what_is_measured_is_compared_with_what_was_seen_before(
    record: Record, every: int, path: Path
) -> None:
    """Changes since step 0, contributions of frozen inputs, updates, searches, gradient norms."""
    chosen = {"record": record, "record_every": every, "held_out": 1, "gradient_norm": True}
    members = [specs.run("gpt", width=64, depth=1, steps=3, seed=seed) for seed in range(2)]
    assert_goes_on([run.model_copy(update=chosen) for run in members], path, after=1)


@pytest.mark.parametrize("precision", ["bfloat16", "fp8"])
def test_lower_precision_goes_on_too(precision: str, path: Path) -> None:
    run = specs.run("gpt", steps=4, model_options={"precision": precision})
    assert_goes_on([run.model_copy(update={"record": "full"})], path, after=1)


@pytest.mark.parametrize("after", [0, 3])
def test_stacks_of_some_members_and_shared_starts_go_on(
    after: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "_stack_size", lambda _: 2)
    members = [run.model_copy(update={"steps": 4}) for run in sweep(record="full", batches="fresh")]
    assert_goes_on(members, path, after=after)


def test_members_stepped_one_by_one_go_on_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Mlp, operators: Operators, batch: Batch) -> torch.Tensor:
        if torch._C._functorch.maybe_current_level() is not None:
            raise RuntimeError("vmap: this cannot be batched")
        return loss(self, operators, batch)

    loss = Mlp.loss
    monkeypatch.setattr(Mlp, "loss", refused)
    members = sweep(record="full")
    assert_goes_on(members, path, after=1)


@pytest.mark.parametrize("after", [4, 9])
def test_lost_members_stay_lost(after: int, path: Path) -> None:
    rates = (1e-2, 1e6, 1e-3)
    members = [
        specs.run("mlp", optimizer="sgd", learning_rate=rate, steps=12, seed=1) for rate in rates
    ]
    members = [run.model_copy(update={"record": "full"}) for run in members]
    whole = assert_goes_on(members, path, after=after)
    assert "nan" in str(whole[-1].progress[1])
    assert "nan" not in str(whole[-1].progress[0])


@pytest.mark.parametrize("after", [1, 2, 4])
def test_members_that_were_stopped_do_not_come_back(after: int, path: Path) -> None:
    members = [run.model_copy(update={"steps": 5}) for run in sweep(record="full")]
    whole = assert_goes_on(members, path, after=after, stop=stopping(2, (1, 3)))
    assert {entry.member for entry in whole[-1].progress} == {0, 2, 4}


def test_a_step_that_waits_to_be_told_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where records come one step behind."""
    on_gpu = torch.device("cuda")
    monkeypatch.setattr(engine, "device", lambda: on_gpu)
    for after in (1, 2):
        assert_goes_on(sweep(record="full", held_out=1), path, after=after)


def test_tensors_come_back_as_they_lay(path: Path) -> None:
    """Sums of the same numbers in another order or alignment end with other digits."""
    block = torch.arange(60.0).view(5, 12)
    tensors = {
        "whole": block,
        "transposed": block.mT,
        "between": block[1:, 3:9],
        "shared": block[0].expand(4, 12),
        "other": torch.zeros(3, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 2),
        "index": torch.tensor(7),
    }
    state = StackState((0,), True, {}, tensors)
    Checkpoint(Snapshot(1, (0,), (state,))).write(path, "")
    (found,) = checkpoint.read(path).stacks
    for name, of in tensors.items():
        back = found.tensors[name]
        assert (back.dtype, back.shape, back.stride()) == (of.dtype, of.shape, of.stride())
        assert back.storage_offset() == of.storage_offset()
        assert torch.equal(back, of)
    found.tensors["transposed"][0, 0] = -1.0
    assert found.tensors["shared"][3, 0] == -1.0


def test_tensors_that_share_memory_take_it_once(path: Path) -> None:
    """After an update those before it are those at the start: with gradients and moments five."""
    run = specs.run("mlp", width=256, steps=3)
    training = engine.train([run.model_copy(update={"record": "standard"})])
    next(training)
    kept = Checkpoint(training.snapshot())
    kept.write(path, "")
    (stack,) = training.snapshot().stacks
    weights = sum(of.nbytes for name, of in stack.tensors.items() if name.startswith("weights/"))
    assert 5 * weights < kept.size_bytes < 5.1 * weights  # and activations, names
    # names and a digest
    assert kept.size_bytes <= path.stat().st_size < kept.size_bytes + 2**16


@pytest.fixture
def written(path: Path) -> Path:
    """A good checkpoint, with a note."""
    training = engine.train([specs.run(steps=3)])
    next(training)
    Checkpoint(training.snapshot()).write(path, "said beside it")
    return path


def test_a_note_is_read_without_the_numbers(written: Path) -> None:
    assert checkpoint.note(written) == "said beside it"
    assert written.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("place", [0, 9, 200, -400, -1])
def test_a_byte_that_changed_is_noticed(written: Path, place: int) -> None:
    content = bytearray(written.read_bytes())
    content[place] ^= 1
    written.write_bytes(content)
    with pytest.raises(Unusable):
        checkpoint.read(written)


@pytest.mark.parametrize("left", [0, 4, 100, -1])
def test_a_file_that_was_cut_off_is_noticed(written: Path, left: int) -> None:
    written.write_bytes(written.read_bytes()[:left])
    with pytest.raises(Unusable):
        checkpoint.read(written)


class Hostile:
    """What a pickle would do when it is loaded."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.witness,)


def test_a_pickle_is_refused_and_never_loaded(path: Path, tmp_path: Path) -> None:
    witness = tmp_path / "it ran"
    for write in (
        lambda: path.write_bytes(pickle.dumps(Hostile(witness))),
        lambda: torch.save({"header": Hostile(witness)}, path),
    ):
        write()
        for read in (checkpoint.read, checkpoint.note):
            with pytest.raises(Unusable, match="cannot be read"):
                read(path)
    assert not witness.exists()


def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"0": torch.zeros(3)}, path)
    with pytest.raises(Unusable, match="it has no digest, header, note"):
        checkpoint.read(path)


def test_a_tensor_that_no_machine_could_hold_is_refused(path: Path) -> None:
    """It repeats one number, and would be written out by the first step."""
    tensors = {"weights/readout": torch.zeros(1).expand(2**50)}
    Checkpoint(Snapshot(1, (0,), (StackState((0,), True, {}, tensors),))).write(path, "")
    with pytest.raises(Unusable, match="larger than this machine's memory"):
        checkpoint.read(path)


def test_the_state_of_another_model_is_refused(written: Path) -> None:
    kept = checkpoint.read(written)
    with pytest.raises(ValueError, match="has the shape"):
        engine.train([specs.run(steps=3, width=64)], None, kept)


def test_what_cannot_be_written_leaves_the_file_that_was_there(written: Path) -> None:
    """The operating system refuses to write on, as it does when a disk is full."""
    before = written.read_bytes()
    training = engine.train([specs.run(steps=3, width=256)])
    next(training)
    kept, limits = Checkpoint(training.snapshot()), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            kept.write(written, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_before_the_first_record_there_is_nothing_to_keep() -> None:
    with pytest.raises(ValueError, match="before the first record"):
        engine.train([specs.run()]).snapshot()
