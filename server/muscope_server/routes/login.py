"""The login page: a token typed by hand becomes the same cookie that a link with it gives."""

from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from muscope_server import templates
from muscope_server.contexts import LoginContext
from muscope_server.sessions import Sessions, local_path

router = APIRouter(include_in_schema=False)


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """Ask for the token, unless the visitor is in already."""
    if _sessions(request).has_cookie(request.headers):
        return RedirectResponse(local_path(next), 303)
    return templates.render(request, "login.html", LoginContext(error=None, next=local_path(next)))


@router.post("/login")
async def login(request: Request) -> Response:
    """Exchange the token for the cookie."""
    form = await request.form()
    token, target = str(form.get("token", "")), local_path(str(form.get("next", "/")))
    sessions = _sessions(request)
    if not sessions.accepts(request.scope, token.strip()):
        context = LoginContext(error="This is not the access token.", next=target)
        return templates.render(request, "login.html", context, status=401)
    response = RedirectResponse(target, 303)
    sessions.remember(response, request.headers)
    return response


def _sessions(request: Request) -> Sessions:
    return cast(Sessions, request.app.state.sessions)
