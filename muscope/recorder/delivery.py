"""From the spool to the server, line by line; whatever is sent again arrives once."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from muscope.client import Client, Refused, ServerError
from muscope.ingest import Closing, Opening
from muscope.recorder import spool
from muscope.recorder.spool import BATCH, Spool

log = logging.getLogger("muscope.recorder")

DIED = "Its process ended without closing the recording; perhaps it was killed."
_BEGIN_AGAIN = ("not_found", "E_INCOMPLETE")


class Delivery:
    """Sends what stands in a spool, in order, and remembers what was acknowledged.

    ValueError where the file is no spool.
    """

    def __init__(self, client: Client, kept: Spool) -> None:
        self.client, self._kept = client, kept
        _, self._opening = kept.header
        self._began_again = False
        self.sent = self._end = 0
        self._skip(kept.sent)
        self.page = ""

    def run(self) -> bool:
        """Send every line that waits; whether the closing was among them.

        Raises Unavailable or Unauthorized where it cannot go on now, Refused where it never will.
        """
        while True:
            try:
                return self._send_waiting()
            except Refused as error:
                # the server has another database than it had, or lost some of it
                if error.code not in _BEGIN_AGAIN or self._began_again:
                    raise
                self._began_again = True
                self.sent = self._end = self._kept.sent = 0

    def _skip(self, lines: int) -> None:
        """Lines that were acknowledged before."""
        for number, line in enumerate(self._kept.lines()):
            if number == lines:
                break
            self.sent, self._end = number + 1, line.end

    def _send_waiting(self) -> bool:
        for line in self._kept.lines(self._end):
            answer = self._send(self._opening, line)
            self._end = line.end
            self.sent = self._kept.sent = self.sent + 1
            self.page = f"{self.client.url}{answer['url']}"
            if line.tag == spool.CLOSING:
                return True
        return False

    def _send(self, opening: Opening, line: spool.Line) -> dict[str, object]:
        if line.tag == BATCH:
            return self.client.send(opening.recording, line.body)
        if line.tag == spool.OPENING:
            return self.client.begin(opening)
        closing = Closing.model_validate_json(line.body)
        return self.client.finish(opening.recording, closing)


@dataclass(frozen=True, slots=True)
class Flushed:
    """What became of recordings that an earlier process left behind."""

    delivered: int
    waiting: int
    refused: int


def flush(folder: Path, client: Client) -> Flushed:
    """Send what processes that are gone have left for this server; never raises for one of them.

    Raises ServerError only where nothing at all can be sent now.
    """
    delivered = waiting = refused = 0
    for path in spool.orphans(folder):
        try:
            kept = Spool.adopt(path)
        except OSError as error:
            waiting += 1
            log.warning("%s waits in the spool: %s", path, error)
            continue
        if kept is None:
            continue
        try:
            if kept.header[0] != client.url:
                kept.release()
                continue
            kept.close_for_the_dead(DIED)
            Delivery(client, kept).run()
        except Refused as error:
            refused += 1
            log.warning("a recording was refused and is kept as %s: %s", kept.set_aside(), error)
        except (ServerError, OSError, ValueError, KeyError, json.JSONDecodeError) as error:
            waiting += 1
            log.warning("%s waits in the spool: %s", path, error)
            kept.release()
            if isinstance(error, ServerError):
                return Flushed(delivered, waiting, refused)
        else:
            delivered += 1
            kept.discard()
    return Flushed(delivered, waiting, refused)
