"""Snapshots as files: safetensors, which can hold numbers and text and nothing that is executed.

What is written is the memory of the tensors, each piece once, and how each tensor lies in it: sums
and products of the same numbers in another layout round differently. A digest covers all of it.
"""

import math
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from muscope.lab import environment
from muscope.lab.ensemble import is_out_of_memory
from muscope.lab.environment import device
from muscope.lab.snapshot import Columns, Snapshot, StackState, Waiting
from muscope.vocabulary import Statistic, TensorKind

_TYPES = {
    str(dtype): dtype
    for dtype in (
        torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn,
        torch.float8_e5m2, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
        torch.bool,
    )
}  # fmt: skip


class Unusable(ValueError):
    """A file that nothing can go on from, with the reason."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _View(_Plain):
    """A tensor: which piece of memory, and where and how it lies in it."""

    piece: int
    type: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Stack(_Plain):
    places: tuple[int, ...]
    is_together: bool
    memory: dict[str, int]
    tensors: dict[str, _View]


class _Columns(_Plain):
    kind: TensorKind
    tensor: str
    statistics: tuple[Statistic, ...]
    plugged: tuple[str, ...]


class _Waiting(_Plain):
    step: int
    places: tuple[int, ...]
    columns: tuple[_Columns, ...]
    table: _View


class _Header(_Plain):
    """All but the numbers; `on_device` says of each piece whether it was the device's memory."""

    format: Literal[1] = 1
    step: int
    left: tuple[int, ...]
    stacks: tuple[_Stack, ...]
    waiting: tuple[_Waiting, ...]
    on_device: tuple[bool, ...]


class _Pieces:
    """The pieces of memory behind tensors, in the order in which they are met."""

    def __init__(self) -> None:
        self.found: list[Tensor] = []
        self.on_device: list[bool] = []
        self._numbers: dict[int, int] = {}

    def view(self, of: Tensor) -> _View:
        """The words for a tensor, whose piece is taken in."""
        if str(of.dtype) not in _TYPES:
            raise TypeError(f"a checkpoint has no place for tensors of the type {of.dtype}")
        storage = of.untyped_storage()
        at = storage.data_ptr()
        if at not in self._numbers or not at:
            self._numbers[at] = len(self.found)
            self.found.append(torch.empty(0, dtype=torch.uint8, device=of.device).set_(storage))
            self.on_device.append(of.device.type != "cpu")
        return _View(
            piece=self._numbers[at],
            type=str(of.dtype),
            offset=int(of.storage_offset()),
            shape=tuple(of.shape),
            strides=tuple(of.stride()),
        )


class Checkpoint:
    """A snapshot ready to be written; `size_bytes` is about what its file takes."""

    def __init__(self, training: Snapshot) -> None:
        pieces = _Pieces()
        stacks = tuple(_stack(stack, pieces) for stack in training.stacks)
        waiting = tuple(_waiting(one, pieces) for one in training.waiting)
        self._header = _Header(
            step=training.step,
            left=training.left,
            stacks=stacks,
            waiting=waiting,
            on_device=tuple(pieces.on_device),
        ).model_dump_json()
        self._pieces = pieces.found
        self.size_bytes = len(self._header) + sum(piece.numel() for piece in self._pieces)

    def write(self, path: Path, note: str) -> None:
        """Replace the file by this one with a note, all at once; raise OSError if it cannot be.

        A process that ends on the way leaves the old file, and beside it a part that nobody reads.
        """
        pieces = [piece.cpu() for piece in self._pieces]
        told = {"header": self._header, "note": note, "digest": _digest(self._header, note, pieces)}
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            # it writes a file of its own, which it then renames, to be read by its owner only
            save_file({str(place): piece for place, piece in enumerate(pieces)}, part, told)
            _to_disk(part)
            part.replace(path)
            _to_disk(path.parent)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        finally:
            part.unlink(missing_ok=True)


def note(path: Path) -> str:
    """What was written beside the numbers, of which none is read; raise Unusable."""
    return _told(path)["note"]


def read(path: Path) -> Snapshot:
    """The snapshot of a file, on the device; raise Unusable where it is not whole.

    Where memory does not last, torch's own error comes through.
    """
    told = _told(path)
    try:
        header = _Header.model_validate_json(told["header"])
        pieces = _read(path, len(header.on_device))
        if _digest(told["header"], told["note"], pieces) != told["digest"]:
            raise Unusable("its numbers are not those that were written")
        return _snapshot(header, pieces)
    except Unusable:  # a ValueError too
        raise
    except (SafetensorError, OSError) as error:
        raise Unusable(f"it cannot be read: {error}") from error
    except ValidationError as error:
        raise Unusable(f"its header has {error.error_count()} faults") from error
    except (IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error):  # which says nothing against the file
            raise
        raise Unusable(f"its header does not fit its numbers: {error}") from error


def _told(path: Path) -> Mapping[str, str]:
    """The text of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            found = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise Unusable(f"it cannot be read: {error}") from error
    if lacking := {"header", "note", "digest"} - found.keys():
        raise Unusable(f"it has no {', '.join(sorted(lacking))}")
    return found


def _read(path: Path, count: int) -> list[Tensor]:
    """Every piece in memory of its own, which begins where torch's own does."""
    with safe_open(path, framework="pt", backend="pread") as file:
        found = []
        for place in range(count):
            piece = file.get_tensor(str(place))
            found.append(torch.empty(piece.shape, dtype=torch.uint8).copy_(piece))
    return found


def _digest(header: str, note: str, pieces: Sequence[Tensor]) -> str:
    found = sha256()
    for text in (header, note):
        found.update(f"{len(text)} {text}".encode())
    for piece in pieces:
        found.update(piece.numpy().data)
    return found.hexdigest()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stack(kept: StackState, pieces: _Pieces) -> _Stack:
    return _Stack(
        places=kept.places,
        is_together=kept.is_together,
        memory=dict(kept.memory),
        tensors={path: pieces.view(of) for path, of in kept.tensors.items()},
    )


def _waiting(kept: Waiting, pieces: _Pieces) -> _Waiting:
    columns = tuple(
        _Columns(kind=of.kind, tensor=of.tensor, statistics=of.statistics, plugged=of.plugged)
        for of in kept.columns
    )
    table = pieces.view(kept.table)
    return _Waiting(step=kept.step, places=kept.places, columns=columns, table=table)


def _snapshot(header: _Header, pieces: Sequence[Tensor]) -> Snapshot:
    there = [
        piece.to(device()) if is_there else piece
        for piece, is_there in zip(pieces, header.on_device, strict=True)
    ]
    return Snapshot(
        step=header.step,
        left=header.left,
        stacks=tuple(
            StackState(
                stack.places,
                stack.is_together,
                stack.memory,
                {path: _tensor(view, there) for path, view in stack.tensors.items()},
            )
            for stack in header.stacks
        ),
        waiting=tuple(
            Waiting(
                one.step,
                one.places,
                tuple(Columns(of.kind, of.tensor, of.statistics, of.plugged) for of in one.columns),
                _tensor(one.table, there),
            )
            for one in header.waiting
        ),
    )


def _tensor(view: _View, pieces: Sequence[Tensor]) -> Tensor:
    piece, dtype = pieces[view.piece], _TYPES[view.type]
    # what repeats a piece is as large as what training made of it
    if math.prod(view.shape) * dtype.itemsize > environment.describe().memory_bytes:
        raise ValueError(f"a tensor of shape {view.shape} is larger than this machine's memory")
    whole = piece[: piece.numel() - piece.numel() % dtype.itemsize].view(dtype)
    return whole.as_strided(view.shape, view.strides, view.offset)
