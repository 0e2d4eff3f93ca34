"""Bytes and HTTP: sizes, types, lengths, ranges (attacks.md B)."""

import gzip
import time

import httpx
import pytest

from muscope.connection import Connection, Refused, Unauthorized
from muscope_server import bodies
from muscope_server.limits import BODY_BYTES, HEADER_BYTES, STRANGER_BODY_BYTES
from tests.server.harmless import assert_dressed, assert_healthy, refused
from tests.server.running import Running

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("length", [BODY_BYTES + 1, 2 * 1024 * 1024, 10**12, 10**18])
def test_a_large_body_is_refused_before_it_is_read(shared: Running, length: int) -> None:
    head = (
        f"POST /api/v1/studies HTTP/1.1\r\nHost: {shared.host}\r\nContent-Length: {length}\r\n"
        f"Authorization: Bearer {shared.token}\r\nContent-Type: application/json\r\n\r\n"
    )
    start = time.perf_counter()
    answer = shared.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 413"), answer
    assert time.perf_counter() - start < 1.0
    assert_healthy(shared)


def test_a_body_that_grows_too_large_is_refused_without_a_length(shared: Running) -> None:
    with shared.script() as client:
        chunks = (b" " * 65536 for _ in range(5 * BODY_BYTES // 65536))
        refused(shared, lambda: client.post("/api/v1/studies", content=chunks, headers=JSON), 413)


@pytest.mark.parametrize(("method", "path"), [("POST", "/login"), ("GET", "/static/icon.svg")])
def test_of_a_stranger_hardly_anything_is_read(shared: Running, method: str, path: str) -> None:
    length = STRANGER_BODY_BYTES + 1
    head = f"{method} {path} HTTP/1.1\r\nHost: {shared.host}\r\nSec-Fetch-Site: none\r\n"
    form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    assert shared.raw((head + form).encode()).startswith(b"HTTP/1.1 413")


def test_a_client_that_sends_its_large_body_still_hears_why_not(shared: Running) -> None:
    with shared.script() as client:
        body = b"[" + b"0," * BODY_BYTES + b"0]"
        refused(shared, lambda: client.post("/api/v1/studies", content=body, headers=JSON), 413)


def test_a_client_that_wants_no_second_answer_hears_why_not_either(shared: Running) -> None:
    large = b" " * 5 * 2**20  # urllib asks for the connection to be closed
    for path in ("/api/v1/studies", "/api/v1/recordings"):
        with pytest.raises(Refused, match=f"at most {BODY_BYTES} are read"):
            Connection(shared.origin, shared.token).call("POST", path, large)
    with pytest.raises(Unauthorized):
        Connection(shared.origin, "wrong").call("POST", "/api/v1/studies", large)


def test_the_rest_of_a_body_is_not_waited_for_longer_than_that(
    shared: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    head = f"POST /api/v1/studies HTTP/1.1\r\nHost: {shared.host}\r\nConnection: close\r\n"
    answer = shared.raw(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    assert answer.startswith(b"HTTP/1.1 401"), answer


@pytest.mark.parametrize(
    "lengths", [("-1",), ("1e3",), ("+2",), ("2", "3"), ("2, 3",), ("0x10",), ("٣",), ("",)]
)
def test_lengths_that_are_no_whole_number_are_refused(
    shared: Running, lengths: tuple[str, ...]
) -> None:
    head = f"POST /api/v1/studies HTTP/1.1\r\nHost: {shared.host}\r\n"
    head += "".join(f"Content-Length: {length}\r\n" for length in lengths)
    answer = shared.raw(head.encode() + b"\r\n{}")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"content-security-policy" in answer.lower()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: {host}\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * (HEADER_BYTES + 1) + b" HTTP/1.1\r\nHost: {host}\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nBad Header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET  HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["header", "target", "name", "zero", "chunk", "coding", "tls", "nothing", "http2"],
)
def test_what_is_not_http_is_refused_in_our_dress(shared: Running, request_bytes: bytes) -> None:
    answer = shared.raw(request_bytes.replace(b"{host}", shared.host.encode()))
    # A refusal may be lost when the client has more to say; the connection is closed in any case.
    assert answer[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 501", b"HTTP/1.1 414")
    assert not answer or b"content-security-policy" in answer.lower()
    assert_healthy(shared)


@pytest.mark.parametrize("target", ["http://evil.example/", "[x", "*", "evil", "/%00", "/?a=%00"])
def test_odd_targets_are_answered_calmly(shared: Running, target: str) -> None:
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {shared.host}\r\nAuthorization: Bearer {shared.token}"
    )
    answer = shared.raw(f"{request}\r\n\r\n".encode())
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404"), answer


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "br", "deflate", "identity, gzip", "x"])
def test_a_compressed_body_is_refused_unread(shared: Running, coding: str) -> None:
    bomb = gzip.compress(gzip.compress(bytes(10_000_000)))
    headers = JSON | {"Content-Encoding": coding}
    with shared.script() as client:
        refused(shared, lambda: client.post("/api/v1/studies", content=bomb, headers=headers), 415)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain", "text/yaml", "application/x-www-form-urlencoded", "multipart/form-data", "",
        "application/json; charset=utf-16", "application/jsonx", "application/json, text/plain",
    ],
)  # fmt: skip
def test_a_body_of_another_type_is_refused(shared: Running, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    with shared.script() as client:
        refused(shared, lambda: client.post("/api/v1/studies", content=b"{}", headers=headers), 415)


def test_a_body_without_a_type_is_refused(shared: Running) -> None:
    with shared.script() as client:
        refused(shared, lambda: client.post("/api/v1/studies", content=b"{}"), 415)


@pytest.mark.parametrize(
    "value", ["bytes=" + "0-," * 10_000 + "0-", "bytes=0-1", "bytes=9-1", "lines=1", "bytes=-0"]
)
def test_ranges_of_static_files_are_harmless(shared: Running, value: str) -> None:
    with shared.client() as client:
        whole = client.get("/static/icon.svg")
        start = time.process_time()
        part = client.get("/static/icon.svg", headers={"Range": value})
        assert time.process_time() - start < 0.05
    assert (part.status_code, part.content) == (200, whole.content)
    assert_dressed(part)


def test_static_files_are_revalidated_or_kept_for_long(shared: Running) -> None:
    with shared.client() as client:
        first = client.get("/static/icon.svg")
        assert first.headers["cache-control"] == "no-cache"
        again = client.get("/static/icon.svg", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert_dressed(again)
        kept = client.get("/static/icon.svg", params={"v": "abc"})
        assert "immutable" in kept.headers["cache-control"]
        odd = {"If-None-Match": "x" * 10_000, "If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"}
        assert client.get("/static/icon.svg", headers=odd).status_code in (200, 304)


@pytest.mark.parametrize(
    "path",
    ["", "css/", "../templates/base.html", "..%2f..%2fpyproject.toml", "%2e%2e/x", "a" * 5000,
     "/etc/passwd", "css%00", "C:\\x", "..\\x"],
)  # fmt: skip
def test_static_files_list_nothing_and_leave_their_folder_never(shared: Running, path: str) -> None:
    request = f"GET /static/{path} HTTP/1.1\r\nHost: {shared.host}\r\n\r\n".encode()
    answer = shared.raw(request)
    assert answer[:12] in (b"HTTP/1.1 404", b"HTTP/1.1 400", b"HTTP/1.1 303"), answer
    assert b"content-security-policy" in answer.lower()


def test_the_page_of_a_form_reads_no_json(shared: Running) -> None:
    with shared.script() as client:
        response: httpx.Response = client.post("/studies/new", json={})
    assert response.status_code == 415


def test_a_form_of_ten_thousand_fields_is_refused(shared: Running) -> None:
    form = {f"field{number}": "x" for number in range(10_000)}
    with shared.script() as client:
        refused(shared, lambda: client.post("/studies/plan", data=form), 400, 422)
