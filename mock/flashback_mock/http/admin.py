"""`/__admin`: what tests in any language, and the page, do with the mock over HTTP."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs, unquote

from multidict import CIMultiDict

from flashback_mock.control.backend import Backend
from flashback_mock.control.journal import CRITERIA
from flashback_mock.control.plans import Plan, Step
from flashback_mock.stores import NotFoundError, StoreError

from . import body
from .guard import COOKIE, Guard
from .messages import Answer, HttpError, Request, error_answer, json_answer
from .page import Page
from .routes import Routes

PREFIX = "/__admin"
MAX_BYTES = 1 << 18
MAX_WAIT = 60_000  # milliseconds
NUMBER = (int, float)
STEP: dict[str, type | tuple[type, ...]] = {
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
MILLISECONDS = ("delay", "duration")
AdminHandler = Callable[..., Awaitable[Answer | object]]


class Admin:
    """The handlers of `/__admin`. An answer is JSON, and contains no credential."""

    def __init__(self, backend: Backend, guard: Guard) -> None:
        """Control `backend`, for those whom `guard` admits."""
        self._backend = backend
        self._guard = guard
        self._page = Page(backend.contract, backend.fixtures)
        self._table: dict[str, list[str]] = {}

    def register(self, routes: Routes) -> None:
        """Add all routes."""
        one = "/configurations/{id}"
        register_health(routes, self._backend)
        routes.add("GET", "/", self._root)
        for path in ("/docs", "/docs/{name}"):
            routes.add("GET", PREFIX + path, partial(self._call, self._docs, is_page=True))
        handlers: list[tuple[str, str, AdminHandler]] = [
            ("GET", "", self._index),
            ("GET", "/", self._index),
            ("GET", "/fixtures", self._fixtures),
            ("GET", "/requests", self._requests),
            ("DELETE", "/requests", self._clear_requests),
            ("POST", "/requests/count", self._count),
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
        self._table = routes.table

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
        except NotFoundError:
            content = error_answer(404, "id: no configuration has it")
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
        """Lead a browser to the page."""
        if "text/html" in request.headers.get("Accept", ""):
            return Answer(303, b"", CIMultiDict({"Location": f"{PREFIX}/docs"}))
        return error_answer(404, f"There is nothing at this path; {PREFIX} lists what there is")

    async def _docs(self, request: Request, name: str = "") -> Answer:
        if not self._guard.is_login(request):
            return await self._page.answer(request, name)
        cookie = f"{COOKIE}={self._guard.session}; Path={PREFIX}; HttpOnly; SameSite=Lax"
        headers = {"Location": f"{PREFIX}/docs", "Set-Cookie": cookie}
        return Answer(303, b"", CIMultiDict(headers))

    async def _index(self, _request: Request) -> object:
        return {"paths": {path: m for path, m in self._table.items() if path.startswith(PREFIX)}}

    async def _fixtures(self, _request: Request) -> object:
        return {"tokens": self._backend.tokens, "ids": self._backend.ids}

    async def _requests(self, request: Request) -> object:
        entries = self._backend.journal.entries
        last = parse_qs(request.query).get("last", [""])[0]
        shown = entries[-int(last) :] if last.isdecimal() and int(last) else entries
        return {"requests": [entry.to_dict() for entry in shown], "total": len(entries)}

    async def _clear_requests(self, request: Request) -> object:
        self._backend.journal.clear()
        return await self._requests(request)

    async def _count(self, request: Request) -> object:
        criteria = _fields(request, CRITERIA)
        return {"count": len(self._backend.journal.matching(criteria))}

    async def _wait(self, request: Request) -> object:
        criteria = _fields(request, {**CRITERIA, "count": int, "timeout": NUMBER})
        count = criteria.pop("count", 1)
        timeout = criteria.pop("timeout", 5000)
        if not 0 <= timeout <= MAX_WAIT:
            raise ValueError(f"timeout: must be from 0 to {MAX_WAIT} milliseconds")
        entries = await self._backend.journal.wait_for(count, timeout / 1000, criteria)
        return {"requests": [entry.to_dict() for entry in entries], "total": len(entries)}

    async def _reset(self, _request: Request) -> object:
        await self._backend.reset()
        return {"status": "ok"}

    async def _settings(self, _request: Request) -> object:
        plans = self._backend.plans
        planned = [_plan_to_dict(plan) for plan in plans.planned]
        return {"fixedDelay": plans.delay * 1000, "planned": planned}

    async def _change_settings(self, request: Request) -> object:
        given = _fields(request, {"fixedDelay": NUMBER, "answerNext": (dict, list)})
        plans = self._backend.plans
        before = plans.delay
        if "fixedDelay" in given:
            plans.delay = given["fixedDelay"] / 1000
        if "answerNext" in given:
            try:
                await self._backend.plan(_steps(given["answerNext"]))
            except ValueError:
                plans.delay = before
                raise
        return await self._settings(request)

    async def _clear_settings(self, request: Request) -> object:
        self._backend.plans.clear()
        return await self._settings(request)

    async def _configurations(self, _request: Request) -> object:
        return {"configurations": await self._backend.store.configurations()}

    async def _add_configuration(self, request: Request) -> object:
        kinds = {"workspace": str, "id": str, **dict.fromkeys(self._backend.contract.fields, str)}
        given = _fields(request, kinds)
        workspace = given.pop("workspace", "")
        id = given.pop("id", "")
        id = await self._backend.add_configuration(given, workspace, id)
        return json_answer(201, await self._configuration(request, id))

    async def _configuration(self, _request: Request, id: str) -> object:
        return {"id": id, **await self._backend.store.configuration(id)}

    async def _delete_configuration(self, _request: Request, id: str) -> object:
        await self._backend.delete_configuration(id)
        return {"status": "ok"}

    async def _reveals(self, request: Request, id: str) -> object:
        credentials = _fields(request, dict.fromkeys(self._backend.contract.fields, str))
        return {"reveals": await self._backend.reveals(id, credentials)}

    async def _updated(self, request: Request, id: str) -> object:
        expected = _fields(request, dict.fromkeys(self._backend.contract.fields, str))
        failure = await self._backend.update_failure(id, expected)
        return {"updated": not failure, "message": failure}

    async def _add_member(self, request: Request) -> object:
        names = ("user", "workspace", "access", "token")
        given = _fields(request, dict.fromkeys(names, str))
        await self._backend.add_member(given.pop("user", ""), **given)
        return json_answer(201, {"status": "ok"})

    async def _expire(self, request: Request) -> object:
        await self._backend.expire_token(_fields(request, {"token": str}).get("token", ""))
        return {"status": "ok"}

    async def _revoke(self, request: Request) -> object:
        await self._backend.revoke_token(_fields(request, {"token": str}).get("token", ""))
        return {"status": "ok"}


def register_health(routes: Routes, backend: Backend) -> None:
    """Add the route that answers anybody, on any address: a container's health check."""

    async def health(_request: Request) -> Answer:
        content = {"status": "ok", "version": backend.contract.version}
        return json_answer(200, content, {"Cache-Control": "no-store"})

    routes.add("GET", f"{PREFIX}/health", health)


def _fields(request: Request, kinds: dict[str, Any]) -> dict[str, Any]:
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


def _steps(answer_next: Any) -> list[Step]:
    """Return the steps of `answerNext`, one or a list, whose times are in milliseconds."""
    is_list = isinstance(answer_next, list)
    values = cast("Sequence[Any]", answer_next) if is_list else [answer_next]
    steps: list[Step] = []
    for value in values:
        given = _checked("answerNext", value, STEP)
        for name in MILLISECONDS:
            if name in given:
                given[name] /= 1000
        if "afterUpdate" in given:
            given["after_update"] = given.pop("afterUpdate")
        steps.append(cast("Step", given))
    return steps


def _plan_to_dict(plan: Plan) -> dict[str, Any]:
    """Return what a plan changes, in the form of `answerNext`."""
    shown = {"status": plan.status, "example": plan.example, "headers": plan.headers}
    shown |= {"fault": plan.fault, "id": plan.id, "delay": plan.delay * 1000}
    if plan.update and (plan.replaces_answer or plan.fault):
        shown["afterUpdate"] = True
    return {name: value for name, value in shown.items() if value}
