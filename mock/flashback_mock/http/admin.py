"""The control API under `/__admin`, for tests in any language and for the mock's web page."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs, unquote

from multidict import CIMultiDict

from flashback_mock.control.calls import UnknownIdError, check_seconds, check_types
from flashback_mock.control.journal import MAX_ENTRIES, Entry
from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import Step
from flashback_mock.stores import StoreError

from . import body
from .app import App
from .guard import Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import INDEX, page_file

PREFIX = "/__admin"
MAX_BYTES = 1 << 18
MAX_WAIT_SECONDS = 60  # the mock does not detect when a waiting client disconnects
OK = {"status": "ok"}
Json = dict[str, Any]
AdminHandler = Callable[..., Awaitable[object]]
Control = Callable[..., object]  # a method of `Mock`

ID = "/configurations/{id}"
# Routes that call a `Mock` method and discard its result. The number is the success status.
COMMANDS: list[tuple[str, str, Control, int]] = [
    ("DELETE", ID, Mock.delete_configuration, 200),
    ("POST", "/members", Mock.add_member, 201),
    ("POST", "/members/access", Mock.set_access, 200),
    ("POST", "/tokens/expire", Mock.expire_token, 200),
    ("POST", "/tokens/revoke", Mock.revoke_token, 200),
    ("POST", "/reset", Mock.reset, 200),
]
# JSON names that differ from the Python names.
NAMES = {
    "afterUpdate": "after_update",
    "answerNext": "answer_next",
    "fixedDelay": "fixed_delay",
}
TIMES = {"delay", "duration", "fixed_delay", "timeout"}  # in milliseconds in JSON
MAX_MILLISECONDS = 1e9  # above every limit; a larger integer might not fit in a float
SETTINGS = {"fixed_delay": float, "answer_next": object}
STATUSES: dict[type[Exception], int] = {  # the first matching type applies
    UnknownIdError: 404,
    ValueError: 400,
    TimeoutError: 504,
    StoreError: 500,
}


class Admin:
    """The request handlers for `/__admin`. Their responses contain no credentials."""

    def __init__(self, mock: Mock, guard: Guard, app: App) -> None:
        """Add routes to `app` that control `mock`. `guard` decides which requests are allowed."""
        self._mock = mock
        self._guard = guard
        self._app = app
        app.add("GET", "/", self._root)
        login = partial(self._call, self._login, is_guarded=False)
        app.add("GET", f"{PREFIX}/login/{{session}}", login)
        for path in ("/docs", "/docs/{name}"):
            app.add("GET", PREFIX + path, partial(self._call, self._docs, is_page=True))
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
            app.add(method, PREFIX + path, partial(self._call, handler))

    async def _call(
        self,
        handler: AdminHandler,
        request: Request,
        *raw: str,
        is_page: bool = False,
        is_guarded: bool = True,
    ) -> Answer:
        try:
            if is_guarded:
                self._guard.check(request, is_page=is_page)
            content = await handler(request, *(unquote(parameter) for parameter in raw))
        except HttpError as error:
            content = error_answer(error.status, error.message, error.headers)
        except tuple(STATUSES) as error:
            status = next(STATUSES[kind] for kind in STATUSES if isinstance(error, kind))
            content = error_answer(status, _with_json_names(str(error)))
        answer = content if isinstance(content, Answer) else json_answer(200, content)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    async def _perform(self, control: Control, request: Request, *path: str) -> Any:
        """Call a `Mock` method with the arguments from the path and the body."""
        method = _coroutine_method(control)
        return await method(self._mock, *path, **_arguments(_content(request)))

    async def _command(self, control: Control, status: int, request: Request, *path: str) -> Answer:
        await self._perform(control, request, *path)
        return json_answer(status, OK)

    async def _root(self, request: Request) -> Answer:
        """Redirect a browser to the mock's web page."""
        if "text/html" in request.headers.get("Accept", ""):
            return Answer(303, b"", CIMultiDict({"Location": f"{PREFIX}/docs"}))
        raise HttpError(404, f"Not found; see {PREFIX} for a list of all paths")

    async def _docs(self, request: Request, name: str = INDEX) -> Answer:
        return page_file(self._mock.contract, request, name or INDEX)

    async def _login(self, _request: Request, session: str) -> Answer:
        """Set the session cookie and redirect the browser to the mock's web page.

        The mock prints a link to this handler when it starts.
        """
        if not self._guard.is_session(session):
            raise HttpError(401, "This link is not valid; open the latest link the mock printed")
        cookie = f"{self._guard.cookie}={session}; Path={PREFIX}; HttpOnly; SameSite=Lax"
        headers = {"Location": f"{PREFIX}/docs", "Set-Cookie": cookie}
        return Answer(303, b"", CIMultiDict(headers))

    async def _index(self, _request: Request) -> Json:
        routes = self._app.routes
        return {"paths": {path: routes[path] for path in routes if path.startswith(PREFIX)}}

    async def _fixtures(self, _request: Request) -> Json:
        fixtures = self._mock.fixtures
        access = {token.user: fixtures.describe(token) for token in fixtures.tokens}
        return {"tokens": self._mock.tokens, "access": access, "ids": self._mock.ids}

    async def _requests(self, request: Request) -> Json:
        last = parse_qs(request.query).get("last", [str(MAX_ENTRIES)])[0]
        if not re.fullmatch("[1-9][0-9]{0,4}", last) or int(last) > MAX_ENTRIES:
            raise ValueError(f"last: must be a number from 1 to {MAX_ENTRIES}")
        entries = self._mock.requests
        return _log(entries[-int(last) :], len(entries))

    async def _clear_requests(self, request: Request) -> Json:
        await self._perform(Mock.clear_requests, request)
        return _log([], 0)

    async def _wait(self, request: Request) -> Json:
        arguments = _arguments(_content(request))
        timeout = arguments.get("timeout", 0)
        check_types({"timeout": timeout}, {"timeout": float})
        if not 0 <= timeout <= MAX_WAIT_SECONDS:
            raise ValueError(f"timeout: must be from 0 to {MAX_WAIT_SECONDS * 1000} milliseconds")
        entries: Any = await _coroutine_method(Mock.wait_for)(self._mock, **arguments)
        return _log(entries, len(entries))

    async def _settings(self, _request: Request) -> Json:
        planned = [_step(plan) for plan in self._mock.plans.planned]
        return {"fixedDelay": _milliseconds(self._mock.delay), "planned": planned}

    async def _change_settings(self, request: Request) -> Json:
        settings = _arguments(_content(request))
        check_types(settings, SETTINGS)
        delay = settings.get("fixed_delay", self._mock.delay)
        check_seconds("fixed_delay", delay)
        if "answer_next" in settings:
            steps = settings["answer_next"]
            if not isinstance(steps, list):
                steps = [steps]
            plans = [_arguments(step, "answerNext") for step in steps]
            await _coroutine_method(Mock.answer_sequence)(self._mock, *plans)
        self._mock.delay = delay
        return await self._settings(request)

    async def _clear_settings(self, request: Request) -> Json:
        await self._perform(Mock.clear_planned, request)
        return await self._settings(request)

    async def _configurations(self, _request: Request) -> Json:
        return {"configurations": await self._mock.store.configurations()}

    async def _add_configuration(self, request: Request) -> Answer:
        id = await self._perform(Mock.add_configuration, request)
        return json_answer(201, {"id": id, **await self._mock.store.configuration(id)})

    async def _configuration(self, request: Request, id: str) -> Json:
        return {"id": id, **await self._perform(Mock.configuration, request, id)}

    async def _reveals(self, request: Request, id: str) -> Json:
        return {"reveals": await self._perform(Mock.reveals, request, id)}

    async def _updated(self, request: Request, id: str) -> Json:
        try:
            await self._perform(Mock.assert_updated, request, id)
        except AssertionError as error:
            return {"updated": False, "message": str(error)}
        return {"updated": True, "message": ""}


