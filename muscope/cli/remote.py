"""A muscope server over HTTP: the few calls that the command line needs."""

import json
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import Any

from muscope.budget import Budget
from muscope.connection import TIMEOUT_S, Connection, Unreachable

TRIES = 3


class Remote(Connection):
    """A server as the command line needs it, and the token for it."""

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
                return self.call("POST", path, body.encode(), key)
            except Unreachable:
                if not tries_left:
                    raise
                time.sleep(1.0)
        raise AssertionError("unreachable")

    def plan(self, spec_json: str) -> dict[str, Any]:
        """What a study would cost there, and how long it takes on the workers that are there."""
        return self.call("POST", "/api/v1/plans", spec_json.encode())

    def plugins(self) -> list[dict[str, Any]]:
        """What the plugins of the living workers describe, entry by entry."""
        answer = self.call("GET", "/api/v1/plugins")
        return [one for worker in answer["workers"] for one in worker["described"]]

    def budget(self, study_id: str) -> Budget | None:
        """What a study has taken so far, if any bundle has ended."""
        total = self.call("GET", f"/api/v1/studies/{study_id}/budget")["total"]
        return None if total is None else _budget(total)

    def study(self, study_id: str) -> dict[str, Any]:
        """A study and how far it is."""
        return self.call("GET", f"/api/v1/studies/{study_id}")

    def recipe(self, study_id: str, *, variant: str, width: int, depth: int) -> dict[str, Any]:
        """The recipe of a study for a target size; a depth of 0 is the largest studied."""
        name = urllib.parse.quote(study_id, safe="")
        query = {"variant": variant, "width": width, "format": "json"}
        query |= {"depth": depth} if depth else {}
        path = f"/api/v1/studies/{name}/recipe?{urllib.parse.urlencode(query)}"
        return self.call("GET", path)

    def verdicts(self, study_id: str) -> list[dict[str, Any]]:
        """The verdicts of a study, of any kind."""
        answer = self.call("GET", f"/api/v1/studies/{study_id}/verdicts")
        kinds = ("verdicts", "transfers", "searches")
        found: list[dict[str, Any]] = [one for kind in kinds for one in answer.get(kind, [])]
        return found

    def joined(self, study_id: str) -> list[dict[str, Any]]:
        """Of a learning-rate study, whether its check agrees, and known reasons where not."""
        answer = self.call("GET", f"/api/v1/studies/{study_id}/verdicts")
        found: list[dict[str, Any]] = answer.get("joined", [])
        return [one for one in found if one["check"] or one["reasons"]]

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """One request; where nothing answers the sentence says what to do on a command line."""
        try:
            return super().call(method, path, body, headers, timeout_s=timeout_s)
        except Unreachable as error:
            raise Unreachable(
                f"{error}; start one with `muscope up`, or say where it is with --url"
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
