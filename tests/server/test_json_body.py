"""Strict JSON (attacks.md C)."""

import time

import pytest

from muscope_server import json_body
from muscope_server.errors import Refusal
from tests.server.harmless import refused
from tests.server.running import Running

MALFORMED = {
    "nothing": b"",
    "truncated": b'{"name": "x"',
    "trailing comma": b'{"name": "x",}',
    "comment": b'{} // {"x": 1}',
    "block comment": b"/* x */ {}",
    "two documents": b"{}{}",
    "single quotes": b"{'a': 1}",
    "too large a number": b'{"a": 1e400}',
    "too small a number": b'{"a": -1e400}',
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a number of digits": b'{"a": ' + b"1" * 100_000 + b"}",
    "leading zero": b'{"a": 01}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "rather deep": b"[" * 40 + b"]" * 40,
    "twice": b'{"a": 1, "a": 1}',
    "twice by escape": b'{"a": 1, "\\u0061": 1}',
    "proto": b'{"__proto__": {}}',
    "proto inside": b'{"a": [{"__proto__": {}}]}',
    "proto by escape": b'{"\\u005f_proto__": 1}',
    "constructor": b'{"constructor": {"prototype": {}}}',
    "constructor path": b'{"constructor.prototype": 1}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "utf-16 without mark": '{"a": 1}'.encode("utf-16-le"),
    "utf-32": '{"a": 1}'.encode("utf-32"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "invalid utf-8": b'{"a": "\xff"}',
    "overlong utf-8": b'{"a": "\xc0\xaf"}',
    "surrogate bytes": b'{"a": "\xed\xa0\x80"}',
    "half a surrogate": b'{"a": "\\ud800"}',
    "half a surrogate as key": b'{"\\udfff": 1}',
    "control character": b'{"a": "\x01"}',
    "zero byte": b'{"a": 1}\x00',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_strict_json_is_refused_fast(body: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(Refusal) as caught:
        json_body.parse(body)
    assert time.thread_time() - start < 0.05
    assert (caught.value.status, caught.value.code) == (400, "malformed_json")


@pytest.mark.parametrize("name", ["deep objects", "utf-16", "half a surrogate as key", "twice"])
def test_malformed_json_changes_nothing(shared: Running, name: str) -> None:
    headers = {"Content-Type": "application/json"}
    with shared.script() as client:
        refused(
            shared,
            lambda: client.post("/api/v1/studies", content=MALFORMED[name], headers=headers),
            400,
        )


def test_what_json_allows_is_read() -> None:
    text = '{"a": [1, -2.5, 1e3, true, null, "\\u00b5 \\ud83d\\ude00 {{7*7}}"]}'
    assert json_body.parse(text.encode()) == {"a": [1, -2.5, 1000.0, True, None, "µ 😀 {{7*7}}"]}
