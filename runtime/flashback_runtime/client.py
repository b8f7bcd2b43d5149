"""The two clients without operations: settings, connections, and the loop over `retry.steps`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from .calls import Call, Response
from .deadlines import LimitPassedError
from .errors import ArgumentError, ArgumentTypeError, FlashbackError
from .exchange import outcome_of, send, send_async
from .fields import UNSET, Unset, box, box_values
from .retry import AskToken, Attempt, Outcome, Step, steps
from .secrets import Secret
from .settings import Service, Settings, checked_token
from .transport import CLOSED, AsyncTransport, BlockingTransport, Connections, httpx, tls_context

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
        if token is not None and not callable(token):
            token = box(token)
        if isinstance(headers, Mapping):
            headers = box_values(headers)
        self._check_given(http_client, transport)
        if base_url is None and http_client is not None:
            base_url = str(http_client.base_url) or None
        self._settings = Settings.of(
            self._service,
            allow_http=allow_http,
            token=token,
            base_url=base_url,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            headers=headers,
        )
        self._open(http_client or transport)

    def _open(self, given: C | T | None) -> None:
        """Make what the first call would make too late, or twice; raise FlashbackError."""
        self._connections: Connections[Any] = Connections(
            given, is_portable=isinstance(given, _IN_MEMORY), new=self._pool_type
        )
        self._is_derived = False
        self._is_closed = False
        try:
            self._warm_up()
        except OSError as error:
            raise FlashbackError(f"the client cannot be made: {error.strerror}") from error

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

    def _start(self, call: Call[Any, P]) -> Generator[Step | Response[P], Any, None]:
        """Return the steps of a call that begins now."""
        if self._is_closed or self._connections.closed:
            raise FlashbackError(CLOSED)
        return steps(call, self._settings, time.monotonic() + self._settings.timeout)

    def _to_close(self, loop: Any = None) -> list[Any]:
        """Refuse calls from now on; return the transports that have to be closed here."""
        self._is_closed = True
        if self._is_derived:
            return []
        closing = self._connections.close(loop)
        return [http for http in closing if isinstance(http, self._transport_type)]


class Client(BaseClient[httpx.Client, httpx.BaseTransport]):
    """A blocking client, for any number of threads."""

    _client_type = httpx.Client
    _transport_type = httpx.BaseTransport
    _pool_type = BlockingTransport

    def _warm_up(self) -> None:
        self._connections.get(self._settings.route)  # now, so that threads share the pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a call from now on is an error."""
        for http in self._to_close():
            http.close()

    def send(self, call: Call[Any, P]) -> Response[P]:
        """Return the response to a call that a function module prepared, of any status."""
        steps = self._start(call)
        step = next(steps)
        while not isinstance(step, Response):
            step = steps.send(self._answer(call, step))
        return step

    def _answer(self, call: Call[Any, Any], step: Step) -> Secret | Outcome | None:
        """Do what the step asks for."""
        if isinstance(step, Attempt):
            return self._attempt(call, step)
        if isinstance(step, AskToken):
            return self._current_token()
        time.sleep(step.seconds)
        return None

    def _current_token(self) -> Secret:
        token = self._settings.token
        if isinstance(token, Secret):
            return token
        return cast("Secret", checked_token(token(), self._service))

    def _attempt(self, call: Call[Any, Any], attempt: Attempt) -> Outcome:
        try:
            http = self._connections.get(self._settings.route)
            return send(http, call, self._settings, attempt)
        except BaseException as raised:  # noqa: BLE001 - raised again, or translated
            error = raised
        return outcome_of(error, call, attempt, closed=self._connections.closed)


class AsyncClient(BaseClient[httpx.AsyncClient, httpx.AsyncBaseTransport]):
    """A client for asyncio, for any number of tasks and event loops.

    The token function may return an awaitable.
    """

    _client_type = httpx.AsyncClient
    _transport_type = httpx.AsyncBaseTransport
    _pool_type = AsyncTransport

    def _warm_up(self) -> None:
        from . import tasks  # noqa: PLC0415 - imports asyncio and anyio

        self._tasks = tasks
        if self._settings.route.is_tls:
            tls_context()  # now, since making it would block the event loop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this loop; a call from now on is an error."""
        for http in self._to_close(self._tasks.running_loop()):
            await http.aclose()

    async def send(self, call: Call[Any, P]) -> Response[P]:
        """Return the response to a call that a function module prepared, of any status."""
        steps = self._start(call)
        step = next(steps)
        while not isinstance(step, Response):
            step = steps.send(await self._answer(call, step))
        return step

    async def _answer(self, call: Call[Any, Any], step: Step) -> Secret | Outcome | None:
        """Do what the step asks for."""
        if isinstance(step, Attempt):
            return await self._attempt(call, step)
        if isinstance(step, AskToken):
            return await self._current_token(step)
        await self._tasks.sleep(step.seconds)
        return None

    async def _current_token(self, step: AskToken) -> Secret | None:
        """Return the current token; None if the token function exceeds the deadline."""
        token = self._settings.token
        if isinstance(token, Secret):
            return token
        try:
            value = await self._tasks.run_contained(partial(_called, token), step.ends_at)
        except LimitPassedError:
            return None
        return cast("Secret", checked_token(value, self._service))

    async def _attempt(self, call: Call[Any, Any], attempt: Attempt) -> Outcome:
        loop = self._tasks.running_loop()
        try:
            http = self._connections.get(self._settings.route, loop)
            exchange = partial(send_async, http, call, self._settings, attempt)
            return await self._tasks.run_contained(exchange, attempt.ends_at)
        except BaseException as raised:  # noqa: BLE001 - raised again, or translated
            error = raised
        return outcome_of(error, call, attempt, closed=self._connections.closed)


async def _called(function: Callable[[], Any]) -> object:
    """Return a token function's result, awaited if necessary."""
    value: object = function()
    return await cast("Awaitable[object]", value) if isinstance(value, Awaitable) else value