def add_health(app: App, version: str) -> None:
    """Add the health check, which never requires a token."""

    async def health(_request: Request) -> Answer:
        return json_answer(200, {**OK, "version": version}, {"Cache-Control": "no-store"})

    app.add("GET", f"{PREFIX}/health", health)


def _log(entries: list[Entry], total: int) -> Json:
    return {"requests": [entry.to_dict() for entry in entries], "total": total}


def _content(request: Request) -> object:
    """Return the body's JSON value, or an empty object if the body is empty."""
    body.check_complete(request, MAX_BYTES)
    return body.parse(request.body) if request.body else {}


def _coroutine_method(control: Control) -> AdminHandler:
    """Return the coroutine method that a blocking `Mock` method wraps."""
    method: AdminHandler = cast("Any", control).__wrapped__
    return method


def _arguments(content: object, place: str = "body") -> Json:
    """Convert a JSON object's fields to Python arguments.

    Names are converted from camelCase to snake_case, and times from milliseconds to seconds.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{place}: must be a JSON object")
    arguments: Json = {}
    for key, value in cast("Json", content).items():
        if key in NAMES.values():
            raise ValueError(f"{place}: field names must be in camelCase")
        name = NAMES.get(key, key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in TIMES and is_number:
            arguments[name] = max(-1, min(value, MAX_MILLISECONDS)) / 1000
        else:
            arguments[name] = value
    return arguments


def _step(plan: Step) -> Json:
    """Convert a plan to a JSON object. `_arguments` does the reverse."""
    step: Json = {**plan}
    for name in TIMES & step.keys():
        step[name] = _milliseconds(step[name])
    if step.get("times") == 1:
        del step["times"]
    return {_with_json_names(name): value for name, value in step.items()}


def _with_json_names(text: str) -> str:
    for json_name, name in NAMES.items():
        text = text.replace(name, json_name)
    return text


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
