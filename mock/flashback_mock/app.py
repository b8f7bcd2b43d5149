"""The operation over HTTP: who asks, for what, and which of the documented answers that is."""

import json
import logging
import os
import re
import time
import traceback
from asyncio import sleep  # bound here: tests replace `asyncio.sleep`, to wait for nothing
from dataclasses import dataclass, field
from http import HTTPMethod, HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from . import body, sending
from .body import Headers
from .contract import Contract
from .control import AS_IT_IS, SILENT, Control, Entry, Planned
from .stores import (
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
# As Prism reads them: `Prefer: code=404, example=notFound`, and `?__code=404&__example=notFound`.
PREFER = re.compile(r"(?:^|[,;])\s*(code|example)\s*=\s*\"?([^\s\",;]+)", re.IGNORECASE)
QUERY = re.compile(r"(?:^|&)__(code|example)=([^&]+)")
METHODS = frozenset(HTTPMethod)
HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 405: {"Allow": "PUT"}}
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Answer(JSONResponse):
    """JSON, from an encoder that is made once."""

    def render(self, content: Any) -> bytes:
        """The octets of the content."""
        return ENCODER.encode(content).encode()


@dataclass(slots=True)
class Seen:
    """A request, and what is found out about it while it is answered."""

    scope: Scope
    receive: Receive
    headers: Headers
    request_id: str = field(default_factory=lambda: os.urandom(16).hex())
    user: str = ""
    configuration: str = ""
    fields: tuple[str, ...] = ()
    updated: bool = False
    unread: bool = False
    planned: Planned = AS_IT_IS


