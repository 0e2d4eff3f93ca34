"""Reaching the server: hosts, origins, tokens, cookies (attacks.md A)."""

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from muscope.settings import Settings
from muscope_server import hosts, permissions
from muscope_server.permissions import Right
from tests.server.harmless import assert_dressed, refused, stored
from tests.server.running import Running, running
from tests.server.specs import small
from tests.server.world import World

OTHER_ADDRESSES = iter(f"127.0.1.{last}" for last in range(1, 255))
"""Wrong tokens lock an address out for a minute, so each such test comes from its own."""


@pytest.fixture
def stranger(shared: Running) -> Iterator[httpx.Client]:
    with shared.client(address=next(OTHER_ADDRESSES)) as found:
        yield found


@pytest.fixture
def browser(shared: Running) -> Iterator[httpx.Client]:
    with shared.browser() as found:
        yield found


def routes(app: object) -> Iterator[tuple[str, str]]:
    """Every method and path that the app answers, included routers too."""
    pending = list(app.router.routes)  # type: ignore[attr-defined]
    while pending:
        route = pending.pop()
        if hasattr(route, "original_router"):
            pending.extend(route.original_router.routes)
        elif isinstance(route, (APIRoute, Route)):
            yield from ((method, route.path) for method in route.methods or () if method != "HEAD")


def path_of(route: str) -> str:
    return re.sub(r"\{.*?\}", "nosuch", route)


PROTECTED = [key for key, right in permissions.ROUTES.items() if right is not Right.PUBLIC]
READING = [path for (method, path) in permissions.ROUTES if method == "GET"]
WRITING = [path for (method, path) in permissions.ROUTES if method != "GET"]


def test_every_route_has_a_line_in_the_table_of_rights_and_every_line_a_route(
    shared: Running,
) -> None:
    assert set(routes(shared.app)) == set(permissions.ROUTES)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_without_credentials_nothing_is_served(
    shared: Running, stranger: httpx.Client, method: str, path: str
) -> None:
    status = 401 if path.startswith("/api/") else 303
    response = refused(shared, lambda: stranger.request(method, path_of(path)), status)
    assert status == 401 or response.headers["location"].startswith("/login")


@pytest.mark.parametrize("path", READING)
def test_get_and_head_change_nothing_and_agree(world: World, path: str) -> None:
    there = path_of(path.replace("{study_id}", world.study_id))
    before = stored(world.database)
    answers = [world.visitor.request(method, there) for method in ("GET", "HEAD")]
    assert stored(world.database) == before
    assert answers[0].status_code == answers[1].status_code < 500
    assert answers[1].content == b""
    if not path.endswith("report.html"):  # which has a policy of its own beside ours
        assert_dressed(answers[1])


def test_a_refused_head_leaves_no_error_in_the_log(
    shared: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with shared.client() as client:
        assert client.head("/api/v1/studies").status_code == 401
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("path", WRITING)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
def test_another_site_cannot_write(
    shared: Running, browser: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    if "Sec-Fetch-Site" not in headers:
        del browser.headers["sec-fetch-site"]
    refused(shared, lambda: browser.post(path_of(path), headers=headers), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Origin": "http://{host}"},
        {"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
def test_our_own_pages_can_write(shared: Running, headers: dict[str, str]) -> None:
    ours = {name: value.format(host=shared.host) for name, value in headers.items()}
    with shared.browser() as browser:
        del browser.headers["sec-fetch-site"]
        assert browser.post("/studies/nosuch/cancel", headers=ours).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "ODD"])
def test_a_cookie_without_an_origin_cannot_write(
    shared: Running, browser: httpx.Client, method: str
) -> None:
    del browser.headers["sec-fetch-site"]
    refused(shared, lambda: browser.request(method, "/api/v1/studies"), 403)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "ODD"])
def test_methods_that_no_route_has_are_not_allowed(shared: Running, method: str) -> None:
    with shared.script() as client:
        refused(shared, lambda: client.request(method, "/api/v1/studies"), 405)


