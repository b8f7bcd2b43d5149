"""The operation over HTTP: authenticate the sender, validate the request, update and answer."""

import logging
import re
import traceback
from collections.abc import Collection
from http import HTTPMethod
from http.client import responses
from time import perf_counter
from urllib.parse import unquote_to_bytes

from multidict import CIMultiDict

from flashback_mock.control.journal import Entry
from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import NO_PLAN, WITHOUT_STATUS, Plan
from flashback_mock.fixtures import BEARER_TOKEN
from flashback_mock.stores import (
    NameTakenError,
    NotFoundError,
    RefusedError,
    StoreError,
    UnauthorizedError,
)

from . import body
from .messages import ENCODER, Answer, HttpError, Request, error_answer, json_answer
from .routes import Routes

log = logging.getLogger("flashback_mock")

BEARER = re.compile(f"bearer +({BEARER_TOKEN.pattern})", re.IGNORECASE)
REQUEST_ID = re.compile("[0-9A-Za-z._-]{1,64}")
# As Prism reads them: `Prefer: code=404, example=notFound`, and `?__code=404&__example=notFound`.
PREFER = re.compile(r"(?:^|[,;])\s*(code|example)\s*=\s*\"?([^\s\",;]+)", re.IGNORECASE)
QUERY = re.compile(r"(?:^|&)__(code|example)=([^&]+)")
METHODS = frozenset(HTTPMethod)
PROXY_STATUSES = (502, 503, 504)  # a proxy sends them when the service is down
PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)
ID_PLACE = "{id}"
EXPOSED_HEADERS = "Retry-After, WWW-Authenticate, X-Request-Id"


