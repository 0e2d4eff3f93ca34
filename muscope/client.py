"""A muscope server over HTTP, from Python: `Client(url, token).push(study)`.

Everything that is sent may be sent again: what has arrived is known there by its key.
"""

import json
import platform
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Protocol

import muscope
from muscope.ingest import MOST_ROWS, Batch, Closing, Loss, Opening, Row, TensorLine
from muscope.recorded import RecordedVariant
from muscope.records import Sample
from muscope.spec import Frozen, ParametrizationSpec, canonical_json, digest
from muscope.spec_file import sentence
from muscope.vocabulary import Statistic

if TYPE_CHECKING:
    from muscope.own_model.tensors import OwnTensor
    from muscope.verdicts.own import OwnVariant

TIMEOUT_S = 30.0
TRIES = 5
LONGEST_WAIT_S = 8.0
ROWS_AT_ONCE = MOST_ROWS // 4
"""So many measurements of some hundred bytes each stay well below what a server reads at once."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LATER = (408, 429, 500, 502, 503, 504)


class ServerError(RuntimeError):
    """The server refused, or could not be reached; the message is for the user."""


class Unavailable(ServerError):
    """No answer, or none yet: the same may be sent again later. `wait_s` is when, if it said."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Unauthorized(ServerError):
    """The token is not accepted: nothing can be sent with it."""


class Refused(ServerError):
    """The server has read what was sent and will not take it; `code` says why to machines."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


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


class Client:
    """A server and the token for it."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(f"{url!r} is not the address of a server; say http://name:port")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        # A proxy of the environment would look for 127.0.0.1 on its own machine.
        direct = [urllib.request.ProxyHandler({})] if parts.hostname in _LOOPBACK else []
        self._opener = urllib.request.build_opener(_NoRedirect(), *direct)

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

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """One request; Unavailable, Unauthorized or Refused where it has no result."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(), error.headers.get("Retry-After")) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unavailable(f"no muscope answers at {self.url} ({reason})") from None

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


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API never redirects, and the token must not follow somebody else's."""

    def redirect_request(self, *args: Any) -> None:
        """Follow nothing."""


def _refusal(status: int, body: bytes, retry_after: str | None) -> ServerError:
    message = _sentence(status, body)
    if status in _LATER:
        seconds = retry_after or ""
        return Unavailable(message, float(seconds) if seconds.isdigit() else 0.0)
    return Unauthorized(message) if status in (401, 403) else Refused(message, _code(body))


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _sentence(status: int, body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        faults = [sentence(field["path"], field["message"]) for field in error["fields"]]
        return "\n".join(faults) or str(error["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {status}; is it a muscope?"
