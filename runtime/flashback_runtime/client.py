"""The two clients without operations: their settings, their connections, and how they close."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from .blocking import BlockingIO, run
from .calls import Call, Response
from .connections import CLOSED, IO, Connections, httpx
from .errors import ArgumentError, ArgumentTypeError, FlashbackError
from .fields import UNSET, Unset, box, box_values
from .retry import send
from .secrets import Secret
from .settings import Service, Settings

C = TypeVar("C", httpx.Client, httpx.AsyncClient)
T = TypeVar("T", httpx.BaseTransport, httpx.AsyncBaseTransport)
P = TypeVar("P")


class BaseClient(Generic[C, T]):
    """Validated settings and connections of a client, which its subclasses use.

    Args:
        token: text, or a function that returns it, called for every call and after a 401.
        base_url: where the service is, instead of the environment's or the contract's.
        timeout: seconds for a whole call, retries included; None for no limit.
        attempt_timeout: seconds for one attempt, instead of half of the time left.
        max_retries: retries after lost connections, 408, 429 and 5xx.
        headers: sent with every request.
        allow_http: accept http:// beyond loopback, which shows the token to the network.
        http_client: an httpx client; its settings are yours, and so is closing it.
        transport: an httpx transport.

    """

    _service: ClassVar[Service]
    _client_type: ClassVar[type[Any]]
    _transport_type: ClassVar[type[Any]]

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
        """Raise ArgumentError, or FlashbackError when no file can be opened."""
        if token is not None and not callable(token):
            token = box(token)
        headers = {} if headers is None else box_values(headers)
        self._check_given(http_client, transport)
        if base_url is None and http_client is not None:
            base_url = str(http_client.base_url) or None
        defaults = Settings.defaults(self._service, allow_http=allow_http)
        self._settings = defaults.changed(
            token=defaults.token if token is None else token,
            base_url=defaults.base_url if base_url is None else base_url,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            headers=headers,
        )
        self._is_derived = False
        self._is_closed = False
        self._open(http_client or transport)

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

    def _open(self, given: C | T | None) -> None:
        try:
            self._connections = Connections(given, self._new_io())
            if given is None:
                # Import httpcore and read certificates now: a call may be in an event loop.
                self._connections.io.new_pool(self._settings.route)
        except OSError as error:
            raise FlashbackError(f"the client cannot be made: {error.strerror}") from error

    def _new_io(self) -> IO:
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
        headers = box_values(headers)
        other = object.__new__(type(self))
        vars(other).update(vars(self), _is_derived=True)
        other._settings = self._settings.changed(
            token=token,
            base_url=base_url,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            headers=headers,
        )
        return other

    def _send(self, call: Call[Any, P]) -> Coroutine[Any, Any, Response[P]]:
        if self._is_closed or self._connections.closed:
            raise FlashbackError(CLOSED)
        return send(call, self._settings, self._connections)

    def _to_close(self) -> list[Any]:
        """Refuse calls from now on; return the transports that have to be closed here."""
        self._is_closed = True
        return [] if self._is_derived else self._connections.close()


class Client(BaseClient[httpx.Client, httpx.BaseTransport]):
    """A blocking client, for any number of threads."""

    _client_type = httpx.Client
    _transport_type = httpx.BaseTransport

    def _new_io(self) -> IO:
        return BlockingIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a call from now on is an error."""
        for http in self._to_close():
            http.close()

    def send(self, call: Call[Any, P]) -> Response[P]:
        """Return the response of any status to a call that a function module prepared."""
        return run(self._send(call))


class AsyncClient(BaseClient[httpx.AsyncClient, httpx.AsyncBaseTransport]):
    """A client for asyncio, for any number of tasks and event loops.

    The token function may return an awaitable.
    """

    _client_type = httpx.AsyncClient
    _transport_type = httpx.AsyncBaseTransport

    def _new_io(self) -> IO:
        from .awaited import AsyncIO  # noqa: PLC0415 - imports asyncio and anyio

        return AsyncIO()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this loop; a call from now on is an error."""
        for http in self._to_close():
            await http.aclose()

    async def send(self, call: Call[Any, P]) -> Response[P]:
        """Return the response of any status to a call that a function module prepared."""
        return await self._send(call)
