"""`/__admin`: the mock's own doors, which no contract has, for people and for other languages."""

import hmac
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import body
from .control import Control, Entry, seconds
from .docs import Docs
from .mock import Mock
from .store import NameTakenError, NotFoundError

PREFIX = "/__admin"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_BYTES = 1 << 18


class Admin:
    """An ASGI application that answers under `/__admin`, and hands everything else on.

    Without a token it answers only requests that a page elsewhere cannot have made: the Host is
    a name of this machine, which no DNS record can pretend, and the Origin is ours.
    """

    def __init__(self, mock: Mock, token: str | None = None) -> None:
        """Serve `mock`; with a token, to whom has it."""
        self._mock, self._token = mock, token
        self._docs = Docs(mock.contract, mock.fixtures)
        routes = [
            Route(PREFIX, self._index),
            Route(f"{PREFIX}/docs", self._page),
            Route(f"{PREFIX}/docs/{{name:path}}", self._page),
            Route(f"{PREFIX}/health", self._health),
            Route(f"{PREFIX}/requests", self._requests, methods=["GET", "DELETE"]),
            Route(f"{PREFIX}/requests/count", self._count, methods=["POST"]),
            Route(f"{PREFIX}/reset", self._reset, methods=["POST"]),
            Route(f"{PREFIX}/settings", self._settings, methods=["GET", "POST"]),
            Route(f"{PREFIX}/configurations", self._configurations, methods=["GET", "POST"]),
            Route(f"{PREFIX}/configurations/{{id:path}}", self._configuration),
        ]
        errors = dict.fromkeys((HTTPException, ValueError, NotFoundError, NameTakenError), _refused)
        self._paths = [route.path for route in routes]
        self._app = Starlette(routes=routes, exception_handlers=errors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        raw_path: bytes = scope["raw_path"]
        app: ASGIApp = self._mock.asgi
        if raw_path == b"/" and _wants_page(Request(scope)):
            app = RedirectResponse(f"{PREFIX}/docs")
        elif raw_path == PREFIX.encode() or raw_path.startswith(PREFIX.encode() + b"/"):
            why = self._why_not(Request(scope))
            app = _answer({"message": why}, HTTPStatus.FORBIDDEN) if why else self._app
        await app(scope, receive, send)

    def _why_not(self, request: Request) -> str | None:
        """Why the request may not come in; None if it may."""
        headers, host = request.headers, request.headers.get("host", "")
        if self._token:
            given = headers.get("authorization", "")
            ours = hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())
            return None if ours else "needs the token of --admin-token as Authorization: Bearer"
        if _name(f"//{host}") not in LOOPBACK:
            return f"Host: must be one of {', '.join(LOOPBACK)}, with the port"
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return "Origin: a page elsewhere may not ask this"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "Sec-Fetch-Site: a page elsewhere may not ask this"
        return None

    async def _index(self, _: Request) -> Response:
        return _answer({"paths": self._paths})

    async def _page(self, request: Request) -> Response:
        answer = self._docs.answer(request.url.path)
        if answer is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return answer

    async def _health(self, _: Request) -> Response:
        return _answer({"status": "ok", "version": self._mock.contract.version})

    async def _requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._mock.control.journal.clear()
        journal = [entry._asdict() for entry in self._mock.control.journal]
        return _answer({"requests": journal, "total": len(journal)})

    async def _count(self, request: Request) -> Response:
        wanted = await _body(request, *Entry._fields)
        entries = [entry._asdict() for entry in self._mock.control.journal]
        found = [e for e in entries if all(_same(e[key], value) for key, value in wanted.items())]
        return _answer({"count": len(found)})

    async def _reset(self, _: Request) -> Response:
        await self._mock.store.reset(self._mock.fixtures)
        self._mock.control.clear()
        return _answer({"status": "ok"})

    async def _settings(self, request: Request) -> Response:
        control: Control = self._mock.control
        if request.method == "POST":
            given = await _body(request, "fixedDelay", "answerNext")
            if "answerNext" in given:
                control.answer_next(**_planned(given["answerNext"]))
            if "fixedDelay" in given:
                control.delay = _milliseconds("fixedDelay", given["fixedDelay"])
        return _answer({"fixedDelay": control.delay * 1000, "planned": len(control.planned)})

    async def _configurations(self, request: Request) -> Response:
        if request.method == "GET":
            return _answer({"configurations": await self._mock.store.configurations()})
        given = await _body(request, "workspace", "id", *self._mock.contract.fields)
        place = [given.pop(key, "") for key in ("workspace", "id")]
        if not all(isinstance(part, str) for part in place):
            raise ValueError("workspace, id: must be strings")
        more = self._mock.new_configuration(given, *place)
        await self._mock.store.add(more)
        id = more.configurations[0].id
        return _answer(await self._shown(id), HTTPStatus.CREATED)

    async def _configuration(self, request: Request) -> Response:
        return _answer(await self._shown(request.path_params["id"]))

    async def _shown(self, id: str) -> dict[str, Any]:
        return {"id": id, **await self._mock.store.configuration(id)}


def _answer(content: dict[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _answer({"message": error.detail}, error.status_code)
    if isinstance(error, NotFoundError):
        return _answer({"message": "id: no configuration has it"}, HTTPStatus.NOT_FOUND)
    if isinstance(error, NameTakenError):
        message = "another configuration has this id, or this name in the workspace"
        return _answer({"message": message}, HTTPStatus.CONFLICT)
    return _answer({"message": str(error)}, HTTPStatus.BAD_REQUEST)


async def _body(request: Request, *known: str) -> dict[str, Any]:
    """The body, a JSON object with none but these keys; raises `ValueError`."""
    given = body.parse(await body.read(request, MOST_BYTES))
    if not isinstance(given, dict) or given.keys() - set(known):
        raise ValueError(f"body: must be a JSON object; it may have {', '.join(known)}")
    return given


def _planned(given: Any) -> dict[str, Any]:
    """The arguments of `Control.answer_next`, whose delay here is in milliseconds."""
    kinds = {"status": int, "times": int, "delay": int, "fault": str, "afterUpdate": bool}
    if not isinstance(given, dict) or any(
        type(value) is not kinds.get(key) for key, value in given.items()
    ):
        said = ", ".join(f"{key} ({kind.__name__})" for key, kind in kinds.items())
        raise ValueError(f"answerNext: must be an object; it may have {said}")
    if "delay" in given:
        given["delay"] = _milliseconds("delay", given["delay"])
    if "afterUpdate" in given:
        given["after_update"] = given.pop("afterUpdate")
    return given


def _milliseconds(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{name}: must be a number of milliseconds")
    return seconds(name, value / 1000)


def _same(value: Any, wanted: Any) -> bool:
    return bool(list(value) == wanted if isinstance(value, tuple) else value == wanted)


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _wants_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
