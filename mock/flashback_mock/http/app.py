"""The operation over HTTP: who sends the request, for which configuration, and the answer."""

import logging
import re
import traceback
from collections.abc import Collection
from http import HTTPMethod, HTTPStatus
from urllib.parse import unquote_to_bytes

from multidict import CIMultiDict

from flashback_mock.control.journal import Entry
from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import NO_PLAN, WITHOUT_STATUS, Plan
from flashback_mock.stores import (
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    RefusedError,
    StoreError,
    UnauthorizedError,
)

from . import body
from .messages import (
    ENCODER,
    JSON_TYPE,
    Answer,
    HttpError,
    Request,
    error_answer,
    json_answer,
)
from .routes import Routes

log = logging.getLogger("flashback_mock")

BEARER = re.compile("bearer +([0-9A-Za-z._~+/-]+=*)", re.IGNORECASE)  # RFC 6750, section 2.1
REQUEST_ID = re.compile("[0-9A-Za-z._-]{1,64}")
# As Prism reads them: `Prefer: code=404, example=notFound`, and `?__code=404&__example=notFound`.
PREFER = re.compile(r"(?:^|[,;])\s*(code|example)\s*=\s*\"?([^\s\",;]+)", re.IGNORECASE)
QUERY = re.compile(r"(?:^|&)__(code|example)=([^&]+)")
METHODS = frozenset(HTTPMethod)
PROXY_STATUSES = (502, 503, 504)  # a proxy sends them when the service is down
EXPOSED_HEADERS = "Retry-After, WWW-Authenticate, X-Request-Id"


