"""`/__admin`: the control API for tests in any language and for the page."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs, unquote

from multidict import CIMultiDict

from flashback_mock.control.journal import CRITERIA, Entry
from flashback_mock.control.mock import Mock, UnknownIdError
from flashback_mock.control.plans import Plan, Step
from flashback_mock.stores import StoreError

from . import body
from .guard import COOKIE, Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import Page
from .routes import Routes

PREFIX = "/__admin"
MAX_BYTES = 1 << 18
MAX_WAIT = 60_000  # milliseconds
NUMBER = (int, float)
STEP: dict[str, Any] = {
    "status": int,
    "example": str,
    "headers": dict,
    "delay": NUMBER,
    "fault": str,
    "duration": NUMBER,
    "times": int,
    "afterUpdate": bool,
    "id": str,
}
OK = {"status": "ok"}
AdminHandler = Callable[..., Awaitable[object]]


class Admin:
    """The handlers of `/__admin`. An answer is JSON, and contains no credential."""

    def __init__(self, mock: Mock, guard: Guard) -> None:
        """Control `mock`, for those whom `guard` admits."""
        self._mock = mock
        self._guard = guard
        self._page = Page(mock.contract, mock.fixtures)
        self._fields: dict[str, Any] = dict.fromkeys(mock.contract.fields, str)
        self._routes = Routes()

    def register(self, routes: Routes) -> None:
        """Add all routes."""
        self._routes = routes
        register_health(routes, self._mock)
        routes.add("GET", "/", self._root)
        for path in ("/docs", "/docs/{name}"):
            routes.add("GET", PREFIX + path, partial(self._call, self._docs, is_page=True))
        one = "/configurations/{id}"
        handlers: list[tuple[str, str, AdminHandler]] = [
            ("GET", "", self._index),
            ("GET", "/", self._index),
            ("GET", "/fixtures", self._fixtures_by_role),
            ("GET", "/requests", self._requests),
            ("DELETE", "/requests", self._clear_requests),
            ("POST", "/requests/wait", self._wait),
            ("POST", "/reset", self._reset),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
            ("DELETE", "/settings", self._clear_settings),
            ("GET", "/configurations", self._configurations),
            ("POST", "/configurations", self._add_configuration),
            ("GET", one, self._configuration),
            ("DELETE", one, self._delete_configuration),
            ("POST", f"{one}/reveals", self._reveals),
            ("POST", f"{one}/updated", self._updated),
            ("POST", "/members", self._add_member),
            ("POST", "/tokens/expire", self._expire),
            ("POST", "/tokens/revoke", self._revoke),
        ]
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
        except UnknownIdError as error:
            content = error_answer(404, str(error))
        except ValueError as error:
            content = error_answer(400, str(error))
        except TimeoutError as error:
            content = error_answer(504, str(error))
        except StoreError as error:
            content = error_answer(500, str(error))
        answer = content if isinstance(content, Answer) else json_answer(200, content)
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    async def _root(self, request: Request) -> Answer:
        """Redirect a browser to the page."""
        if "text/html" in request.headers.get("Accept", ""):
            return Answer(303, b"", CIMultiDict({"Location": f"{PREFIX}/docs"}))
        return error_answer(404, f"There is nothing at this path; {PREFIX} lists what there is")

    async def _docs(self, request: Request, name: str = "") -> object:
        if not self._guard.is_login(request):
            return self._page.answer(request, name)
        cookie = f"{COOKIE}={self._guard.session}; Path={PREFIX}; HttpOnly; SameSite=Lax"
        headers = {"Location": f"{PREFIX}/docs", "Set-Cookie": cookie}
        return Answer(303, b"", CIMultiDict(headers))

    async def _index(self, _request: Request) -> object:
        table = self._routes.table
        return {"paths": {path: table[path] for path in table if path.startswith(PREFIX)}}

    async def _fixtures_by_role(self, _request: Request) -> object:
        return {"tokens": self._mock.tokens, "ids": self._mock.ids}

    async def _requests(self, request: Request) -> object:
        last = parse_qs(request.query).get("last", ["0"])[0]
        entries = self._mock.requests
        shown = entries[-int(last) :] if last.isdecimal() else entries
        return {**_log(shown), "total": len(entries)}

    async def _clear_requests(self, request: Request) -> object:
        self._mock.journal.clear()
        return await self._requests(request)

    async def _wait(self, request: Request) -> object:
        criteria = _content(request, {**CRITERIA, "count": int, "timeout": NUMBER})
        count = criteria.pop("count", 1)
        timeout = criteria.pop("timeout", 5000)
        if not 0 <= timeout <= MAX_WAIT:
            raise ValueError(f"timeout: must be from 0 to {MAX_WAIT} milliseconds")
        entries = await self._mock.journal.wait_for(count, timeout / 1000, criteria)
        return {**_log(entries), "total": len(entries)}

    async def _reset(self, _request: Request) -> object:
        await asyncio.to_thread(self._mock.reset)
        return OK

    async def _settings(self, _request: Request) -> object:
        planned = [_plan_to_dict(plan) for plan in self._mock.plans.planned]
        return {"fixedDelay": self._mock.delay * 1000, "planned": planned}

    async def _change_settings(self, request: Request) -> object:
        given = _content(request, {"fixedDelay": NUMBER, "answerNext": (dict, list)})
        before = self._mock.delay
        self._mock.delay = given.get("fixedDelay", before * 1000) / 1000
        try:
            await asyncio.to_thread(self._mock.answer_sequence, *_steps(given))
        except ValueError:
            self._mock.delay = before
            raise
        return await self._settings(request)

    async def _clear_settings(self, request: Request) -> object:
        self._mock.clear_planned()
        return await self._settings(request)

    async def _configurations(self, _request: Request) -> object:
        return {"configurations": await self._mock.store.configurations()}

    async def _add_configuration(self, request: Request) -> object:
        given = _content(request, {"workspace": str, "id": str, **self._fields})
        id = await asyncio.to_thread(self._mock.add_configuration, **given)
        return json_answer(201, await self._configuration(request, id))

    async def _configuration(self, _request: Request, id: str) -> object:
        return {"id": id, **await asyncio.to_thread(self._mock.configuration, id)}

    async def _delete_configuration(self, _request: Request, id: str) -> object:
        await asyncio.to_thread(self._mock.delete_configuration, id)
        return OK

    async def _reveals(self, request: Request, id: str) -> object:
        credentials = _content(request, self._fields)
        return {"reveals": await asyncio.to_thread(self._mock.reveals, id, **credentials)}

    async def _updated(self, request: Request, id: str) -> object:
        expected = _content(request, self._fields)
        try:
            await asyncio.to_thread(self._mock.assert_updated, id, **expected)
        except AssertionError as error:
            return {"updated": False, "message": str(error)}
        return {"updated": True, "message": ""}

    async def _add_member(self, request: Request) -> object:
        given = _content(request, dict.fromkeys(("user", "workspace", "access", "token"), str))
        await asyncio.to_thread(self._mock.add_member, given.pop("user", ""), **given)
        return json_answer(201, OK)

    async def _expire(self, request: Request) -> object:
        await asyncio.to_thread(self._mock.expire_token, _token(request))
        return OK

    async def _revoke(self, request: Request) -> object:
        await asyncio.to_thread(self._mock.revoke_token, _token(request))
        return OK


def register_health(routes: Routes, mock: Mock) -> None:
    """Add the health check, which needs no token on any address."""

    async def health(_request: Request) -> Answer:
        content = {**OK, "version": mock.contract.version}
        return json_answer(200, content, {"Cache-Control": "no-store"})

    routes.add("GET", f"{PREFIX}/health", health)


def _log(entries: list[Entry]) -> dict[str, Any]:
    return {"requests": [entry.to_dict() for entry in entries]}


def _token(request: Request) -> str:
    token: str = _content(request, {"token": str}).get("token", "")
    return token


def _content(request: Request, kinds: dict[str, Any]) -> dict[str, Any]:
    """Return the body, an object of fields of these types; raise `ValueError` or `HttpError`."""
    body.check_complete(request, MAX_BYTES)
    return _checked("body", body.parse(request.body), kinds)


def _checked(name: str, value: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value, dict) or (fields := cast("dict[str, Any]", value)).keys() - kinds:
        raise ValueError(f"{name}: must be a JSON object with nothing but {', '.join(kinds)}")
    for key, given in fields.items():
        kind = kinds[key]
        if (isinstance(given, bool) and kind is not bool) or not isinstance(given, kind):
            raise ValueError(f"{key}: must be of type {_type_name(kind)}")
    return fields


def _type_name(kind: Any) -> str:
    if kind == NUMBER:
        return "number"
    return "object or list" if isinstance(kind, tuple) else str(kind.__name__)


def _steps(settings: dict[str, Any]) -> list[Step]:
    """Return the steps of `answerNext`, one or a list, whose times are in milliseconds."""
    values = settings.get("answerNext", [])
    steps: list[Step] = []
    for value in values if isinstance(values, list) else [values]:
        given = _checked("answerNext", value, STEP)
        for name in {"delay", "duration"} & given.keys():
            given[name] /= 1000
        if "afterUpdate" in given:
            given["after_update"] = given.pop("afterUpdate")
        steps.append(cast("Step", given))
    return steps


def _plan_to_dict(plan: Plan) -> dict[str, Any]:
    """Return what a plan changes, in the form of `answerNext`."""
    shown = {"status": plan.status, "example": plan.example, "headers": plan.headers}
    shown |= {"fault": plan.fault, "id": plan.id, "delay": plan.delay * 1000}
    shown["afterUpdate"] = plan.update and (plan.replaces_answer or bool(plan.fault))
    return {name: value for name, value in shown.items() if value}
