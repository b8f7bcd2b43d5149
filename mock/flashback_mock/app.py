"""The operation over HTTP: who asks, for what, and which of the documented answers that is."""

import asyncio
import logging
import os
import re
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from . import body, sending
from .contract import Contract
from .control import Control, Entry
from .store import (
    ForbiddenError,
    NotFoundError,
    RefusedError,
    Store,
    StoreError,
    UnauthorizedError,
)

log = logging.getLogger("flashback_mock")

BEARER = re.compile("bearer +([0-9A-Za-z._~+/-]+=*)", re.IGNORECASE)  # RFC 6750, section 2.1
REQUEST_ID = re.compile("[0-9A-Za-z._-]{1,64}")
PREFERRED = re.compile(r"\b(?:__)?(code|example)=\"?([0-9A-Za-z_-]+)")


@dataclass(slots=True)
class Seen:
    """What is found out about a request while it is answered."""

    user: str = ""
    configuration: str = ""
    fields: tuple[str, ...] = ()
    fault: str = ""
    unread: bool = False


class App:
    """The ASGI application: one operation, every answer documented."""

    def __init__(self, contract: Contract, store: Store, control: Control) -> None:
        """Serve the contract's operation on the store's configurations, as `control` has it."""
        self._contract = contract
        self._store = store
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request, seen, started = Request(scope, receive), Seen(), time.perf_counter()
        try:
            response = await self._answer(request, seen)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, 500 is the documented answer
            _log_failure(error)
            response = self._error(HTTPStatus.INTERNAL_SERVER_ERROR)
        response.headers["X-Request-Id"] = number = _request_id(request)
        milliseconds = (time.perf_counter() - started) * 1000
        told = (seen.user, seen.configuration, seen.fields, seen.fault)
        entry = Entry(number, request.method, response.status_code, milliseconds, *told)
        self._control.journal.append(entry)
        log.info(entry)
        if seen.fault:
            await sending.broken(seen.fault, response, receive, send)
        elif seen.unread:
            await sending.and_close(response, receive, send)
        else:
            await response(scope, receive, send)

    async def _answer(self, request: Request, seen: Seen) -> JSONResponse:
        configuration = self._contract.id_of(request.scope["raw_path"])
        if configuration is None:
            return self._error(HTTPStatus.NOT_FOUND, "There is nothing at this path")
        if request.method != "PUT":
            return self._error(
                HTTPStatus.METHOD_NOT_ALLOWED, "Only PUT is allowed here", {"Allow": "PUT"}
            )
        planned = self._control.next()
        await asyncio.sleep(planned.delay) if planned.delay else None
        seen.fault = planned.fault
        if (planned.status or planned.fault) and not planned.after_update:
            with suppress(body.InvalidError):
                await self._body_of(request, seen)
            return self._example(planned.status or 200)
        response = await self._update(request, seen, configuration)
        return self._example(planned.status) if planned.status else response

    async def _update(self, request: Request, seen: Seen, configuration: bytes) -> JSONResponse:
        token = _token_of(request)
        try:
            # Read before 401 too: what is left unread costs the connection.
            changes = self._judge(request, configuration, await self._body_of(request, seen))
            seen.fields, wanted = tuple(changes), configuration.decode()
        except body.InvalidError as why:
            return await self._to_user(token, seen, self._error(HTTPStatus.BAD_REQUEST, str(why)))
        except UnicodeDecodeError:  # ids are text: other octets name nothing
            return await self._to_user(token, seen, self._error(HTTPStatus.NOT_FOUND))
        if preferred := _preferred(request):
            return await self._to_user(token, seen, self._preferred_example(preferred))
        return await self._change(token, wanted, changes, seen)

    async def _change(
        self, token: str, wanted: str, changes: dict[str, str], seen: Seen
    ) -> JSONResponse:
        try:
            seen.user = await self._store.update(token, wanted, changes)
        except UnauthorizedError:
            return self._unauthorized()
        except RefusedError as refused:
            seen.user = refused.user
            if isinstance(refused, NotFoundError):
                return self._error(HTTPStatus.NOT_FOUND)
            # Only now is it known to be an id, and not a token at the wrong place.
            seen.configuration = wanted
            if isinstance(refused, ForbiddenError):
                return self._error(HTTPStatus.FORBIDDEN)
            return self._error(HTTPStatus.BAD_REQUEST, self._contract.name_taken)
        seen.configuration = wanted
        message = self._contract.message(200)
        return JSONResponse({"success": True, "aiLlmId": wanted, "message": message})

    async def _to_user(self, token: str, seen: Seen, response: JSONResponse) -> JSONResponse:
        """The response, if the token is good, else 401, which comes first."""
        seen.user = (token and await self._store.user_of(token)) or ""
        return response if seen.user else self._unauthorized()

    async def _body_of(self, request: Request, seen: Seen) -> bytes:
        try:
            return await body.read(request, self._contract.max_body_bytes)
        except body.UnreadError:
            seen.unread = True
            raise

    def _judge(self, request: Request, configuration: bytes, given: bytes) -> dict[str, str]:
        """The valid changes that a request asks for; raises `InvalidError` that says why not."""
        body.judge_headers(request, self._contract.media_type)
        changes: dict[str, str] = body.parse(given)
        try:
            why = self._contract.why_not_body(changes)
        except ValueError:
            why = "body: is nested too deeply"
        why = why or self._contract.why_not_id(configuration.decode(errors="replace"))
        if why:
            raise body.InvalidError(why)
        return changes

    def _preferred_example(self, preferred: dict[str, str]) -> JSONResponse:
        try:
            return self._example(**preferred)
        except KeyError:
            return self._error(HTTPStatus.BAD_REQUEST, f"Prefer: {self._contract.preferences}")

    def _example(self, code: int | str = 200, example: str = "") -> JSONResponse:
        """The contract's example of this status and name; raises `KeyError` if it has none."""
        examples = self._contract.answers[int(code)]
        headers = {"WWW-Authenticate": "Bearer"} if int(code) == HTTPStatus.UNAUTHORIZED else None
        return JSONResponse(examples[example or next(iter(examples))], int(code), headers)

    def _unauthorized(self) -> JSONResponse:
        return self._error(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})

    def _error(
        self, status: HTTPStatus, message: str | None = None, headers: dict[str, str] | None = None
    ) -> JSONResponse:
        message = message or self._contract.message(status)
        return JSONResponse({"success": False, "message": message}, status, headers)


def _token_of(request: Request) -> str:
    """The bearer token; empty if there is none, or more than one, where it belongs."""
    given = request.headers.getlist("authorization")
    bearer = BEARER.fullmatch(given[0].strip(" \t")) if len(given) == 1 else None
    return bearer[1] if bearer else ""


def _preferred(request: Request) -> dict[str, str]:
    """The `code` and the `example` that `Prefer` or the query ask for, as they do of Prism."""
    wanted = request.scope["query_string"].decode("latin-1")
    wanted = wanted + ", " + request.headers["prefer"] if "prefer" in request.headers else wanted
    return dict(PREFERRED.findall(wanted)) if wanted else {}


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def _log_failure(error: Exception) -> None:
    """Log where it happened, not what it says: an exception's text may quote a credential."""
    if isinstance(error, StoreError):  # whose text is ours
        log.error("failed to update: %s", error)
        return
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error("failed to update: %s in %s:%s", type(error).__name__, frame.name, frame.lineno)
