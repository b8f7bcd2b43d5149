"""The control API under `/__admin`, for tests in any language and for the mock's web page."""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

from multidict import CIMultiDict

from flashback_mock.contract import Json
from flashback_mock.control.arguments import TIMES, check_types
from flashback_mock.control.journal import Entry
from flashback_mock.control.mock import Mock
from flashback_mock.stores.errors import NotFoundError, StoreError

from . import body
from .app import App
from .guard import Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import INDEX, page_file

PREFIX = "/__admin"
ID = "/configurations/{id}"
MAX_LISTED = 1000  # encoding a longer list of requests would delay other responses
SETTINGS = {"fixedDelay": float, "answerNext": object}
OK = {"status": "ok"}

AdminHandler = Callable[..., Awaitable[object]]
Control = Callable[..., object]  # a `Mock` method

# The response status for each type of error.
ERRORS: dict[type[Exception], int] = {
    NotFoundError: 404,
    ValueError: 400,
    TimeoutError: 504,
    StoreError: 500,
}


def _log(entries: list[Entry], last: int = MAX_LISTED) -> Json:
    requests = [entry.to_dict() for entry in entries[-last:]]
    return {"requests": requests, "total": len(entries)}


def _ok(_result: object) -> Json:
    return OK


# Routes that call `Mock` methods, each with a function that converts the method's result.
CONTROLS: list[tuple[str, str, Control, Callable[[Any], object]]] = [
    ("POST", "/configurations", Mock.add_configuration, lambda id: json_answer(201, {"id": id})),
    ("GET", ID, Mock.configuration, dict),
    ("DELETE", ID, Mock.delete_configuration, _ok),
    ("POST", f"{ID}/reveals", Mock.reveals, lambda result: {"reveals": result}),
    ("POST", f"{ID}/updated", Mock.assert_updated, lambda _: {"updated": True, "message": ""}),
    ("POST", "/members", Mock.add_member, lambda _token: json_answer(201, OK)),
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

    def add_routes(self) -> None:
        """Add the routes to the application."""
        self._app.add("GET", f"{PREFIX}/login/{{session}}", self._login)
        for path in ("/", PREFIX, f"{PREFIX}/"):
            self._app.add("GET", path, self._root)
        self._add("GET", "/docs", self._docs)
        self._add("GET", "/docs/{name}", self._docs)
        self._add("GET", "/fixtures", self._fixtures)
        self._add("GET", "/requests", self._requests)
        self._add("GET", "/settings", self._settings)
        self._add("POST", "/settings", self._change_settings)
        for method, path, control, convert in CONTROLS:
            self._add(method, path, partial(self._perform, control, convert))

    def _add(self, method: str, path: str, handler: AdminHandler) -> None:
        self._app.add(method, PREFIX + path, partial(self._call, handler))

    async def _call(self, handler: AdminHandler, request: Request, *raw: str) -> Answer:
        try:
            self._guard.check(request, is_page=request.path.startswith(f"{PREFIX}/docs"))
            content = await handler(request, *map(unquote, raw))
        except HttpError as error:
            content = error_answer(error.status, error.message)
        except AssertionError as error:
            content = {"updated": False, "message": str(error)}
        except tuple(ERRORS) as error:
            status = next(ERRORS[kind] for kind in ERRORS if isinstance(error, kind))
            content = error_answer(status, str(error).replace("after_update", "afterUpdate"))
        answer = content if isinstance(content, Answer) else json_answer(200, content)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    async def _perform(
        self, control: Control, convert: Callable[[Any], object], request: Request, *path: str
    ) -> object:
        """Call a `Mock` method with the arguments from the path and the body."""
        result = await _await_control(control, self._mock, *path, **self._arguments(request))
        return convert(result)

    def _arguments(self, request: Request) -> Json:
        body.check_complete(request, self._mock.contract.max_body_bytes)
        return _to_python("body", body.parse(request.body)) if request.body else {}

    async def _root(self, _request: Request) -> Answer:
        return Answer(303, b"", CIMultiDict({"Location": f"{PREFIX}/docs"}))

    async def _docs(self, _request: Request, name: str = "") -> Answer:
        return page_file(self._mock.contract, name or INDEX)

    async def _login(self, request: Request, session: str) -> Answer:
        """Set the session cookie. The mock prints a link to this handler when it starts."""
        if not self._guard.is_session(session):
            message = "This link is not valid; open the link that the mock printed last"
            return error_answer(401, message)
        cookie = f"{self._guard.cookie}={session}; Path={PREFIX}; HttpOnly; SameSite=Lax"
        answer = await self._root(request)
        answer.headers.update({"Set-Cookie": cookie, "Cache-Control": "no-store"})
        return answer

    async def _fixtures(self, _request: Request) -> Json:
        access = self._mock.fixtures.access()
        return {"tokens": self._mock.tokens, "access": access, "ids": self._mock.ids}

    async def _requests(self, request: Request) -> Json:
        last = re.fullmatch("(?:last=([1-9][0-9]{0,8}))?", request.query)
        if not last:
            raise ValueError("last: must be a positive number; no other parameter is allowed")
        return _log(self._mock.requests, int(last[1] or MAX_LISTED))

    async def _settings(self, _request: Request) -> Json:
        planned = [_to_json(plan) for plan in self._mock.planned]
        return {**_to_json({"fixedDelay": self._mock.delay}), "planned": planned}

    async def _change_settings(self, request: Request) -> Json:
        settings = self._arguments(request)
        check_types(settings, SETTINGS)
        if "answerNext" in settings:
            steps = settings["answerNext"]
            if not isinstance(steps, list):
                steps = [steps]
            plans = [_to_python("answerNext", step) for step in steps]
            await _await_control(Mock.answer_sequence, self._mock, *plans)
        self._mock.delay = settings.get("fixedDelay", self._mock.delay)
        return await self._settings(request)


async def _await_control(control: Control, /, *arguments: Any, **options: Any) -> Any:
    """Await the method's coroutine. Calling the method itself would block the event loop."""
    coroutine_method: AdminHandler = cast("Any", control).__wrapped__
    return await coroutine_method(*arguments, **options)


def _to_python(place: str, content: Any) -> Json:
    """Convert a JSON object to Python arguments, with times in seconds."""
    if not isinstance(content, dict):
        raise ValueError(f"{place}: must be a JSON object")
    arguments: Json = {**content}
    if "afterUpdate" in arguments:
        arguments["after_update"] = arguments.pop("afterUpdate")
    for name in TIMES:
        if type(arguments.get(name)) in (int, float):
            # Limit the value, because dividing a huge integer would raise an OverflowError.
            arguments[name] = max(-1, min(arguments[name], 1e9)) / 1000
    return arguments


def _to_json(arguments: Mapping[str, Any]) -> Json:
    """Convert Python arguments to a JSON object, with times in milliseconds."""
    content: Json = {**arguments}
    if "after_update" in content:
        content["afterUpdate"] = content.pop("after_update")
    for name in TIMES:
        if name in content:
            content[name] = round(content[name] * 1000, 3)
    return content
