"""What the log says of a request: one JSON line, never the token."""

import json
import logging

import pytest

from muscope_server.logs import JsonLines, RedactToken, redacted


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/?token=secret", "/?token=…redacted"),
        ("/a?x=1&token=secret&y=2", "/a?x=1&token=…redacted&y=2"),
        ("/?%74oken=secret&token=secret", "/?token=…redacted&token=…redacted"),
        ("/?tokens=2&x", "/?tokens=2&x"),
        ("/", "/"),
    ],
)
def test_the_token_is_never_shown(target: str, shown: str) -> None:
    assert redacted(target) == shown


def test_an_access_line_is_one_json_object_without_the_token() -> None:
    args = ("127.0.0.1:1", "GET", "/?token=secret", "1.1", 303)
    record = logging.LogRecord(
        "uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', args, None
    )
    assert RedactToken().filter(record)
    line = json.loads(JsonLines().format(record))
    assert line["message"] == '127.0.0.1:1 - "GET /?token=…redacted HTTP/1.1" 303'


def test_no_text_can_forge_a_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "a\n2026 INFO admin login", (), None)
    assert "\n" not in JsonLines().format(record)
