"""Base classes of the generated clients. They manage settings and connections and send requests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from .calls import Call, Response, RunningCall
from .errors import ArgumentError, FlashbackError
from .fields import UNSET, Rule, Unset, as_secret, as_secrets
from .retry import send
from .secrets import Secret
from .settings import Service, Settings
from .transport import CLOSED, Connections, httpx, run

C = TypeVar("C", httpx.Client, httpx.AsyncClient)
T = TypeVar("T", httpx.BaseTransport, httpx.AsyncBaseTransport)
P = TypeVar("P")


class BaseClient(Generic[C, T]):
    """The base class of the generated clients, whose docstrings describe the settings."""

    _service: ClassVar[Service]
    _client_type: ClassVar[type[Any]]
    _transport_type: ClassVar[type[Any]]
    _is_derived = False
    _is_closed = False

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
        """Raise ArgumentError if a setting is invalid, or FlashbackError if an OS error occurs."""
        service = self._service
        if token is None:
            token = service.variable("TOKEN")
        if not callable(token):
            token = as_secret(token)
        headers = as_secrets({} if headers is None else headers)
        self._check_given(http_client, transport)
        given = http_client or transport
        if base_url is None:
            base_url = str(getattr(http_client, "base_url", "")) or service.variable("BASE_URL")
            base_url = base_url or service.base_url
        if allow_http is None:
            allow_http = service.variable("ALLOW_HTTP").lower() in {"1", "true"}
        Rule(bool).check("allow_http", allow_http)
        self._settings = Settings(service, allow_http, trust_env=given is None).changed(
            token=token,
            base_url=base_url,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            headers=headers,
        )
        self._connections = self._prepare_connections(given)

    def _prepare_connections(self, given: C | T | None) -> Connections:
        try:
            connections = self._new_connections(given)
            # Import all modules and read the certificates now. During a call, this would block the
            # event loop, and would fail if no file descriptor is free.
            if given is None:
                connections.new_pool(self._settings.proxy)
        except (ImportError, OSError) as error:
            raise FlashbackError(f"cannot create the client: {error}") from error
        return connections

    def _check_given(self, client: C | None, transport: T | None) -> None:
        if transport is not None:
            Rule(self._transport_type).check("transport", transport)
        if client is not None:
            Rule(self._client_type).check("http_client", client)
            if transport is not None:
                problem = "cannot be combined with transport; set it on the httpx client instead"
                raise ArgumentError.about("http_client", problem)
            if client.auth is not None:
                problem = "was created with auth=, which would replace the token; omit auth="
                raise ArgumentError.about("http_client", problem)

    def _new_connections(self, given: C | T | None) -> Connections:
        return Connections(given)

    def __repr__(self) -> str:
        # If the constructor fails, a crash reporter might call repr() before `_settings` is set.
        base_url = self._settings.base_url if "_settings" in vars(self) else None
        return f"{type(self).__name__}(base_url={base_url!r})"

    def __reduce__(self) -> str:
        raise TypeError("clients cannot be pickled; create one in the process that uses it")

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
        """Return a client that has different settings but shares this client's connections.

        The new client also sends this client's headers. Close only this client, not the new one.
        """
        if not callable(token):
            token = as_secret(token)
        headers = as_secrets(headers)
        options = {
            "token": token,
            "base_url": base_url,
            "timeout": timeout,
            "attempt_timeout": attempt_timeout,
            "max_retries": max_retries,
            "headers": headers,
        }
        changes = {name: value for name, value in options.items() if value is not UNSET}
        settings = self._settings.changed(**changes)
        other = object.__new__(type(self))
        vars(other).update(vars(self), _is_derived=True, _settings=settings)
        return other

    def _send(self, call: Call[Any, P]) -> Coroutine[Any, Any, Response[P]]:
        if self._is_closed or self._connections.closed:
            raise FlashbackError(CLOSED)
        return send(RunningCall(call, self._settings, self._connections))

    def _detach_transports(self) -> list[Any]:
        self._is_closed = True
        return [] if self._is_derived else self._connections.close()


class Client(BaseClient[httpx.Client, httpx.BaseTransport]):
    """A blocking client. It is safe to share one client between threads."""

    _client_type = httpx.Client
    _transport_type = httpx.BaseTransport

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Later calls raise FlashbackError."""
        for transport in self._detach_transports():
            transport.close()

    def send(self, call: Call[Any, P]) -> Response[P]:
        """Send a prepared call and return the response, regardless of its status."""
        return run(self._send(call))


class AsyncClient(BaseClient[httpx.AsyncClient, httpx.AsyncBaseTransport]):
    """An asyncio client. It is safe to share one client between tasks and between event loops."""

    _client_type = httpx.AsyncClient
    _transport_type = httpx.AsyncBaseTransport

    def _new_connections(self, given: Any) -> Connections:
        from .async_transport import AsyncConnections  # noqa: PLC0415 - imports asyncio and anyio

        return AsyncConnections(given)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close this event loop's connections. Later calls raise FlashbackError."""
        for transport in self._detach_transports():
            await transport.aclose()

    async def send(self, call: Call[Any, P]) -> Response[P]:
        """Send a prepared call and return the response, regardless of its status."""
        return await self._send(call)
