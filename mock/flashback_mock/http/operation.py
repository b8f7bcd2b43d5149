"""The operation's handler, which authenticates callers and updates the store."""

import re
import traceback
from http.client import responses
from urllib.parse import unquote

from multidict import CIMultiDict

from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import Step, take_plan
from flashback_mock.stores.errors import (
    NameTakenError,
    NotFoundError,
    RejectedError,
    StoreError,
)

from . import body
from .messages import Answer, HttpError, Request, error_answer, json_answer, success_answer

# Prism's syntax: `Prefer: code=404, example=notFound` or `?__code=404&__example=notFound`.
QUERY = re.compile(r"(?:^|&)__(code|example)=([^&]+)")
MAX_PREFER_CHARACTERS = 1000  # the headers can be megabytes long, and searching them takes seconds
PREFER = re.compile(r"(?:^|[,;])\s*(code|example)\s*=\s*\"?([^\s\",;]+)", re.IGNORECASE)
REPLACING = ("status", "example", "fault")  # plans with these fields replace the real response
PROXY_STATUSES = (502, 503, 504)  # statuses that a reverse proxy sends if the service is down
PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


class Operation:
    """The contract's only operation: it updates the mock's store and sends planned answers."""

    def __init__(self, mock: Mock) -> None:
        self._contract = mock.contract
        self._mock = mock

    async def answer(self, request: Request, raw_id: str) -> Answer:
        """Return the planned answer or the real response, and complete the log entry."""
        entry = request.entry
        id = _decode(raw_id)
        if id in self._mock.known_ids:
            entry.configuration = id
        plan = take_plan(self._mock.planned, id)
        try:
            answer = await self._update(request, id, plan)
        except HttpError as error:
            entry.reason = error.reason or error.message
            # Replace an undocumented status with 400, which every contract documents.
            status = error.status if error.status in self._contract.answers else 400
            answer = error_answer(status, error.message)
        except Exception as error:  # noqa: BLE001 - every failure results in a 500
            entry.reason = f"failed: {_cause(error)}"
            answer = error_answer(500, self._contract.message(500))
        if "status" in plan or "example" in plan:
            answer = self._planned(plan, id)
        if "headers" in plan:
            answer.headers.update(plan["headers"])
        answer.fault = entry.fault = plan.get("fault", "")
        answer.delay = self._mock.delay + plan.get("delay", 0)
        return answer

    async def _update(self, request: Request, id: str, plan: Step) -> Answer:
        """Return the 200 response or the selected example, or raise `HttpError`."""
        entry = request.entry
        try:
            changes = self._valid_changes(request, id)
            example = self._preferred(request)
        except HttpError:
            # A caller without a valid token must not learn what else is wrong with the request.
            await self._authenticate(request)
            raise
        if example:
            await self._authenticate(request)
            entry.fields = tuple(changes)
            return example
        is_stored = plan.get("after_update") or plan.keys().isdisjoint(REPLACING)
        rejected = None
        try:
            # If there are no changes, `update` only checks the token and the user's access level.
            accepted = changes if is_stored else {}
            entry.user = await self._mock.store.update(request.token, id, accepted)
            entry.updated = is_stored
        except RejectedError as error:
            await self._authenticate(request)
            rejected = error
        entry.fields = tuple(changes)
        if not isinstance(rejected, NotFoundError):
            entry.configuration = id
        if rejected:
            raise self._rejection(rejected)
        return self._success(id)

    async def _authenticate(self, request: Request) -> None:
        """Set the log entry's user. Raise `HttpError` (401) if the token is not valid."""
        request.entry.user = await self._mock.store.user_of(request.token) or ""
        if not request.entry.user:
            raise self._unauthorized(request)

    def _success(self, id: str) -> Answer:
        message = self._contract.message(200)
        return success_answer(id, message)

    def _valid_changes(self, request: Request, id: str) -> dict[str, str]:
        body.check_complete(request, self._contract.max_body_bytes)
        if not request.body:
            raise HttpError(400, "body: is empty; send {} to change nothing")
        body.check_headers(request.headers, self._contract.media_type)
        changes: dict[str, str] = body.parse(request.body)
        error = self._contract.body_error(changes)
        if not error and id:
            error = self._contract.id_error(id)
        if error:
            raise HttpError(400, error)
        return changes

    def _preferred(self, request: Request) -> Answer | None:
        """Return the example that the request selects, or None if it selects none."""
        preferences = ",".join(request.headers.getall("Prefer", []))
        if len(preferences) > MAX_PREFER_CHARACTERS:
            raise HttpError(400, f"Prefer: must be at most {MAX_PREFER_CHARACTERS} characters long")
        pairs = QUERY.findall(request.query) + PREFER.findall(preferences)
        if not pairs:
            return None
        selected = {name.lower(): value for name, value in pairs}
        status = selected.get("code", "")
        try:
            return json_answer(*self._contract.example(status, selected.get("example", "")))
        except ValueError as error:
            raise HttpError(400, f"Prefer: {error}") from None

    def _unauthorized(self, request: Request) -> HttpError:
        if "Authorization" not in request.headers:
            reason = "is missing"
        elif not request.token:
            reason = "is not a single bearer token"
        else:
            reason = "the token is unknown or expired"
        return HttpError(401, self._contract.message(401), reason=f"Authorization: {reason}")

    def _rejection(self, rejected: RejectedError) -> HttpError:
        if isinstance(rejected, NameTakenError):
            return HttpError(400, self._contract.name_taken)
        status = 404 if isinstance(rejected, NotFoundError) else 403
        return HttpError(status, self._contract.message(status))

    def _planned(self, plan: Step, id: str) -> Answer:
        if "example" in plan:
            example = self._contract.example(str(plan.get("status", "")), plan["example"])
            return json_answer(*example)
        status = plan["status"]
        if status == 200:
            return self._success(id)
        if self._contract.answers.get(status):
            return json_answer(*self._contract.example(str(status), ""))
        phrase = responses.get(status, f"Status {status}")
        media_type = CIMultiDict(plan.get("headers", {})).get("Content-Type", "text/html")
        if status in PROXY_STATUSES and media_type.startswith("text/html"):
            page = PROXY_PAGE.format(f"{status} {phrase}")
            return Answer(status, page.encode(), CIMultiDict({"Content-Type": "text/html"}))
        return error_answer(status, phrase)


def _decode(raw_id: str) -> str:
    """Return the decoded id, or an empty string if the id is not valid UTF-8."""
    try:
        return unquote(raw_id, errors="strict")
    except UnicodeError:
        return ""


def _cause(error: Exception) -> str:
    """Return an error's type and location, but not its text, which could contain a credential."""
    if isinstance(error, StoreError):  # a StoreError's text never contains a credential
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}:{frame.lineno}"
