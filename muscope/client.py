"""A muscope server over HTTP, from Python: `Client(url, token).push(study)`.

Everything that is sent may be sent again: what has arrived is known there by its key.
"""

import platform
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import muscope
from muscope.connection import (
    Connection,
    Refused,
    ServerError,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from muscope.ingest import MOST_ROWS, Batch, Closing, Loss, Opening, Row, TensorLine
from muscope.recorded import RecordedVariant
from muscope.records import Sample
from muscope.spec import Frozen, ParametrizationSpec, canonical_json, digest
from muscope.vocabulary import Statistic

if TYPE_CHECKING:
    from muscope.own_model.tensors import OwnTensor
    from muscope.verdicts.own import OwnVariant

__all__ = [
    "Client",
    "PushedStudy",
    "Refused",
    "ServerError",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
]

TRIES = 5
LONGEST_WAIT_S = 8.0
ROWS_AT_ONCE = MOST_ROWS // 4
"""So many measurements of some hundred bytes each stay well below what a server reads at once."""


class RunOfModel(Protocol):
    """A run of a model that was measured elsewhere, as `muscope check` makes them."""

    @property
    def width(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def samples(self) -> Sequence[Sample]: ...
    @property
    def losses(self) -> Sequence[float]: ...


@dataclass(frozen=True)
class PushedStudy:
    """A finished check of somebody's own model, to be shown and judged on a server.

    `tensors` are those of every depth, as the check was judged by. `planned_runs` may be more
    than there are `runs`, where some could not be measured. Pushed again it is the same study.
    """

    name: str
    variant: "OwnVariant"
    tensors: "Mapping[int, Sequence[OwnTensor]]"
    runs: Sequence[RunOfModel]
    planned_runs: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class Client(Connection):
    """A server to which measurements are sent, and the token for it."""

    def push(self, study: PushedStudy) -> str:
        """Send a finished check; give the address of its page. The worker there judges it."""
        if not study.runs:
            raise ServerError("there is nothing to push: no run was measured")
        content = digest(_Content(text=_content(study)))
        page = ""
        for run in study.runs:
            for number, parcel in enumerate(_parcels(study, run, content[:16])):
                answer = self._patiently(parcel)
                page = page if number else f"{self.url}{answer['url']}"
        return page

    def begin(self, opening: Opening) -> dict[str, Any]:
        """Begin a recording; harmless to repeat."""
        return self.call("POST", "/api/v1/recordings", canonical_json(opening).encode())

    def send(self, recording: str, body: bytes) -> dict[str, Any]:
        """Send a batch of a recording; harmless to repeat, as long as the bytes are the same."""
        return self.call("POST", f"/api/v1/recordings/{recording}/batches", body)

    def finish(self, recording: str, closing: Closing) -> dict[str, Any]:
        """Let a recording end; harmless to repeat."""
        path = f"/api/v1/recordings/{recording}/finish"
        return self.call("POST", path, canonical_json(closing).encode())

    def _patiently(self, parcel: "Parcel") -> dict[str, Any]:
        """Send; what may have got lost is sent again, a few times."""
        wait_s = 0.5
        for tries_left in reversed(range(TRIES)):
            try:
                return parcel.send(self)
            except Unavailable as error:
                if not tries_left:
                    raise
                time.sleep(min(LONGEST_WAIT_S, max(wait_s, error.wait_s)))
                wait_s *= 2
        raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class Parcel:
    """One of the things that are sent for a recording."""

    recording: str
    content: Opening | Batch | Closing

    def send(self, client: Client) -> dict[str, Any]:
        """Send it, whichever it is."""
        match self.content:
            case Opening():
                return client.begin(self.content)
            case Batch():
                return client.send(self.recording, canonical_json(self.content).encode())
            case Closing():
                return client.finish(self.recording, self.content)


def recorded_variant(own: "OwnVariant", *, planned_runs: int = 0) -> RecordedVariant:
    """What a server is told of the variant of a check."""
    rule = own.choice
    return RecordedVariant(
        label=own.label[:120],
        optimizers=dict(own.optimizers),
        parametrization=None
        if rule is None
        else ParametrizationSpec(name=rule.name, options=dict(rule.options)),
        is_unit_scaled=own.is_unit_scaled,
        heads_grow=own.heads_grow,
        zero_readout=own.zero_readout,
        tied=own.tied,
        readout=own.readout,
        planned_runs=planned_runs,
    )


def surroundings() -> dict[str, str]:
    """Where this process runs, for the report."""
    return {"host": platform.node()[:100], "muscope": muscope.__version__}


class _Content(Frozen):
    """All of a study as text, for its digest."""

    text: str


def _content(study: PushedStudy) -> str:
    runs = [
        (run.width, run.depth, run.seed, list(map(repr, run.losses)), repr(list(run.samples)))
        for run in study.runs
    ]
    return repr((study.name, study.variant, runs))


def _parcels(study: PushedStudy, run: RunOfModel, key: str) -> Iterator[Parcel]:
    """What one run is sent as; its keys are made of the content, so that it is sent once."""
    place = f"{key} {run.width} {run.depth} {run.seed}"
    recording = uuid.uuid5(uuid.NAMESPACE_OID, place).hex
    yield Parcel(
        recording,
        Opening(
            recording=recording,
            study=study.name,
            key=f"{study.name[:100]} {key}",
            variant=recorded_variant(study.variant, planned_runs=study.planned_runs),
            width=run.width,
            depth=run.depth,
            seed=run.seed,
            environment={**surroundings(), **study.environment},
        ),
    )
    batches = list(_batches(study, run))
    for batch in batches:
        yield Parcel(recording, batch)
    rows = sum(len(batch.rows) for batch in batches)
    yield Parcel(recording, Closing(batches=len(batches), rows=rows))


def _batches(study: PushedStudy, run: RunOfModel) -> Iterator[Batch]:
    judged = {tensor.name: tensor.is_judged for tensor in study.tensors[run.depth]}
    losses = tuple(Loss(step=step, train=loss) for step, loss in enumerate(run.losses))
    samples = list(run.samples)
    for seq, first in enumerate(range(0, max(len(samples), 1), ROWS_AT_ONCE)):
        some = samples[first : first + ROWS_AT_ONCE]
        yield batch(some, judged, losses if not seq else (), seq=seq)


def batch(
    samples: Iterable[Sample], judged: Mapping[str, bool], losses: tuple[Loss, ...], *, seq: int
) -> Batch:
    """Samples of one run as they are sent."""
    lines: dict[TensorLine, int] = {}
    rows = []
    for sample in samples:
        line = TensorLine(
            name=sample.tensor,
            role=sample.role,
            kind=sample.kind,
            is_judged=judged.get(sample.tensor, True),
        )
        place = lines.setdefault(line, len(lines))
        values = {name: value for name in Statistic if (value := sample.value(name)) is not None}
        rows.append(Row(step=sample.step, tensor=place, values=values))
    return Batch(seq=seq, tensors=tuple(lines), rows=tuple(rows), losses=losses)
