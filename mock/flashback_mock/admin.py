"""`/__admin`: the mock's own doors, which no contract has, for people and for other languages."""

import hmac
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import body
from .app import headers_of, token_of
from .contract import Json
from .control import LONGEST_DELAY, Control, Entry
from .docs import Docs
from .mock import Mock
from .stores import NAME_TAKEN, NameTakenError, NotFoundError, StoreError

PREFIX = "/__admin"
# A name that resolves to this machine only: any other could be a web page's own (DNS rebinding).
LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
MOST_BYTES = 1 << 18
# What a request of the journal may be looked for by.
KINDS: dict[str, type] = {
    **dict.fromkeys(Entry._fields, str),
    "status": int,
    "milliseconds": float,
    "fields": list,
    "updated": bool,
}
# What a person is told; a ValueError says it itself.
ANSWERS: dict[type[Exception], tuple[HTTPStatus, str]] = {
    NotFoundError: (HTTPStatus.NOT_FOUND, "id: no configuration has it"),
    NameTakenError: (HTTPStatus.CONFLICT, NAME_TAKEN),
    ClientDisconnect: (HTTPStatus.BAD_REQUEST, "the client went away"),
}


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
        errors = dict.fromkeys((HTTPException, ValueError, StoreError, *ANSWERS), _refused)
        self._paths = [route.path for route in routes]
        self._app = Starlette(routes=routes, exception_handlers=errors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        raw_path: bytes = scope["raw_path"]
        app: ASGIApp = self._mock.asgi
        if raw_path == b"/" and not self._token and _wants_page(Request(scope)):
            app = RedirectResponse(f"{PREFIX}/docs")
        elif raw_path == PREFIX.encode() or raw_path.startswith(PREFIX.encode() + b"/"):
            app = self._refusal(Request(scope)) or self._app
        await app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        """Why the request may not come in; None if it may."""
        if self._token:
            if hmac.compare_digest(token_of(headers_of(request.scope)), self._token):
                return None
            why = "Authorization: needs the bearer token of --admin-token"
            challenge = {"WWW-Authenticate": "Bearer"}
            return _answer({"message": why}, HTTPStatus.UNAUTHORIZED, challenge)
        foreign = _why_foreign(request)
        return _answer({"message": foreign}, HTTPStatus.FORBIDDEN) if foreign else None

    async def _index(self, _: Request) -> Response:
        return _answer({"paths": self._paths})

    async def _page(self, request: Request) -> Response:
        return self._docs.answer(**request.path_params)

    async def _health(self, _: Request) -> Response:
        return _answer({"status": "ok", "version": self._mock.contract.version})

    async def _requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._mock.control.journal.clear()
        journal = [entry._asdict() for entry in self._mock.control.journal]
        return _answer({"requests": journal, "total": len(journal)})

    async def _count(self, request: Request) -> Response:
        wanted = await _body(request, *Entry._fields)
        for key, value in wanted.items():
            if type(value) is not KINDS[key]:
                raise ValueError(f"{key}: must be of type {KINDS[key].__name__}")
        if "fields" in wanted:
            wanted["fields"] = tuple(wanted["fields"])
        entries = [entry._asdict() for entry in self._mock.control.journal]
        return _answer({"count": sum(entry | wanted == entry for entry in entries)})

    async def _reset(self, _: Request) -> Response:
        await self._mock.store.reset(self._mock.fixtures)
        self._mock.control.clear()
        return _answer({"status": "ok"})

    async def _settings(self, request: Request) -> Response:
        control: Control = self._mock.control
        if request.method == "POST":
            given = await _body(request, "fixedDelay", "answerNext")
            delay = _milliseconds("fixedDelay", given.get("fixedDelay", control.delay * 1000))
            if "answerNext" in given:
                control.answer_next(**_planned(given["answerNext"]))
            control.delay = delay
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

    async def _shown(self, id: str) -> Json:
        return {"id": id, **await self._mock.store.configuration(id)}


def _answer(
    content: Json, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _answer({"message": error.detail}, error.status_code, error.headers)
    if isinstance(error, StoreError):
        status, why = HTTPStatus.INTERNAL_SERVER_ERROR, str(error)
    else:
        status, why = ANSWERS.get(type(error), (HTTPStatus.BAD_REQUEST, str(error)))
    return _answer({"message": why}, status)


def _why_foreign(request: Request) -> str | None:
    """Why a page elsewhere could have made this request; None if none could."""
    headers, host = request.headers, request.headers.get("host", "")
    if not LOOPBACK.fullmatch(host):
        return "Host: must be localhost, 127.0.0.1 or [::1], with the port"
    if headers.get("origin", f"http://{host}") != f"http://{host}":
        return "Origin: a page elsewhere may not ask this"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "Sec-Fetch-Site: a page elsewhere may not ask this"
    return None


async def _body(request: Request, *known: str) -> Json:
    """The body, a JSON object with none but these keys; raises `ValueError`."""
    scope = request.scope
    given = body.parse(await body.read(scope, request.receive, headers_of(scope), MOST_BYTES))
    if not isinstance(given, dict) or (asked := cast("Json", given)).keys() - set(known):
        raise ValueError(f"body: must be a JSON object with nothing but {', '.join(known)}")
    return asked


def _planned(given: Any) -> Json:
    """The arguments of `Control.answer_next`, whose delay here is in milliseconds."""
    kinds = {"status": int, "times": int, "fault": str, "afterUpdate": bool, "delay": None}
    if not isinstance(given, dict) or (asked := cast("Json", given)).keys() - kinds.keys():
        raise ValueError(f"answerNext: must be an object with nothing but {', '.join(kinds)}")
    planned: Json = {}
    for key, value in asked.items():
        if (kind := kinds[key]) is None:
            planned[key] = _milliseconds(key, value)
        elif type(value) is kind:
            planned["after_update" if key == "afterUpdate" else key] = value
        else:
            raise ValueError(f"answerNext: {key}: must be of type {kind.__name__}")
    return planned


def _milliseconds(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{name}: must be a number of milliseconds")
    if not 0 <= value <= LONGEST_DELAY * 1000:
        raise ValueError(f"{name}: must be from 0 to {LONGEST_DELAY * 1000:.0f} milliseconds")
    return float(value / 1000)


def _wants_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")