class App:
    """Answers every request by its route; those of the operation are logged."""

    def __init__(self, mock: Mock, cors_origins: Collection[str] = ()) -> None:
        """Serve the operation to programs, and to web pages of these origins."""
        self._contract = mock.contract
        self._mock = mock
        self._origins = frozenset(cors_origins)
        message = ENCODER.encode(self._contract.message(200))
        self._updated = f'{{"success":true,"aiLlmId":%s,"message":{message.replace("%", "%%")}}}'
        self.routes = Routes()
        self.routes.add("PUT", self._contract.path, self._put)
        if cors_origins:
            self.routes.add("OPTIONS", self._contract.path, self._preflight)

    async def answer(self, request: Request) -> Answer:
        """Answer one request."""
        try:
            handler, parameters = self.routes.find(request)
        except HttpError as error:
            return self.refuse(request, error)
        return await handler(request, *parameters)

    def refuse(self, request: Request, error: HttpError) -> Answer:
        """Answer and log a request that cannot be routed."""
        entry = _entry(request)
        entry.reason = error.message
        return self._finish(
            request, entry, error_answer(error.status, error.message, error.headers)
        )

    async def _put(self, request: Request, raw_id: str) -> Answer:
        entry = _entry(request)
        id = _decode(raw_id)
        if id in self._mock.known_ids:
            entry.configuration = id
        plan = self._mock.plans.next(id or "")
        try:
            answer = await self._update(request, entry, id, plan)
        except HttpError as error:
            entry.reason = error.message
            answer = self._error(error.status, error.message)
        except Exception as error:  # noqa: BLE001 - 500 is the documented answer to any
            entry.reason = f"failed: {_cause(error)}"
            log.error("request %s failed: %s", entry.request_id, _cause(error))  # noqa: TRY400
            answer = self._error(500, self._contract.message(500))
        if plan is not NO_PLAN:
            entry.fault = plan.fault
            answer = self._apply(plan, answer)
        return self._finish(request, entry, answer)

    async def _update(self, request: Request, entry: Entry, id: str | None, plan: Plan) -> Answer:
        token = _bearer_token(request, entry)
        try:
            changes = self._valid_changes(request, id)
            example = self._preferred(request)
        except HttpError:
            # Before anything else a user needs a valid token, even to learn what is wrong.
            entry.user = (token and await self._mock.store.user_of(token)) or ""
            if not entry.user:
                return self._unauthorized(entry)
            raise
        entry.fields = tuple(changes)
        # An update without changes shows who sends the request, and whether it is allowed.
        real = not example and plan.update
        answer = await self._store(entry, token, id, changes if real else {})
        entry.updated = real and answer.status == HTTPStatus.OK
        if entry.user and "X-Request-Id" in request.headers:
            await self._adopt_request_id(request, entry, changes)
        return example if example and entry.user else answer

    async def _store(
        self, entry: Entry, token: str, id: str | None, changes: dict[str, str]
    ) -> Answer:
        try:
            entry.user = await self._mock.store.update(token, id or "", changes)
        except UnauthorizedError:
            return self._unauthorized(entry)
        except RefusedError as refused:
            entry.user = refused.user
            if isinstance(refused, NotFoundError):
                return self._refused(entry, 404)
            entry.configuration = id or ""
            if isinstance(refused, ForbiddenError):
                return self._refused(entry, 403)
            if isinstance(refused, NameTakenError):
                entry.reason = self._contract.name_taken
                return self._error(400, self._contract.name_taken)
            raise
        entry.configuration = id or ""
        body = self._updated % ENCODER.encode(id)
        return Answer(200, body.encode(), CIMultiDict({"Content-Type": JSON_TYPE}))

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

    def _unauthorized(self, entry: Entry) -> Answer:
        entry.reason = entry.reason or "Authorization: the token is unknown or expired"
        return self._error(401, self._contract.message(401))

    def _refused(self, entry: Entry, status: int) -> Answer:
        entry.reason = self._contract.message(status)
        return self._error(status, entry.reason)

    def _preferred(self, request: Request) -> Answer | None:
        """Return the example that a request asks for, if any; raise `HttpError`."""
        query = request.query
        if not query and "Prefer" not in request.headers:
            return None
        preferences = ",".join(request.headers.getall("Prefer", []))
        pairs = QUERY.findall(query) + PREFER.findall(preferences)
        if not pairs:
            return None
        wanted = {key.lower(): value for key, value in pairs}
        try:
            status, content = self._contract.example(
                wanted.get("code", ""), wanted.get("example", "")
            )
        except LookupError as error:
            raise HttpError(400, f"Prefer: {error}") from None
        return json_answer(status, content, _standard_headers(status))

    def _error(self, status: int, message: str) -> Answer:
        """Return an error; 400 in place of a status that the contract does not document."""
        documented = status in self._contract.answers or status == HTTPStatus.METHOD_NOT_ALLOWED
        status = status if documented else 400
        return error_answer(status, message, _standard_headers(status))

    def _apply(self, plan: Plan, answer: Answer) -> Answer:
        """Return the planned answer, or the real one with planned headers and delay."""
        if plan.replaces_answer:
            answer = self._planned(plan)
        answer.headers.update(plan.headers)
        answer.delay = plan.delay
        answer.fault = plan.fault
        return answer

    def _planned(self, plan: Plan) -> Answer:
        code = str(plan.status or "")
        if plan.example or plan.status in self._contract.answers:
            status, content = self._contract.example(code, plan.example)
            return json_answer(status, content, _standard_headers(status))
        phrase = _phrase(plan.status)
        planned_type = CIMultiDict(plan.headers).get("Content-Type", "text/html")
        if plan.status in PROXY_STATUSES and planned_type.startswith("text/html"):
            title = f"{plan.status} {phrase}"
            page = (
                f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
                f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
            )
            return Answer(plan.status, page.encode(), CIMultiDict({"Content-Type": "text/html"}))
        return error_answer(plan.status, phrase)

    async def _adopt_request_id(
        self, request: Request, entry: Entry, changes: dict[str, str]
    ) -> None:
        """Use X-Request-Id if it is well-formed and contains no credential."""
        given = request.headers["X-Request-Id"]
        if not REQUEST_ID.fullmatch(given):
            return
        secrets = request.headers.get("Authorization", "").split()
        secrets += [changes[name] for name in self._contract.credentials & changes.keys()]
        overlaps = any(secret in given or given in secret for secret in secrets)
        if not overlaps and not await self._mock.store.user_of(given):
            entry.request_id = given

    async def _preflight(self, request: Request, _raw_id: str) -> Answer:
        """Answer a browser that asks whether a page may send its update."""
        if "Access-Control-Request-Method" not in request.headers or not self._origin(request):
            return self.refuse(
                request, HttpError(405, "Only PUT is allowed here", {"Allow": "PUT"})
            )
        headers = CIMultiDict(
            {
                "Allow": "PUT",
                "Access-Control-Allow-Methods": "PUT",
                "Access-Control-Allow-Headers": request.headers.get(
                    "Access-Control-Request-Headers", "authorization, content-type"
                ),
                "Access-Control-Max-Age": "600",
            }
        )
        return self._finish(request, _entry(request), Answer(204, b"", headers))

    def _origin(self, request: Request) -> str:
        """Return the request's origin if pages of it may read answers."""
        origin = request.headers.get("Origin", "")
        return origin if origin in self._origins else ""

    def _finish(self, request: Request, entry: Entry, answer: Answer) -> Answer:
        """Log the request, and add the headers that every answer has."""
        entry.finish(0 if entry.fault in WITHOUT_STATUS else answer.status)
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
    """Return the bearer token of the `Authorization` headers; empty unless there is just one."""
    if len(authorization) != 1:
        return ""
    match = BEARER.fullmatch(authorization[0].strip(" \t"))
    return match[1] if match else ""


def _entry(request: Request) -> Entry:
    return Entry(request.method if request.method in METHODS else "other")  # it could be a token


def _bearer_token(request: Request, entry: Entry) -> str:
    """Return the bearer token; without one, note the reason."""
    authorization = request.headers.getall("Authorization", [])
    token = bearer_token(authorization)
    if not authorization:
        entry.reason = "Authorization: is missing"
    elif len(authorization) > 1:
        entry.reason = "Authorization: appears more than once"
    elif not token:
        entry.reason = "Authorization: is not a bearer token"
    return token


def _decode(raw_id: str) -> str | None:
    """Return a percent-decoded id; None if its bytes are not UTF-8."""
    if "%" not in raw_id:
        return raw_id
    try:
        return unquote_to_bytes(raw_id).decode()
    except UnicodeError:
        return None


def _standard_headers(status: int) -> dict[str, str]:
    return {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _cause(error: Exception) -> str:
    """Return where an error was raised, not its text, which may contain a credential."""
    if isinstance(error, StoreError):  # the text is our own
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}:{frame.lineno}"