@pytest.mark.parametrize("origin", ["http://evil.example", None])
def test_a_preflight_gets_no_cors_header(
    shared: Running, stranger: httpx.Client, origin: str | None
) -> None:
    headers = {"Access-Control-Request-Method": "POST"} | ({"Origin": origin} if origin else {})
    refused(shared, lambda: stranger.options("/api/v1/studies", headers=headers), 403, 405)


def test_another_site_cannot_read_the_api_but_may_link_to_a_page(
    shared: Running, browser: httpx.Client
) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    link = foreign | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    frame = link | {"Sec-Fetch-Dest": "iframe"}
    api = "/api/v1/studies/nosuch/events"
    refused(shared, lambda: browser.get(api, headers=foreign), 403)
    refused(shared, lambda: browser.get(api, headers=link), 403)
    refused(shared, lambda: browser.get("/login", headers=frame), 403)
    assert browser.get("/workers", headers=link).status_code == 200


def test_a_method_override_is_ignored(shared: Running) -> None:
    with shared.script() as client:
        for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
            assert client.get("/api/v1/studies", headers={name: "DELETE"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/studies", "/api/v1/health", "/static/icon.svg"])
def test_a_websocket_upgrade_is_refused(shared: Running, path: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    with shared.script() as client:
        refused(shared, lambda: client.get(path, headers=upgrade), 400, 404)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "evil.example", "127.0.0.1.nip.io:{port}",
        "LOCALHOST.:{port}", "localhost.:{port}", "0x7f.1:{port}", "127.1:{port}", "127.0.0.1:1",
        "127.0.0.1:0{port}", "127.0.0.1:{port}:{port}", "user@127.0.0.1:{port}", "0.0.0.0:{port}",
        "127.0.0.1:{port},evil", "[::1", "[::ffff:127.0.0.1]:{port}", "é:{port}", "",
    ],
)  # fmt: skip
def test_a_host_that_is_not_ours_is_refused_and_told_the_setting(
    shared: Running, host: str
) -> None:
    value = host.format(port=shared.port).encode("latin-1")
    answer = shared.raw(b"GET /api/v1/health HTTP/1.1\r\nHost: " + value + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"MUSCOPE_ALLOWED_HOSTS" in answer or b"valid HTTP" in answer
    assert b"content-security-policy" in answer.lower()


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_no_host_or_two_are_refused(shared: Running, count: int, version: bytes) -> None:
    headers = f"Host: {shared.host}\r\n".encode() * count
    answer = shared.raw(b"GET / HTTP/" + version + b"\r\n" + headers + b"\r\n")
    assert b" 400 " in answer.splitlines()[0]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_the_names_of_this_machine_are_ours(shared: Running, name: str) -> None:
    with shared.client() as client:
        host = {"Host": f"{name}:{shared.port}"}
        assert client.get("/api/v1/health", headers=host).status_code == 200


def test_a_forwarded_port_works_once_it_is_listed() -> None:
    listed = hosts.allowed(Settings(port=8765, allowed_hosts="localhost:9000, mu.example:443"))
    assert {"localhost:9000", "localhost:8765", "mu.example:443", "mu.example"} <= listed
    assert "localhost" not in listed
    assert "0.0.0.0:8765" not in hosts.allowed(Settings(host="0.0.0.0", port=8765))
    assert "10.0.0.5:8765" in hosts.allowed(Settings(host="10.0.0.5", port=8765))


def test_wrong_tokens_lock_out_their_address_only(shared: Running, stranger: httpx.Client) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    statuses = [stranger.get("/api/v1/studies", headers=wrong).status_code for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    response = refused(shared, lambda: stranger.get("/api/v1/studies", headers=shared.bearer), 429)
    assert 1 <= int(response.headers["retry-after"]) <= 61
    assert "not even the right one is looked at" in response.text
    with shared.client(address=next(OTHER_ADDRESSES), headers=shared.bearer) as other:
        assert other.get("/api/v1/studies").status_code == 200


def test_who_is_locked_out_hears_so_before_the_login_reads_a_body(server: Running) -> None:
    form = {"Sec-Fetch-Site": "same-origin"}
    with server.client(headers=form) as stranger:
        for _ in range(6):
            answer = stranger.post("/login", data={"token": "wrong"})
        assert answer.status_code == 429
    head = f"POST /login HTTP/1.1\r\nHost: {server.host}\r\nSec-Fetch-Site: none\r\n"
    type_ = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
    assert server.raw((head + type_).encode(), timeout_s=2.0).startswith(b"HTTP/1.1 429")


def test_a_cookie_is_honoured_while_its_address_is_locked_out(shared: Running) -> None:
    with shared.client(address=next(OTHER_ADDRESSES)) as client:
        client.get("/", params={"token": shared.token})
        for _ in range(6):
            client.get("/api/v1/studies", headers={"Authorization": "Bearer wrong"})
        assert client.get("/api/v1/studies").status_code == 200


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic {token}", "{token}", "Bearer {token}x", "Bearer é"]
)
def test_what_is_not_the_token_is_refused(
    shared: Running, stranger: httpx.Client, value: str
) -> None:
    header = {"Authorization": value.format(token=shared.token).encode()}
    refused(shared, lambda: stranger.get("/api/v1/studies", headers=header), 401)


def test_the_token_in_a_link_is_exchanged_for_a_strict_cookie(
    shared: Running, stranger: httpx.Client
) -> None:
    target = f"/workers?tab=a%20b&token={shared.token}&x=1"
    response = stranger.get(target)
    assert (response.status_code, response.headers["location"]) == (303, "/workers?tab=a%20b&x=1")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"muscope_{shared.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert shared.token not in cookie
    assert stranger.get("/workers").status_code == 200


@pytest.mark.parametrize(
    "path", ["//evil.example/", "///evil.example/", "/%5Cevil.example", "/\\e"]
)
def test_the_exchange_never_leaves_this_server(shared: Running, path: str) -> None:
    request = f"GET {path}?token={shared.token} HTTP/1.1\r\nHost: {shared.host}\r\n\r\n"
    answer = shared.raw(request.encode()).decode()
    location = re.search(r"location: (.*)\r\n", answer)
    assert location is not None, answer
    assert re.match(r"/[^/\\]", location[1])


def test_the_login_form_lets_in_with_the_token_only(
    shared: Running, stranger: httpx.Client
) -> None:
    ours = {"Origin": shared.origin}
    wrong = {"token": "wrong", "next": "/workers"}
    page = refused(shared, lambda: stranger.post("/login", data=wrong, headers=ours), 401)
    assert "not the access token" in page.text
    right = wrong | {"token": shared.token}
    response = stranger.post("/login", data=right, headers=ours)
    assert (response.status_code, response.headers["location"]) == (303, "/workers")
    assert stranger.get("/workers").status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\tb", "/é"]
)
def test_the_login_form_never_sends_elsewhere(
    shared: Running, stranger: httpx.Client, target: str
) -> None:
    form = {"token": shared.token, "next": target}
    response = stranger.post("/login", data=form, headers={"Origin": shared.origin})
    assert response.headers["location"] == "/"


def test_the_cookie_of_one_port_opens_no_other(shared: Running, settings: Settings) -> None:
    with running(settings) as other, shared.browser() as browser:
        stolen = browser.cookies[f"muscope_{shared.port}"]
        for name in (f"muscope_{shared.port}", f"muscope_{other.port}"):
            with other.client(headers={"Cookie": f"{name}={stolen}"}) as client:
                assert client.get("/api/v1/studies").status_code == 401


def test_a_page_that_is_not_there_says_so_in_the_form_that_was_asked_for(shared: Running) -> None:
    with shared.script() as client:
        odd = "/<script>alert(1)</script>{{7*7}}"
        page = refused(shared, lambda: client.get(odd, headers={"Accept": "text/html"}), 404)
        assert page.headers["content-type"].startswith("text/html")
        assert "alert" not in page.text
        data = refused(shared, lambda: client.get("/api/v1" + odd), 404)
        assert data.json()["error"]["code"] == "not_found"


def test_an_error_that_nobody_foresaw_tells_nothing(server: Running) -> None:
    server.app.state.settings = None  # nothing else breaks an endpoint from outside
    with server.script() as client:
        response = client.post("/api/v1/studies", json=small())
    assert response.status_code == 500
    assert_dressed(response)
    assert response.json()["error"]["code"] == "internal_error"