class App:
    """The ASGI application: one operation, every answer documented."""

    def __init__(self, contract: Contract, store: Store, control: Control) -> None:
        """Serve the contract's operation on the store's configurations, as `control` has it."""
        self._contract = contract
        self._store = store
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        seen = Seen(scope, receive, headers_of(scope))
        try:
            response = await self._answer(seen)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, 500 is the documented answer
            log.error("request %s failed: %s", seen.request_id, _why(error))  # noqa: TRY400
            response = self._error(HTTPStatus.INTERNAL_SERVER_ERROR)
        response.raw_headers.append((b"x-request-id", seen.request_id.encode()))
        self._note(seen, response.status_code, time.perf_counter() - started)
        if seen.planned.delay:  # only now: who stops waiting finds the request in the journal
            await sleep(seen.planned.delay)
        if seen.planned.fault:
            await sending.broken(seen.planned.fault, response, receive, send)
        elif seen.unread:
            await sending.and_close(response, receive, send)
        else:
            await response(scope, receive, send)

    def _note(self, seen: Seen, status: int, seconds: float) -> None:
        """Put the request into the journal and the log."""
        method, fault = seen.scope["method"], seen.planned.fault
        entry = Entry(
            seen.request_id,
            method if method in METHODS else "other",  # it could be a token
            0 if fault in SILENT else status,
            round(seconds * 1000, 3),
            seen.user,
            seen.configuration,
            seen.fields,
            seen.updated,
            fault,
        )
        self._control.journal.append(entry)
        log.info(entry)

    async def _answer(self, seen: Seen) -> Answer:
        configuration = self._contract.id_of(seen.scope["raw_path"])
        if configuration is None:
            return self._error(HTTPStatus.NOT_FOUND, "There is nothing at this path")
        if seen.scope["method"] != "PUT":
            return self._error(HTTPStatus.METHOD_NOT_ALLOWED, "Only PUT is allowed here")
        seen.planned = self._control.next()
        response = await self._update(seen, configuration)
        return self._example(code=str(seen.planned.status)) if seen.planned.status else response

    async def _update(self, seen: Seen, configuration: bytes) -> Answer:
        token = token_of(seen.headers)
        try:
            # Read before 401 too: what is left unread costs the connection.
            given = await body.read(
                seen.scope, seen.receive, seen.headers, self._contract.max_body_bytes
            )
            changes = self._judge(seen.headers, configuration, given)
            preferred, wanted = self._preferred(seen), configuration.decode()
        except body.InvalidError as why:
            seen.unread = isinstance(why, body.UnreadError)
            response = self._error(HTTPStatus.BAD_REQUEST, str(why))
        except UnicodeDecodeError:  # ids are text: other octets name nothing
            response = self._error(HTTPStatus.NOT_FOUND)
        else:
            seen.fields = tuple(changes)
            if preferred or not seen.planned.after_update:
                # An update of nothing finds out who asks, and for what.
                response = await self._change(token, wanted, {}, seen)
                response = preferred if preferred and seen.user else response
            else:
                response = await self._change(token, wanted, changes, seen)
                seen.updated = response.status_code == HTTPStatus.OK
            if seen.user and "x-request-id" in seen.headers:
                await self._name(seen, changes)
            return response
        seen.user = (token and await self._store.user_of(token)) or ""
        return response if seen.user else self._error(HTTPStatus.UNAUTHORIZED)

    async def _name(self, seen: Seen, changes: dict[str, str]) -> None:
        """Call a user's valid request as its caller does, unless that gives a secret away."""
        given = seen.headers["x-request-id"][0]
        secrets = " ".join(seen.headers.get("authorization", [])).split()
        secrets += (changes[field] for field in self._contract.credentials & changes.keys())
        secret = any(s in given or given in s for s in secrets) or await self._store.user_of(given)
        if REQUEST_ID.fullmatch(given) and not secret:
            seen.request_id = given

    async def _change(self, token: str, wanted: str, changes: dict[str, str], seen: Seen) -> Answer:
        try:
            seen.user = await self._store.update(token, wanted, changes)
        except UnauthorizedError:
            return self._error(HTTPStatus.UNAUTHORIZED)
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
        return Answer({"success": True, "aiLlmId": wanted, "message": message})

    def _judge(self, headers: Headers, configuration: bytes, given: bytes) -> dict[str, str]:
        """The valid changes that a request asks for; raises `InvalidError` that says why not."""
        body.judge_headers(headers, self._contract.media_type)
        changes: dict[str, str] = body.parse(given)
        why = self._contract.why_not_body(changes)
        if why := why or self._contract.why_not_id(configuration.decode(errors="replace")):
            raise body.InvalidError(why)
        return changes

    def _preferred(self, seen: Seen) -> Answer | None:
        """The example that a request asks for, if it does; raises `InvalidError`."""
        query, given = seen.scope["query_string"], seen.headers.get("prefer", [])
        if not query and not given:
            return None
        wanted = QUERY.findall(query.decode("latin-1")) + PREFER.findall(",".join(given))
        try:
            asked = {key.lower(): value for key, value in wanted}
            return self._example(**asked) if asked else None
        except LookupError as why:
            raise body.InvalidError(f"Prefer: {why}") from None

    def _example(self, code: str = "", example: str = "") -> Answer:
        """The contract's first example of this status and name; raises `LookupError`."""
        return _respond(*self._contract.example(code, example))

    def _error(self, status: HTTPStatus, message: str | None = None) -> Answer:
        message = message or self._contract.message(status)
        return _respond(status, {"success": False, "message": message})


def headers_of(scope: Scope) -> Headers:
    """The header fields' values by name: read once, where Starlette would search for each."""
    found: Headers = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return found


def token_of(headers: Headers) -> str:
    """The bearer token; empty if there is none, or more than one, where it belongs."""
    given = headers.get("authorization", [])
    bearer = BEARER.fullmatch(given[0].strip(" \t")) if len(given) == 1 else None
    return bearer[1] if bearer else ""


def _respond(status: int, content: dict[str, Any]) -> Answer:
    return Answer(content, status, HEADERS.get(status))


def _why(error: Exception) -> str:
    """Where it happened, not what it says: an exception's text may quote a credential."""
    if isinstance(error, StoreError):  # whose text is ours
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}:{frame.lineno}"
