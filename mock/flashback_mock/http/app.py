"""The HTTP application: routing, the request log and CORS."""

import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import unquote

from multidict import CIMultiDict

from flashback_mock.contract import PARAMETER
from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import WITHOUT_STATUS, take_plan
from flashback_mock.stores.errors import StoreError

from .messages import Answer, HttpError, Request, error_answer, json_answer
from .operation import Operation

log = logging.getLogger("flashback_mock")

RouteHandler = Callable[..., Awaitable[Answer]]
ORIGIN = re.compile(r"https?://([0-9a-z._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
EXPOSED_HEADERS = "Retry-After, WWW-Authenticate, X-Request-Id"


class App:
    """Routes and logs requests. Pages whose origin is in `cors_origins` can send updates."""

    def __init__(self, mock: Mock, cors_origins: Collection[str]) -> None:
        self._mock = mock
        self._operation = Operation(mock)
        self._origins = frozenset(cors_origins)
        for origin in self._origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(
                    "--cors-origin: must be an origin such as http://localhost:3000 (in Python, "
                    "cors_origins must be a list of origins)"
                )
        self._routes: dict[str, tuple[re.Pattern[str], dict[str, RouteHandler]]] = {}  # by path
        self.add("PUT", mock.contract.path, self._put)
        if cors_origins:
            self.add("OPTIONS", mock.contract.path, self._preflight)
        self.add("GET", "/__admin/health", self._health)

    def add(self, method: str, path: str, handler: RouteHandler) -> None:
        """Add a route. Path parameters, such as `{id}`, reach the handler percent-encoded."""
        pattern = "([^/]*)".join(map(re.escape, PARAMETER.split(path)))
        _, handlers = self._routes.setdefault(path, (re.compile(pattern, re.DOTALL), {}))
        handlers[method] = handler

    async def answer(self, request: Request) -> Answer:
        """Return the response to a request."""
        method = "GET" if request.method == "HEAD" else request.method
        for pattern, handlers in self._routes.values():
            if match := pattern.fullmatch(request.path):
                if method in handlers:
                    return await handlers[method](request, *match.groups())
                return self._reject_method(request, handlers)
        return self.reject(request, 404, "Not found")

    def reject(self, request: Request, status: int, message: str) -> Answer:
        """Log a request that has no route or cannot be parsed, and return an error response."""
        request.entry.reason = message
        level = logging.INFO if status < 500 else logging.ERROR
        return self._finish(request, error_answer(status, message), level)

    def _reject_method(self, request: Request, allowed: Collection[str]) -> Answer:
        methods = ", ".join(allowed)
        message = f"Method not allowed; use {methods}"
        if "PUT" in allowed and "Access-Control-Request-Method" in request.headers:
            message += "; to allow a web page's origin, start the mock with --cors-origin"
        answer = self.reject(request, 405, message)
        answer.headers["Allow"] = methods
        return answer

    async def _health(self, _request: Request) -> Answer:
        answer = json_answer(200, {"status": "ok", "version": self._mock.contract.version})
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def _put(self, request: Request, raw_id: str) -> Answer:
        """Return the planned response or the real response to an update."""
        entry = request.entry
        level = logging.INFO
        id = _decode(raw_id)
        plan = take_plan(self._mock.planned, id)
        try:
            answer = await self._operation.update(request, id, plan)
        except HttpError as error:
            entry.reason = error.reason or error.message
            # Replace an undocumented status with 400, which every contract documents.
            status = error.status
            if status not in self._mock.contract.response_examples:
                status = 400
            answer = error_answer(status, error.message)
        except Exception as error:  # noqa: BLE001 - every failure results in a 500
            entry.reason = f"failed: {_cause(error)}"
            level = logging.ERROR
            answer = error_answer(500, self._mock.contract.message(500))
        if "status" in plan or "example" in plan:
            entry.reason = _planned_reason(answer, entry.reason)
            answer = self._operation.planned(plan, id)
        answer.headers.update(plan.get("headers", {}))
        answer.fault = entry.fault = plan.get("fault", "")
        answer.delay = self._mock.delay + plan.get("delay", 0)
        return self._finish(request, answer, level)

    async def _preflight(self, request: Request, _raw_id: str) -> Answer:
        headers = request.headers
        is_allowed = headers.get("Origin") in self._origins
        if "Access-Control-Request-Method" not in headers or not is_allowed:
            return self._reject_method(request, ["PUT"])
        requested = headers.get("Access-Control-Request-Headers", "authorization, content-type")
        allowed = {
            "Access-Control-Allow-Methods": "PUT",
            "Access-Control-Allow-Headers": requested,
        }
        return self._finish(request, Answer(204, b"", CIMultiDict(allowed)))

    def _finish(self, request: Request, answer: Answer, level: int = logging.INFO) -> Answer:
        """Log the request at this level and add headers to the response."""
        entry = request.entry
        entry.status = 0 if entry.fault in WITHOUT_STATUS else answer.status
        self._mock.log(entry)
        log.log(level, "%s", entry)
        answer.headers["X-Request-Id"] = entry.request_id
        if self._origins:
            answer.headers.add("Vary", "Origin")
            origin = request.headers.get("Origin", "")
            if origin in self._origins:
                answer.headers["Access-Control-Allow-Origin"] = origin
                answer.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        return answer


def _decode(raw_id: str) -> str:
    """Return the decoded id, or an empty string if the id is not valid UTF-8."""
    try:
        return unquote(raw_id, errors="strict")
    except UnicodeError:
        return ""


def _planned_reason(real: Answer, reason: str) -> str:
    """Return the reason to log for a planned response that replaces the real one."""
    if not reason:
        return "planned response"
    return f"planned response sent instead of {real.status}, {reason}"


def _cause(error: Exception) -> str:
    """Return an error's type and location, but not its text, which could contain a credential."""
    if isinstance(error, StoreError):  # a StoreError's text never contains a credential
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}:{frame.lineno}"
