"""The operation over HTTP: who asks, for what, and which of the documented answers that is."""

import asyncio
import logging
import re
import time
import traceback
from contextlib import suppress
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from . import body
from .contract import Contract
from .store import ForbiddenError, NameTakenError, NotFoundError, Store

log = logging.getLogger("flashback_mock")

BEARER = re.compile("bearer +([0-9A-Za-z._~+/-]+=*)", re.IGNORECASE)  # RFC 6750, section 2.1
LINGER_SECONDS = 1.0


class App:
    """The ASGI application: one operation, every answer documented."""

    def __init__(self, contract: Contract, store: Store) -> None:
        """Serve the contract's operation on the store's configurations."""
        self._contract = contract
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        started = time.perf_counter()
        request.state.about, request.state.unread = self._contract.path, False
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, 500 is the documented answer
            _log_failure(error)
            response = self._error(HTTPStatus.INTERNAL_SERVER_ERROR)
        milliseconds = (time.perf_counter() - started) * 1000
        about = request.state.about
        log.info("%s %s %d %.1f ms", request.method, about, response.status_code, milliseconds)
        if request.state.unread:
            await _answer_and_close(response, receive, send)
        else:
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> JSONResponse:
        configuration = self._contract.id_of(request.scope["raw_path"])
        if configuration is None:
            return self._error(HTTPStatus.NOT_FOUND, "There is nothing at this path")
        if request.method != "PUT":
            return self._error(
                HTTPStatus.METHOD_NOT_ALLOWED, "Only PUT is allowed here", {"Allow": "PUT"}
            )
        return await self._update(request, configuration)

    async def _update(self, request: Request, configuration: bytes) -> JSONResponse:
        user = self._user_of(request)
        try:
            # Read before 401 too: what is left unread costs the connection.
            given = await body.read(request, self._contract.max_body_bytes)
        except body.UnreadError as why:
            request.state.unread = True
            return self._error(HTTPStatus.BAD_REQUEST, str(why)) if user else self._unauthorized()
        return self._change(request, user, configuration, given) if user else self._unauthorized()

    def _change(
        self, request: Request, user: str, configuration: bytes, given: bytes
    ) -> JSONResponse:
        try:
            changes = self._judge(request, configuration, given)
            wanted = configuration.decode()
            self._store.update(user, wanted, changes)
        except body.InvalidError as why:
            return self._error(HTTPStatus.BAD_REQUEST, str(why))
        except (NotFoundError, UnicodeDecodeError):  # ids are text: other octets name nothing
            return self._error(HTTPStatus.NOT_FOUND)
        except ForbiddenError:
            return self._error(HTTPStatus.FORBIDDEN)
        except NameTakenError:
            return self._error(HTTPStatus.BAD_REQUEST, self._contract.name_taken)
        # Only now is it known to be an id, and not a token at the wrong place: it may be logged.
        request.state.about = f"{wanted} ({', '.join(changes) or 'nothing'})"
        message = self._contract.message(200)
        return JSONResponse({"success": True, "aiLlmId": wanted, "message": message})

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

    def _user_of(self, request: Request) -> str | None:
        given = request.headers.getlist("authorization")
        bearer = BEARER.fullmatch(given[0].strip(" \t")) if len(given) == 1 else None
        return self._store.user_of(bearer[1]) if bearer else None

    def _unauthorized(self) -> JSONResponse:
        return self._error(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})

    def _error(
        self, status: HTTPStatus, message: str | None = None, headers: dict[str, str] | None = None
    ) -> JSONResponse:
        message = message or self._contract.message(status)
        return JSONResponse({"success": False, "message": message}, status, headers)


async def _answer_and_close(response: JSONResponse, receive: Receive, send: Send) -> None:
    """Answer a request whose body was not read to its end, and close the connection.

    What is still on its way is thrown away first, for a while: a connection closed over unread
    bytes is reset, and the answer lost with it.
    """
    response.headers["Connection"] = "close"
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    await _discard(receive)
    await send({"type": "http.response.body"})


async def _discard(receive: Receive) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass


def _log_failure(error: Exception) -> None:
    """Log where it happened, not what it says: an exception's text may quote a credential."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error("failed to update: %s in %s:%s", type(error).__name__, frame.name, frame.lineno)
