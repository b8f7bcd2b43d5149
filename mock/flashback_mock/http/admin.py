"""`/__admin`: the control API for tests in any language and for the page."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import Parameter, signature
from typing import Any, cast, get_type_hints
from urllib.parse import parse_qs, unquote

from multidict import CIMultiDict

from flashback_mock.control.arguments import check_seconds, check_types
from flashback_mock.control.calls import UnknownIdError
from flashback_mock.control.journal import CRITERIA, Entry
from flashback_mock.control.mock import Mock
from flashback_mock.stores import StoreError

from . import body
from .guard import COOKIE, Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import INDEX, page_file
from .routes import Routes

PREFIX = "/__admin"
MAX_BYTES = 1 << 18
OK = {"status": "ok"}
AdminHandler = Callable[..., Awaitable[object]]

ID = "/configurations/{id}"
# The body has the method's arguments; its result is in the field, if there is a name for one.
CONTROLS: list[tuple[str, str, Callable[..., object], str]] = [
    ("DELETE", "/requests", Mock.clear_requests, ""),
    ("POST", "/requests/wait", Mock.wait_for, "requests"),
    ("DELETE", "/settings", Mock.clear_planned, ""),
    ("POST", "/configurations", Mock.add_configuration, "id"),
    ("GET", ID, Mock.configuration, "configuration"),
    ("DELETE", ID, Mock.delete_configuration, ""),
    ("POST", f"{ID}/reveals", Mock.reveals, "reveals"),
    ("POST", f"{ID}/assert-updated", Mock.assert_updated, ""),
    ("POST", "/members", Mock.add_member, ""),
    ("POST", "/tokens/expire", Mock.expire_token, ""),
    ("POST", "/tokens/revoke", Mock.revoke_token, ""),
    ("POST", "/reset", Mock.reset, ""),
]
STATUSES: dict[type[Exception], int] = {  # the first that matches
    UnknownIdError: 404,
    ValueError: 400,
    AssertionError: 409,
    TimeoutError: 504,
    StoreError: 500,
}


class Admin:
    """The handlers of `/__admin`. An answer is JSON, and contains no credential."""

    def __init__(self, mock: Mock, guard: Guard, routes: Routes) -> None:
        """Control `mock` for callers that `guard` admits; add all routes."""
        self._mock = mock
        self._guard = guard
        self._routes = routes
        routes.add("GET", "/", self._root)
        for path in ("/docs", "/docs/{name}"):
            routes.add("GET", PREFIX + path, partial(self._call, self._docs, is_page=True))
        handlers: list[tuple[str, str, AdminHandler]] = [
            ("GET", "", self._index),
            ("GET", "/", self._index),
            ("GET", "/fixtures", self._fixtures),
            ("GET", "/requests", self._requests),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
        ]
        for method, path, function, result in CONTROLS:
            handlers.append((method, path, self._control(function, result, path)))
        for method, path, handler in handlers:
            routes.add(method, PREFIX + path, partial(self._call, handler))

    async def _call(
        self, handler: AdminHandler, request: Request, *raw: str, is_page: bool = False
    ) -> Answer:
        """Check that the request is admitted, and answer it."""
        try:
            if not (is_page and self._guard.is_login(request)):
                self._guard.check(request, is_page=is_page)
            content = await handler(request, *(unquote(parameter) for parameter in raw))
        except HttpError as error:
            content = error_answer(error.status, error.message, error.headers)
        except tuple(STATUSES) as error:
            status = next(STATUSES[kind] for kind in STATUSES if isinstance(error, kind))
            content = error_answer(status, str(error))
        answer = content if isinstance(content, Answer) else json_answer(200, content)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    def _control(self, function: Callable[..., object], result: str, path: str) -> AdminHandler:
        """Return a handler that calls a method of `Mock`."""
        method: AdminHandler = cast("Any", function).__wrapped__
        annotations = self._annotations(function)
        if path.startswith(ID):
            del annotations["id"]
        parameters = signature(function).parameters.values()
        required = [given.name for given in parameters if given.default is Parameter.empty]

        async def handler(request: Request, *path: str) -> object:
            arguments = _fields(request)
            check_types(arguments, annotations)
            for name in required:
                if name in annotations and name not in arguments:
                    raise ValueError(f"{name}: is missing")
            value = await method(self._mock, *path, **arguments)
            if isinstance(value, list):
                value = _log(cast("list[Entry]", value))
            return {result: value} if result else OK

        return handler

    def _annotations(self, function: Callable[..., object]) -> dict[str, Any]:
        """Return the annotations of the fields that a body may have."""
        annotations = get_type_hints(function)
        annotations.pop("return")
        if annotations.pop("fields", None) or annotations.pop("credentials", None):
            annotations |= dict.fromkeys(self._mock.contract.fields, str)
        elif annotations.pop("criteria", None):
            annotations |= CRITERIA
        return annotations

    async def _root(self, request: Request) -> Answer:
        """Redirect a browser to the page."""
        if "text/html" in request.headers.get("Accept", ""):
            return Answer(303, b"", CIMultiDict({"Location": f"{PREFIX}/docs"}))
        raise HttpError(404, f"There is nothing at this path; {PREFIX} lists what there is")

    async def _docs(self, request: Request, name: str = INDEX) -> object:
        if not self._guard.is_login(request):
            return page_file(self._mock.contract, request, name or INDEX)
        cookie = f"{COOKIE}={self._guard.session}; Path={PREFIX}; HttpOnly; SameSite=Lax"
        headers = {"Location": f"{PREFIX}/docs", "Set-Cookie": cookie}
        return Answer(303, b"", CIMultiDict(headers))

    async def _index(self, _request: Request) -> object:
        table = self._routes.table
        return {"paths": {path: table[path] for path in table if path.startswith(PREFIX)}}

    async def _fixtures(self, _request: Request) -> object:
        fixtures = self._mock.fixtures
        access = {token.user: fixtures.describe(token) for token in fixtures.tokens}
        return {"tokens": self._mock.tokens, "access": access, "ids": self._mock.ids}

    async def _requests(self, request: Request) -> object:
        last = parse_qs(request.query).get("last", ["0"])[0]
        entries = self._mock.requests
        shown = entries[-int(last) :] if re.fullmatch("[0-9]{1,5}", last) else entries
        return {"requests": _log(shown), "total": len(entries)}

    async def _settings(self, _request: Request) -> object:
        planned = [plan.to_dict() for plan in self._mock.plans.planned]
        return {"delay": self._mock.delay, "planned": planned}

    async def _change_settings(self, request: Request) -> object:
        given = _fields(request)
        check_types(given, {"delay": float, "answer_next": dict | list})
        delay = given.get("delay", self._mock.delay)
        check_seconds("delay", delay)
        if "answer_next" in given:
            steps = given["answer_next"]
            plan: AdminHandler = cast("Any", Mock.answer_sequence).__wrapped__
            await plan(self._mock, *(steps if isinstance(steps, list) else [steps]))
        self._mock.delay = delay
        return await self._settings(request)


def add_health(routes: Routes, mock: Mock) -> None:
    """Add the health check, which needs no token on any address."""

    async def health(_request: Request) -> Answer:
        content = {**OK, "version": mock.contract.version}
        return json_answer(200, content, {"Cache-Control": "no-store"})

    routes.add("GET", f"{PREFIX}/health", health)


def _log(entries: list[Entry]) -> list[dict[str, Any]]:
    return [entry.to_dict() for entry in entries]


def _fields(request: Request) -> dict[str, Any]:
    """Return the body, a JSON object; an empty one is an object without fields."""
    body.check_complete(request, MAX_BYTES)
    fields = body.parse(request.body) if request.body else {}
    if not isinstance(fields, dict):
        raise ValueError("body: must be a JSON object")
    return cast("dict[str, Any]", fields)
