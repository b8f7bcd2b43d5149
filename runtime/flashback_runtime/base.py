"""What the blocking and the async client share: settings, and clients derived from one."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from .calls import Call, Response
from .connections import CLOSED, Connections
from .errors import ArgumentError, ArgumentTypeError, FlashbackError
from .http import httpx
from .retry import Step, steps
from .secrets import Secret, box, box_values
from .settings import (
    Service,
    Settings,
    address,
    checked_allow_http,
    checked_headers,
    checked_retries,
    checked_seconds,
    checked_token,
)
from .unset import UNSET, Unset

C = TypeVar("C", httpx.Client, httpx.AsyncClient)
T = TypeVar("T", httpx.BaseTransport, httpx.AsyncBaseTransport)
P = TypeVar("P")
_IN_MEMORY = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)


class BaseClient(Generic[C, T]):
    """Validated settings and connections of a client, which its subclasses use."""

    _service: ClassVar[Service]
    _client_type: ClassVar[type[Any]]
    _transport_type: ClassVar[type[Any]]
    _pool_type: ClassVar[Any]

    def __init__(
        self,
        token: str | Secret | Callable[[], Any] | None = None,
        *,
        base_url: str | None = None,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = None,
        max_retries: int = 2,
        headers: Mapping[str, str | Secret] | None = None,
        allow_http: bool | None = None,
        http_client: C | None = None,
        transport: T | None = None,
    ) -> None:
        """Validate the settings; raise ArgumentError.

        Args:
            token: the access token, or a function that returns it, called for every call and once
                more after a 401. Default: the environment variable.
            base_url: where the service is. Default: the environment variable, else the contract's.
            timeout: seconds for a whole call, retries included; None for no limit.
            attempt_timeout: seconds for one attempt. Default: half of the time left
                while a retry is possible.
            max_retries: retries after lost connections, 408, 429 and 5xx.
            headers: sent with every request.
            allow_http: accept an http:// address that is not loopback, which shows the token to the
                network. Default: the environment variable.
            http_client: an httpx client to use; its settings are yours, and so is closing it.
            transport: an httpx transport to use.

        """
        if token is not None and not callable(token):
            token = box(token)
        if isinstance(headers, Mapping):
            headers = box_values(headers)
        self._check_given(http_client, transport)
        service = self._service
        given_url = "" if http_client is None else str(http_client.base_url)
        if base_url is None:
            base_url = given_url or service.variable("BASE_URL") or service.base_url
        allowed = checked_allow_http(value=allow_http, service=service)
        own = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": service.user_agent,
        }
        self._settings = Settings(
            service=service,
            token=checked_token(service.variable("TOKEN") if token is None else token, service),
            allow_http=allowed,
            **address(base_url, allow_http=allowed),
            timeout=checked_seconds("timeout", timeout),
            attempt_timeout=checked_seconds("attempt_timeout", attempt_timeout),
            max_retries=checked_retries(max_retries),
            headers={**box_values(own), **checked_headers({} if headers is None else headers)},
        )
        self._connections: Connections[Any] = Connections(
            http_client or transport,
            is_portable=isinstance(transport, _IN_MEMORY),
            new=self._pool_type,
        )
        self._is_derived = False
        self._is_closed = False
        self._warm_up()

    def _check_given(self, client: C | None, transport: T | None) -> None:
        """Raise ArgumentError unless at most one is given, of the right type and usable."""
        if client is not None and transport is not None:
            problem = "and transport cannot both be given: a client has its own transport"
            raise ArgumentError.about("http_client", problem)
        kinds = {"http_client": self._client_type, "transport": self._transport_type}
        for name, given in (("http_client", client), ("transport", transport)):
            if given is not None and not isinstance(given, kinds[name]):
                raise ArgumentTypeError.about(name, f"must be an httpx.{kinds[name].__name__}")
        if client is not None and client.auth is not None:
            problem = "has auth=, which would replace the token; remove it, or set headers="
            raise ArgumentError.about("http_client", problem)
        if client is not None and client.is_closed:
            raise ArgumentError.about("http_client", "is closed; give an open one")

    def _warm_up(self) -> None:
        """Do what would be done too late, or twice, in the first call."""
        raise NotImplementedError

    def __repr__(self) -> str:
        settings: Settings | None = vars(self).get("_settings")
        if settings is None:  # a crash reporter looks at a constructor that failed
            return f"{type(self).__name__}(...)"
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
        if isinstance(headers, Mapping):
            headers = box_values(headers)
        old = self._settings
        changes: dict[str, Any] = {}
        if not isinstance(token, Unset):
            changes["token"] = checked_token(token, self._service)
        if not isinstance(base_url, Unset):
            changes |= address(base_url, allow_http=old.allow_http)
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
        other._settings = old._replace(**changes)
        other._is_derived = True
        return other

    def _start(self, call: Call[Any, P]) -> Generator[Step, Any, Response[P]]:
        """Return the steps of a call that begins now."""
        if self._is_closed or self._connections.closed:
            raise FlashbackError(CLOSED)
        deadline = time.monotonic() + self._settings.timeout
        return steps(call, self._settings, deadline)
