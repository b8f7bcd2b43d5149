"""Handles the operation: authenticates callers, updates the store, returns planned responses."""

from contextlib import suppress
from http.client import responses

from multidict import CIMultiDict

from flashback_mock.control.mock import Mock
from flashback_mock.control.plans import Step
from flashback_mock.stores.errors import NameTakenError, NotFoundError, RejectedError

from . import body
from .messages import Answer, HttpError, Request, error_answer, json_answer, success_answer

REPLACING = ("status", "example", "fault")  # plans with these fields replace the real response
PROXY_STATUSES = (502, 503, 504)  # statuses that a reverse proxy sends if the service is down
PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


class Operation:
    """The contract's only operation."""

    def __init__(self, mock: Mock) -> None:
        self._contract = mock.contract
        self._mock = mock

    async def update(self, request: Request, id: str, plan: Step) -> Answer:
        """Return the 200 response, or raise `HttpError`.

        Fill in the log entry, except for the reason.
        """
        entry = request.entry
        try:
            changes = self._valid_changes(request, id)
        except HttpError:
            # A caller without a valid token must not learn what else is wrong with the request.
            await self._identify(request, id)
            raise
        is_stored = plan.get("after_update") or plan.keys().isdisjoint(REPLACING)
        # If there are no changes, `update` only checks the token and the user's access level.
        accepted = changes if is_stored else {}
        try:
            entry.user = await self._mock.store.update(request.token, id, accepted)
        except RejectedError as error:
            await self._identify(request, id)
            entry.fields = tuple(changes)
            message = self._contract.message(error.status)
            if isinstance(error, NameTakenError):
                message = self._contract.name_taken
            raise HttpError(error.status, message) from None
        entry.updated = is_stored
        entry.fields = tuple(changes)
        entry.configuration = id
        return success_answer(id, self._contract.message(200))

    async def _identify(self, request: Request, id: str) -> None:
        """Set the log entry's user and configuration, if they exist.

        Raise `HttpError` (401) if the token is not valid.
        """
        with suppress(NotFoundError):  # do not log an unknown id, which could be a credential
            await self._mock.store.find(id)
            request.entry.configuration = id
        request.entry.user = await self._mock.store.user_of(request.token) or ""
        if not request.entry.user:
            raise self._unauthorized(request)

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

    def _unauthorized(self, request: Request) -> HttpError:
        if "Authorization" not in request.headers:
            reason = "is missing"
        elif not request.token:
            reason = "is not a single bearer token"
        else:
            reason = "the token is unknown or expired"
        return HttpError(401, self._contract.message(401), reason=f"Authorization: {reason}")

    def planned(self, plan: Step, id: str) -> Answer:
        """Return the planned response."""
        if "example" in plan:
            return json_answer(*self._contract.example(plan["example"], plan.get("status")))
        status = int(plan["status"])  # convert an HTTPStatus to a plain int for the log
        if status == 200:
            return success_answer(id, self._contract.message(200))
        if examples := self._contract.response_examples.get(status):
            return json_answer(status, next(iter(examples.values())))
        phrase = responses.get(status, f"Status {status}")
        media_type = CIMultiDict(plan.get("headers", {})).get("Content-Type", "text/html")
        if status in PROXY_STATUSES and media_type.startswith("text/html"):
            page = PROXY_PAGE.format(f"{status} {phrase}")
            return Answer(status, page.encode(), CIMultiDict({"Content-Type": "text/html"}))
        return error_answer(status, phrase)
