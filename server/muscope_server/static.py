"""The page's own files: whole, with an ETag, kept for a year when their URL names a version."""

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send


class Assets(StaticFiles):
    """Static files without ranges: the files are small, and a thousand ranges are an attack."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a whole file, whatever Range says."""
        headers = [pair for pair in scope["headers"] if pair[0] not in (b"range", b"if-range")]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, and how long it may be kept."""
        response = await super().get_response(path, scope)
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if versioned else "no-cache"
        )
        if "accept-ranges" in response.headers:
            del response.headers["accept-ranges"]
        return response
