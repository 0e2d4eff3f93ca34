"""Where a request comes from: other sites may link to pages, and do nothing else."""

from starlette.datastructures import Headers
from starlette.types import Scope

from muscope_server.errors import Refusal

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OURS = ("same-origin", "none")
_EMBEDS = ("object", "embed", "iframe", "frame")


def check_not_foreign(scope: Scope, headers: Headers) -> None:
    """Refuse what another site asked for, unless a person followed a link to a page."""
    sites = headers.getlist("sec-fetch-site")
    if any(site not in _OURS for site in sites) and not _is_followed_link(scope, headers):
        raise _foreign()
    host = headers.get("host", "")
    is_read = scope["method"] in ("GET", "HEAD")
    if not is_read and not all(_is_ours(one, host, sites) for one in headers.getlist("origin")):
        raise _foreign()


def check_proven(scope: Scope, headers: Headers) -> None:
    """Refuse a write that does not prove its origin: a cookie alone could be any page's doing."""
    if scope["method"] in SAFE_METHODS:
        return
    if not headers.getlist("sec-fetch-site") and not headers.getlist("origin"):
        raise Refusal(
            403,
            "origin_unknown",
            "A write needs a Sec-Fetch-Site or Origin header of this server; scripts send the "
            "token as `Authorization: Bearer` instead of a cookie.",
        )


def _is_followed_link(scope: Scope, headers: Headers) -> bool:
    return (
        scope["method"] in ("GET", "HEAD")
        and not scope["path"].startswith("/api/")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest", "document") not in _EMBEDS
    )


def _is_ours(origin: str, host: str, sites: list[str]) -> bool:
    """Whether an Origin is this server; a form on a page without referrers sends `null`.

    Then only Sec-Fetch-Site, which was checked before, can tell where the form is.
    """
    if origin == "null":
        return bool(sites)
    return origin in (f"http://{host}", f"https://{host}")


def _foreign() -> Refusal:
    return Refusal(403, "foreign_origin", "Another site asked for this; it may not.")
