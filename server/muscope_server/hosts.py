"""Which Host headers are ours: the defence against DNS rebinding that still lets `ssh -L` work."""

from starlette.datastructures import Headers

from muscope.settings import Settings
from muscope_server.errors import HOST_NOT_ALLOWED, Refusal

_ANY_ADDRESS = ("", "0.0.0.0", "::")


def allowed(settings: Settings) -> frozenset[str]:
    """Every Host header that is accepted, spelled exactly as a browser sends it."""
    names = {"127.0.0.1", "localhost", "[::1]"}
    if settings.host not in _ANY_ADDRESS:
        names.add(f"[{settings.host}]" if ":" in settings.host else settings.host)
    ours = {f"{name}:{settings.port}" for name in names}
    listed = {entry.strip() for entry in settings.allowed_hosts.split(",") if entry.strip()}
    both = ours | listed
    # A browser leaves the scheme's own port out.
    bare = {host.rpartition(":")[0] for host in both if host.endswith((":80", ":443"))}
    return frozenset(both | bare)


def check(headers: Headers, hosts: frozenset[str]) -> None:
    """Refuse a request unless it has exactly one Host header and that is one of ours."""
    given = headers.getlist("host")
    if len(given) == 1 and given[0] in hosts:
        return
    raise Refusal(
        400,
        HOST_NOT_ALLOWED,
        "This server does not answer to that Host name and port. If they are yours (say behind "
        "`ssh -L` or a proxy), start it with MUSCOPE_ALLOWED_HOSTS=name:port, several separated "
        "by commas.",
    )


def port(headers: Headers) -> int:
    """The port as the browser sees it, from a Host header that was checked."""
    given = headers.get("host", "").rpartition(":")[2]
    return int(given) if given.isdecimal() else 80
