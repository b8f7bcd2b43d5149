"""What the blocking and the async client share: settings, and clients derived from one."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar, Self, TypeVar

import attrs

from .calls import Call, Response
from .connections import CLOSED, Connections
from .errors import ArgumentError, ArgumentTypeError, FlashbackError
from .http import httpx
from .retry import Step, steps
from .secrets import Secret, box
from .settings import (
    Service,
    Settings,
    base_url_from,
    boxed_headers,
    checked_allow_http,
    checked_base_url,
    checked_headers,
    checked_retries,
    checked_seconds,
    route_to,
    token_from,
)
from .unset import UNSET, Unset

P = TypeVar("P")


class BaseClient:
    """What both clients share: validated settings, and clients derived from this one."""

    _service: ClassVar[Service]
    _settings: Settings
    _connections: Connections[Any]
    _is_derived = False
    _is_closed = False

    def _validated(
        self,
        *,
        token: object,
        base_url: str | None,
        timeout: object,
        attempt_timeout: object,
        max_retries: object,
        headers: object,
        allow_http: object,
        given: httpx.Client | httpx.AsyncClient | None,
    ) -> Settings:
        service = self._service
        allowed = checked_allow_http(allow_http, service)
        given_url = None if given is None else str(given.base_url)
        url = checked_base_url(base_url_from(base_url, given_url, service), allow_http=allowed)
        own = {
            "accept": Secret("application/json"),
            "accept-encoding": Secret("identity"),
            "user-agent": Secret(service.user_agent),
        }
        return Settings(
            service=service,
            token=token_from(token, service),
            base_url=url,
            allow_http=allowed,
            route=route_to(url),
            timeout=checked_seconds("timeout", timeout),
            attempt_timeout=checked_seconds("attempt_timeout", attempt_timeout),
            max_retries=checked_retries(max_retries),
            headers={**own, **checked_headers(headers)},
        )

    def __repr__(self) -> str:
        settings = self._settings
        timeout = None if settings.timeout == float("inf") else settings.timeout
        shown = f"base_url={settings.base_url!r}, timeout={timeout}"
        return f"{type(self).__name__}({shown}, max_retries={settings.max_retries})"

    def __reduce__(self) -> str:
        name = type(self).__name__
        raise TypeError(f"{name} holds connections and a token; create it where it is used")

    def with_options(
        self,
        *,
        token: str | Secret | Callable[[], Any] | Unset = UNSET,
        base_url: str | Unset = UNSET,
        timeout: float | Unset | None = UNSET,
        attempt_timeout: float | Unset | None = UNSET,
        max_retries: int | Unset = UNSET,
        headers: Mapping[str, str | Secret] | Unset = UNSET,
    ) -> Self:
        """Return a client with other settings on the same connections; this one stays as it is.

        Headers are added to those of this client. Closing the new client closes no connection.
        """
        if not callable(token):
            token = box(token)
        if not isinstance(headers, Unset):
            headers = boxed_headers(headers)
        old = self._settings
        changes: dict[str, Any] = {}
        if not isinstance(token, Unset):
            changes["token"] = token_from(token, self._service)
        if not isinstance(base_url, Unset):
            url = checked_base_url(base_url, allow_http=old.allow_http)
            changes |= {"base_url": url, "route": route_to(url)}
        if not isinstance(timeout, Unset):
            changes["timeout"] = checked_seconds("timeout", timeout)
        if not isinstance(attempt_timeout, Unset):
            changes["attempt_timeout"] = checked_seconds("attempt_timeout", attempt_timeout)
        if not isinstance(max_retries, Unset):
            changes["max_retries"] = checked_retries(max_retries)
        if not isinstance(headers, Unset):
            changes["headers"] = {**old.headers, **checked_headers(headers)}
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._settings = attrs.evolve(old, **changes)
        other._is_derived = True
        return other

    def _start(self, call: Call[Any, P]) -> Generator[Step, Any, Response[P]]:
        """Return the steps of a call that begins now."""
        if self._is_closed or self._connections.closed:
            raise FlashbackError(CLOSED)
        deadline = time.monotonic() + self._settings.timeout
        return steps(call, self._settings, deadline)


def check_given(
    client: Any, client_type: type[Any], transport: object, transport_type: type[Any]
) -> None:
    """Raise ArgumentError unless at most one is given, of the right type and usable."""
    if client is not None and transport is not None:
        problem = "and transport cannot both be given: a client has its own transport"
        raise ArgumentError.about("http_client", problem)
    if transport is not None and not isinstance(transport, transport_type):
        raise ArgumentTypeError.about("transport", f"must be an httpx.{transport_type.__name__}")
    if client is None:
        return
    if not isinstance(client, client_type):
        raise ArgumentTypeError.about("http_client", f"must be an httpx.{client_type.__name__}")
    if client.auth is not None:
        problem = "has auth=, which would replace the token; remove it, or set headers="
        raise ArgumentError.about("http_client", problem)
    if client.is_closed:
        raise ArgumentError.about("http_client", "is closed; give an open one")


def is_portable(transport: object) -> bool:
    """Return whether a transport has no sockets, so that any loop and process may use it."""
    in_memory = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)
    return isinstance(transport, in_memory)
