"""The control API under `/__admin`, for tests in any language and for the mock's web page."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

from multidict import CIMultiDict

from flashback_mock.control.calls import UnknownIdError, check_seconds, check_types
from flashback_mock.control.journal import Entry
from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import Step
from flashback_mock.stores.errors import StoreError

from . import body
from .app import App
from .guard import Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import INDEX, page_file

PREFIX = "/__admin"
Json = dict[str, Any]
AdminHandler = Callable[..., Awaitable[object]]
Control = Callable[..., object]  # a method of `Mock`

ID = "/configurations/{id}"
TIMES = {"delay", "duration", "fixedDelay", "timeout"}  # in JSON, times are in milliseconds
SETTINGS = {"fixedDelay": float, "answerNext": object}
STATUSES: dict[type[Exception], int] = {  # the first matching type determines the status
    UnknownIdError: 404,
    ValueError: 400,
    TimeoutError: 504,
    StoreError: 500,
}


def _log(entries: list[Entry], total: int | None = None) -> Json:
    requests = [entry.to_dict() for entry in entries]
    return {"requests": requests, "total": len(entries) if total is None else total}


def _ok(_result: object) -> Json:
    return {"status": "ok"}


# Routes that call a `Mock` method, and the functions that convert its result to a response.
CONTROLS: list[tuple[str, str, Control, Callable[[Any], object]]] = [
    ("GET", ID, Mock.configuration, dict),
    ("DELETE", ID, Mock.delete_configuration, _ok),
    ("POST", f"{ID}/reveals", Mock.reveals, lambda result: {"reveals": result}),
    ("POST", "/members", Mock.add_member, lambda result: json_answer(201, _ok(result))),
    ("POST", "/tokens/expire", Mock.expire_token, _ok),
    ("POST", "/tokens/revoke", Mock.revoke_token, _ok),
    ("POST", "/requests/wait", Mock.wait_for, _log),
    ("DELETE", "/requests", Mock.clear_requests, _ok),
    ("DELETE", "/settings", Mock.clear_planned, _ok),
    ("POST", "/reset", Mock.reset, _ok),
]


class Admin:
    """The handlers for all `/__admin` paths except `health`. No response contains a credential."""

    def __init__(self, mock: Mock, guard: Guard, app: App) -> None:
        self._mock = mock
        self._guard = guard
        self._app = app
        app.add("GET", "/", self._root)
        app.add("GET", f"{PREFIX}/login/{{session}}", self._login)
        handlers: list[tuple[str, str, AdminHandler]] = [
            ("GET", "", self._index),
            ("GET", "/", self._index),
            ("GET", "/docs", self._docs),
            ("GET", "/docs/{name}", self._docs),
            ("GET", "/fixtures", self._fixtures),
            ("GET", "/requests", self._requests),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
            ("GET", "/configurations", self._configurations),
            ("POST", "/configurations", self._add_configuration),
            ("POST", f"{ID}/updated", self._updated),
        ]
        for method, path, control, convert in CONTROLS:
            handlers.append((method, path, partial(self._perform, control, convert)))
        for method, path, handler in handlers:
            app.add(method, PREFIX + path, partial(self._call, handler))

    async def _call(self, handler: AdminHandler, request: Request, *raw: str) -> Answer:
        try:
            self._guard.check(request, is_page=request.path.startswith(f"{PREFIX}/docs"))
            content = await handler(request, *(unquote(parameter) for parameter in raw))
        except HttpError as error:
            content = error_answer(error.status, error.message, error.headers)
        except tuple(STATUSES) as error:
            status = next(STATUSES[kind] for kind in STATUSES if isinstance(error, kind))
            content = error_answer(status, str(error).replace("after_update", "afterUpdate"))
        answer = content if isinstance(content, Answer) else json_answer(200, content)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    async def _perform(
        self, control: Control, convert: Callable[[Any], object], request: Request, *path: str
    ) -> object:
        """Call a `Mock` method with the arguments from the path and the body."""
        # Await the coroutine method, because the `Mock` method would block the event loop.
        method: AdminHandler = cast("Any", control).__wrapped__
        return convert(await method(self._mock, *path, **_arguments(self._content(request))))

    def _content(self, request: Request) -> object:
        """Return the body's JSON value, or an empty object if the body is empty."""
        body.check_complete(request, self._mock.contract.max_body_bytes)
        return body.parse(request.body) if request.body else {}

    async def _root(self, _request: Request) -> Answer:
        return Answer(303, b"", CIMultiDict({"Location": f"{PREFIX}/docs"}))

    async def _index(self, _request: Request) -> Json:
        routes = self._app.routes
        return {"paths": {path: routes[path] for path in routes if path.startswith(PREFIX)}}

    async def _docs(self, request: Request, name: str = INDEX) -> Answer:
        return page_file(self._mock.contract, request, name or INDEX)

    async def _login(self, request: Request, session: str) -> Answer:
        """Set the session cookie. The mock prints a link to this handler when it starts."""
        if not self._guard.is_session(session):
            raise HttpError(401, "This link is not valid; open the latest link the mock printed")
        cookie = f"{self._guard.cookie}={session}; Path={PREFIX}; HttpOnly; SameSite=Lax"
        answer = await self._root(request)
        answer.headers.update({"Set-Cookie": cookie, "Cache-Control": "no-store"})
        return answer

    async def _fixtures(self, _request: Request) -> Json:
        fixtures = self._mock.fixtures
        access = {token.user: fixtures.describe(token) for token in fixtures.tokens}
        return {"tokens": self._mock.tokens, "access": access, "ids": self._mock.ids}

    async def _requests(self, request: Request) -> Json:
        entries = self._mock.requests
        last = re.fullmatch("(?:last=([1-9][0-9]{0,8}))?", request.query)
        if not last:
            raise ValueError("last: must be a positive number; no other parameter is allowed")
        return _log(entries[-int(last[1]) :] if last[1] else entries, len(entries))

    async def _settings(self, _request: Request) -> Json:
        planned = [_step(plan) for plan in self._mock.planned]
        return {"fixedDelay": _milliseconds(self._mock.delay), "planned": planned}

    async def _change_settings(self, request: Request) -> Json:
        settings = _arguments(self._content(request))
        check_types(settings, SETTINGS)
        delay = settings.get("fixedDelay", self._mock.delay)
        check_seconds("fixedDelay", delay)
        if "answerNext" in settings:
            steps = settings["answerNext"]
            if not isinstance(steps, list):
                steps = [steps]
            plans = [_arguments(step, "answerNext") for step in steps]
            await cast("Any", Mock.answer_sequence).__wrapped__(self._mock, *plans)
        self._mock.delay = delay
        return await self._settings(request)

    async def _configurations(self, _request: Request) -> Json:
        return {"configurations": await self._mock.store.configurations()}

    async def _add_configuration(self, request: Request) -> Answer:
        id = str(await self._perform(Mock.add_configuration, str, request))
        return json_answer(201, (await self._mock.store.find(id)).describe())

    async def _updated(self, request: Request, id: str) -> Json:
        try:
            await self._perform(Mock.assert_updated, _ok, request, id)
        except AssertionError as error:
            return {"updated": False, "message": str(error)}
        return {"updated": True, "message": ""}


def _arguments(content: Any, place: str = "body") -> Json:
    """Convert a JSON object to Python arguments, with times in seconds."""
    if not isinstance(content, dict):
        raise ValueError(f"{place}: must be a JSON object")
    arguments: Json = {**content}
    if "afterUpdate" in arguments:
        arguments["after_update"] = arguments.pop("afterUpdate")
    for name in TIMES & arguments.keys():
        if type(arguments[name]) in (int, float):
            # A larger integer might not fit in a float.
            arguments[name] = max(-1, min(arguments[name], 1e9)) / 1000
    return arguments


def _step(plan: Step) -> Json:
    """Convert a plan to a JSON object. `_arguments` does the reverse."""
    step: Json = {**plan}
    for name in TIMES & step.keys():
        step[name] = _milliseconds(step[name])
    if "after_update" in step:
        step["afterUpdate"] = step.pop("after_update")
    return step


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
