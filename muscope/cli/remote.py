"""A muscope server over HTTP: the few calls that the command line needs."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.client import HTTPException
from typing import Any

from muscope.budget import Budget
from muscope.spec_file import sentence

TIMEOUT_S = 30.0
TRIES = 3
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class RemoteError(RuntimeError):
    """The server refused, or could not be reached; the message is for the user."""


class Remote:
    """A server and the token for it."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RemoteError(f"{url!r} is not the address of a server; say http://name:port")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        # A proxy of the environment would look for 127.0.0.1 on its own machine.
        direct = [urllib.request.ProxyHandler({})] if parts.hostname in _LOOPBACK else []
        self._opener = urllib.request.build_opener(_NoRedirect(), *direct)

    def submit(self, spec_json: str) -> dict[str, Any]:
        """Create a study; safe to repeat when the answer was lost, so it is."""
        return self._create("/api/v1/studies", spec_json)

    def extend(self, study_id: str, addition: dict[str, Any]) -> dict[str, Any]:
        """Create a study that adds to another; nothing said is what its verdict asks for."""
        name = urllib.parse.quote(study_id, safe="")
        return self._create(f"/api/v1/studies/{name}/extend", json.dumps(addition))

    def _create(self, path: str, body: str) -> dict[str, Any]:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for tries_left in reversed(range(TRIES)):
            try:
                return self._call("POST", path, body.encode(), key)
            except _UnreachableError:
                if not tries_left:
                    raise
                time.sleep(1.0)
        raise AssertionError("unreachable")

    def plan(self, spec_json: str) -> dict[str, Any]:
        """What a study would cost there, and how long it takes on the workers that are there."""
        return self._call("POST", "/api/v1/plans", spec_json.encode())

    def plugins(self) -> list[dict[str, Any]]:
        """What the plugins of the living workers describe, entry by entry."""
        answer = self._call("GET", "/api/v1/plugins")
        return [one for worker in answer["workers"] for one in worker["described"]]

    def budget(self, study_id: str) -> Budget | None:
        """What a study has taken so far, if any bundle has ended."""
        total = self._call("GET", f"/api/v1/studies/{study_id}/budget")["total"]
        return None if total is None else _budget(total)

    def study(self, study_id: str) -> dict[str, Any]:
        """A study and how far it is."""
        return self._call("GET", f"/api/v1/studies/{study_id}")

    def recipe(self, study_id: str, *, variant: str, width: int, depth: int) -> dict[str, Any]:
        """The recipe of a study for a target size; a depth of 0 is the largest studied."""
        name = urllib.parse.quote(study_id, safe="")
        query = {"variant": variant, "width": width, "format": "json"}
        query |= {"depth": depth} if depth else {}
        path = f"/api/v1/studies/{name}/recipe?{urllib.parse.urlencode(query)}"
        return self._call("GET", path)

    def verdicts(self, study_id: str) -> list[dict[str, Any]]:
        """The verdicts of a study, of any kind."""
        answer = self._call("GET", f"/api/v1/studies/{study_id}/verdicts")
        kinds = ("verdicts", "transfers", "searches")
        found: list[dict[str, Any]] = [one for kind in kinds for one in answer.get(kind, [])]
        return found

    def joined(self, study_id: str) -> list[dict[str, Any]]:
        """Of a learning-rate study, whether its check agrees, and known reasons where not."""
        answer = self._call("GET", f"/api/v1/studies/{study_id}/verdicts")
        found: list[dict[str, Any]] = answer.get("joined", [])
        return [one for one in found if one["check"] or one["reasons"]]

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise RemoteError(_sentence(error.code, error.read())) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise _UnreachableError(
                f"no muscope answers at {self.url} ({reason}); start one with `muscope up`, or say "
                "where it is with --url"
            ) from None


def _budget(total: dict[str, Any]) -> Budget:
    warm_up_s = float(total["first_step_s"])
    return Budget(
        warm_up_s=warm_up_s,
        train_s=total["time_s"] - warm_up_s,
        flops=total["flops"],
        peak_bytes=total["peak_bytes"],
        planned_s=total["planned_s"],
        ceiling=total["ceiling"],
        fraction=total["fraction"],
    )


class _UnreachableError(RemoteError):
    """The server did not answer; it may be there again in a moment."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API never redirects, and the token must not follow somebody else's."""

    def redirect_request(self, *args: Any) -> None:
        """Follow nothing."""


def _sentence(status: int, body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        faults = [sentence(field["path"], field["message"]) for field in error["fields"]]
        return "\n".join(faults) or str(error["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {status}; is it a muscope?"