class App:
    """Routes every request to its handler, and logs the requests for the operation."""

    def __init__(self, mock: Mock, cors_origins: Collection[str] = ()) -> None:
        """Serve the operation to programs, and to web pages of these origins."""
        self._contract = mock.contract
        self._mock = mock
        self._origins = frozenset(cors_origins)
        # Encoded once: the bodies of all updates differ only in the id.
        self._updated = ENCODER.encode(
            {"success": True, "aiLlmId": ID_PLACE, "message": self._contract.message(200)}
        )
        self.routes = Routes()
        self.routes.add("PUT", self._contract.path, self._put)
        if cors_origins:
            self.routes.add("OPTIONS", self._contract.path, self._preflight)

    async def answer(self, request: Request) -> Answer:
        """Answer one request."""
        try:
            handler, parameters = self.routes.find(request)
            return await handler(request, *parameters)
        except HttpError as error:
            return self.refuse(request, error)

    def refuse(self, request: Request, error: HttpError) -> Answer:
        """Answer and log a request that cannot be routed."""
        answer = error_answer(error.status, error.message, error.headers)
        entry = _entry(request)
        entry.reason = error.reason
        return self._finish(request, entry, answer)

    async def _put(self, request: Request, raw_id: str) -> Answer:
        entry = _entry(request)
        id = _decode(raw_id)
        if id in self._mock.known_ids:
            entry.configuration = id
        plan = self._mock.plans.next(id or "")
        try:
            answer = await self._update(request, entry, id, plan)
        except HttpError as error:
            entry.reason = error.reason
            # A contract may lack a status, but every one has 400.
            status = error.status if error.status in self._contract.answers else 400
            answer = error_answer(status, error.message)
        except Exception as error:  # noqa: BLE001 - 500 is the documented answer to any
            entry.reason = f"failed: {_cause(error)}"
            log.error("request %s failed: %s", entry.request_id, _cause(error))  # noqa: TRY400
            answer = error_answer(500, self._contract.message(500))
        if plan is not NO_PLAN:
            answer = self._planned(plan) if plan.replaces_answer else answer
            answer.headers.update(plan.headers)
            answer.delay = plan.delay
            answer.fault = entry.fault = plan.fault
        return self._finish(request, entry, answer)

    async def _update(self, request: Request, entry: Entry, id: str | None, plan: Plan) -> Answer:
        """Answer 200; raise `HttpError` for a request that is refused."""
        authorization = request.headers.getall("Authorization", [])
        token = bearer_token(authorization)
        try:
            changes = self._valid_changes(request, id)
            preferred = self._preferred(request)
        except HttpError:
            # Without a valid token, a sender learns nothing else about the request.
            entry.user = (token and await self._mock.store.user_of(token)) or ""
            if not entry.user:
                raise self._unauthorized(authorization) from None
            raise
        entry.fields = tuple(changes)
        stores = plan.stores and not preferred
        try:
            # An update without changes shows who sends the request, and whether it is allowed.
            entry.user = await self._mock.store.update(token, id or "", changes if stores else {})
            entry.updated = stores
            entry.configuration = id or ""
        except UnauthorizedError:
            raise self._unauthorized(authorization) from None
        except RefusedError as refused:
            entry.user = refused.user
            if not isinstance(refused, NotFoundError):
                entry.configuration = id or ""
            if not preferred:
                raise self._refusal(refused) from None
        finally:
            if entry.user and "X-Request-Id" in request.headers:
                await self._adopt_request_id(request, entry, changes)
        if preferred:
            return preferred
        content = self._updated.replace(f'"{ID_PLACE}"', ENCODER.encode(id), 1)
        return Answer(200, content.encode(), CIMultiDict({"Content-Type": "application/json"}))

    def _valid_changes(self, request: Request, id: str | None) -> dict[str, str]:
        """Return the valid changes of a request; raise `HttpError` with the invalid fields."""
        body.check_complete(request, self._contract.max_body_bytes)
        if not request.body:
            raise HttpError(400, "body: is empty; send {} to change nothing")
        body.check_headers(request.headers, self._contract.media_type)
        changes: dict[str, str] = body.parse(request.body)
        error = self._contract.body_error(changes)
        if not error and id is not None:
            error = self._contract.id_error(id)
        if error:
            raise HttpError(400, error)
        return changes

    def _preferred(self, request: Request) -> Answer | None:
        """Return the example that a request asks for, if any; raise `HttpError`."""
        if not request.query and "Prefer" not in request.headers:
            return None
        preferences = ",".join(request.headers.getall("Prefer", []))
        pairs = QUERY.findall(request.query) + PREFER.findall(preferences)
        if not pairs:
            return None
        wanted = {name.lower(): value for name, value in pairs}
        statuses = {"": 0, **{str(status): status for status in self._contract.answers}}
        status = statuses.get(wanted.get("code", ""), -1)
        try:
            return json_answer(*self._contract.example(status, wanted.get("example", "")))
        except ValueError as error:
            raise HttpError(400, f"Prefer: {error}") from None

    async def _adopt_request_id(
        self, request: Request, entry: Entry, changes: dict[str, str]
    ) -> None:
        """Use X-Request-Id if it is well-formed and contains no credential."""
        given = request.headers["X-Request-Id"]
        if not REQUEST_ID.fullmatch(given):
            return
        secrets = request.headers["Authorization"].split()
        secrets += [changes[name] for name in self._contract.credentials & changes.keys()]
        overlaps = any(secret in given or given in secret for secret in secrets)
        if not overlaps and not await self._mock.store.user_of(given):
            entry.request_id = given

    def _unauthorized(self, authorization: list[str]) -> HttpError:
        if not authorization:
            reason = "is missing"
        elif len(authorization) > 1:
            reason = "appears more than once"
        elif not bearer_token(authorization):
            reason = "is not a bearer token"
        else:
            reason = "the token is unknown or expired"
        return HttpError(401, self._contract.message(401), reason=f"Authorization: {reason}")

    def _refusal(self, refused: RefusedError) -> HttpError:
        if isinstance(refused, NameTakenError):
            return HttpError(400, self._contract.name_taken)
        status = 404 if isinstance(refused, NotFoundError) else 403
        return HttpError(status, self._contract.message(status))

    def _planned(self, plan: Plan) -> Answer:
        """Return the planned status or example."""
        if plan.example or plan.status in self._contract.answers:
            return json_answer(*self._contract.example(plan.status, plan.example))
        phrase = responses.get(plan.status, f"Status {plan.status}")
        planned_type = CIMultiDict(plan.headers).get("Content-Type", "text/html")
        if plan.status in PROXY_STATUSES and planned_type.startswith("text/html"):
            page = PROXY_PAGE.format(f"{plan.status} {phrase}")
            return Answer(plan.status, page.encode(), CIMultiDict({"Content-Type": "text/html"}))
        return error_answer(plan.status, phrase)

    async def _preflight(self, request: Request, _raw_id: str) -> Answer:
        """Answer a CORS preflight request."""
        headers = request.headers
        if "Access-Control-Request-Method" not in headers or not self._origin(request):
            raise HttpError(405, "Only PUT is allowed here", {"Allow": "PUT"})
        asked = headers.get("Access-Control-Request-Headers", "authorization, content-type")
        allowed = {
            "Access-Control-Allow-Methods": "PUT",
            "Access-Control-Allow-Headers": asked,
            "Access-Control-Max-Age": "600",
        }
        return self._finish(request, _entry(request), Answer(204, b"", CIMultiDict(allowed)))

    def _origin(self, request: Request) -> str:
        """Return the request's origin if its pages may read answers."""
        origin = request.headers.get("Origin", "")
        return origin if origin in self._origins else ""

    def _finish(self, request: Request, entry: Entry, answer: Answer) -> Answer:
        """Log the request, and add the headers that every answer has."""
        entry.status = 0 if entry.fault in WITHOUT_STATUS else answer.status
        entry.milliseconds = round((perf_counter() - request.started) * 1000, 3)
        self._mock.journal.append(entry)
        log.info(entry)
        answer.headers["X-Request-Id"] = entry.request_id
        answer.close = bool(request.cut)
        if self._origins:
            answer.headers["Vary"] = "Origin"
            if origin := self._origin(request):
                answer.headers["Access-Control-Allow-Origin"] = origin
                answer.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        return answer


def bearer_token(authorization: list[str]) -> str:
    """Return the bearer token of the `Authorization` headers; empty unless there is exactly one."""
    if len(authorization) != 1:
        return ""
    match = BEARER.fullmatch(authorization[0].strip(" \t"))
    return match[1] if match else ""


def _entry(request: Request) -> Entry:
    return Entry(request.method if request.method in METHODS else "other")  # it could be a token


def _decode(raw_id: str) -> str | None:
    """Return a percent-decoded id; None if its bytes are not UTF-8."""
    try:
        return unquote_to_bytes(raw_id).decode()
    except UnicodeError:
        return None


def _cause(error: Exception) -> str:
    """Return where an error was raised, not its text, which may contain a credential."""
    if isinstance(error, StoreError):  # the text is our own
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}:{frame.lineno}"
