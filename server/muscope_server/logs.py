"""Logs as JSON lines, so that no text from outside can forge a line; tokens are never in them."""

import json
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

REDACTED = "…redacted"


class JsonLines(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class RedactToken(logging.Filter):
    """Takes the token out of uvicorn's access lines: (client, method, path, version, status)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record, with `token=…redacted`."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, target, version, status = record.args
            record.args = (client, method, redacted(str(target)), version, status)
        return True


def redacted(target: str) -> str:
    """A request target without the token, however its name was spelled."""
    path, mark, query = target.partition("?")
    return path + mark + "&".join(map(_redacted_pair, query.split("&")))


def config() -> dict[str, Any]:
    """Logging of the server process: everything to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": RedactToken}},
        "formatters": {"lines": {"()": JsonLines}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {"uvicorn.access": {"filters": ["redact"]}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }


def _redacted_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"token={REDACTED}" if equals and unquote_plus(name) == "token" else pair
