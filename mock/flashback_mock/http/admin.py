"""`/__admin`: the control API for tests in any language and for the page."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import Parameter, signature
from typing import Any, cast
from urllib.parse import parse_qs, unquote

from multidict import CIMultiDict

from flashback_mock.control.calls import UnknownIdError
from flashback_mock.control.journal import CRITERIA, Entry
from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import STEP
from flashback_mock.stores import StoreError

from . import arguments, body
from .guard import COOKIE, Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import INDEX, page_file
from .routes import Routes

PREFIX = "/__admin"
MAX_BYTES = 1 << 18
OK = {"status": "ok"}
AdminHandler = Callable[..., Awaitable[object]]
Control = Callable[..., object]  # a method of `Mock`

ID = "/configurations/{id}"
# Methods whose result does not matter, and their status on success.
COMMANDS: list[tuple[str, str, Control, int]] = [
    ("DELETE", ID, Mock.delete_configuration, 200),
    ("POST", "/members", Mock.add_member, 201),
    ("POST", "/tokens/expire", Mock.expire_token, 200),
    ("POST", "/tokens/revoke", Mock.revoke_token, 200),
    ("POST", "/reset", Mock.reset, 200),
]
SETTINGS = {"fixedDelay": float, "answerNext": dict | list}
STATUSES: dict[type[Exception], int] = {  # the first that matches
    UnknownIdError: 404,
    ValueError: 400,
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
            ("DELETE", "/requests", self._clear_requests),
            ("POST", "/requests/wait", self._wait),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
            ("DELETE", "/settings", self._clear_settings),
            ("GET", "/configurations", self._configurations),
            ("POST", "/configurations", self._add_configuration),
            ("GET", ID, self._configuration),
            ("POST", f"{ID}/reveals", self._reveals),
            ("POST", f"{ID}/updated", self._updated),
        ]
        for method, path, control, status in COMMANDS:
            handlers.append((method, path, partial(self._command, control, status)))
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

    async def _perform(self, control: Control, request: Request, *path: str) -> Any:
        """Call a method of `Mock`: the path and the body have its arguments."""
        parameters = [*signature(control, eval_str=True).parameters.values()][len(path) + 1 :]
        kinds: dict[str, Any] = {}
        required: list[str] = []
        for parameter in parameters:
            key = arguments.json_name(parameter.name)
            if parameter.name == "criteria":
                kinds |= CRITERIA  # named as in the log
            elif parameter.kind is Parameter.VAR_KEYWORD:
                kinds |= dict.fromkeys(self._mock.contract.fields, str)
            else:
                kinds[key] = parameter.annotation
                if parameter.default is Parameter.empty:
                    required.append(key)
        content = _content(request)
        given = arguments.from_json("body", content, kinds)
        for key in required:
            if key not in content:
                raise ValueError(f"{key}: is missing")
        method: AdminHandler = cast("Any", control).__wrapped__
        return await method(self._mock, *path, **given)

    async def _command(self, control: Control, status: int, request: Request, *path: str) -> Answer:
        await self._perform(control, request, *path)
        return json_answer(status, OK)

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
        return {**_log(shown), "total": len(entries)}

    async def _clear_requests(self, request: Request) -> object:
        await self._perform(Mock.clear_requests, request)
        return await self._requests(request)

    async def _wait(self, request: Request) -> object:
        entries = await self._perform(Mock.wait_for, request)
        return {**_log(entries), "total": len(entries)}

    async def _settings(self, _request: Request) -> object:
        planned = [arguments.to_json(plan.to_dict()) for plan in self._mock.plans.planned]
        return {**arguments.to_json({"fixed_delay": self._mock.delay}), "planned": planned}

    async def _change_settings(self, request: Request) -> object:
        given = arguments.from_json("body", _content(request), SETTINGS)
        if "answer_next" in given:
            steps = given["answer_next"]
            steps = steps if isinstance(steps, list) else [steps]
            kinds = {arguments.json_name(name): kind for name, kind in STEP.items()}
            steps = [arguments.from_json("answerNext", step, kinds) for step in steps]
            plan: AdminHandler = cast("Any", Mock.answer_sequence).__wrapped__
            await plan(self._mock, *steps)
        self._mock.delay = given.get("fixed_delay", self._mock.delay)
        return await self._settings(request)

    async def _clear_settings(self, request: Request) -> object:
        await self._perform(Mock.clear_planned, request)
        return await self._settings(request)

    async def _configurations(self, _request: Request) -> object:
        return {"configurations": await self._mock.store.configurations()}

    async def _add_configuration(self, request: Request) -> object:
        id = await self._perform(Mock.add_configuration, request)
        return json_answer(201, {"id": id, **await self._mock.store.configuration(id)})

    async def _configuration(self, request: Request, id: str) -> object:
        return {"id": id, **await self._perform(Mock.configuration, request, id)}

    async def _reveals(self, request: Request, id: str) -> object:
        return {"reveals": await self._perform(Mock.reveals, request, id)}

    async def _updated(self, request: Request, id: str) -> object:
        try:
            await self._perform(Mock.assert_updated, request, id)
        except AssertionError as error:
            return {"updated": False, "message": str(error)}
        return {"updated": True, "message": ""}


def add_health(routes: Routes, mock: Mock) -> None:
    """Add the health check, which needs no token on any address."""

    async def health(_request: Request) -> Answer:
        content = {**OK, "version": mock.contract.version}
        return json_answer(200, content, {"Cache-Control": "no-store"})

    routes.add("GET", f"{PREFIX}/health", health)


def _log(entries: list[Entry]) -> dict[str, Any]:
    return {"requests": [entry.to_dict() for entry in entries]}


def _content(request: Request) -> Any:
    """Return the body's JSON; an empty body is an object without fields."""
    body.check_complete(request, MAX_BYTES)
    return body.parse(request.body) if request.body else {}
