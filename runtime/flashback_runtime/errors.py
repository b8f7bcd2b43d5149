"""Base classes of the errors that a call can raise. The generated package adds one per status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast


class Headers(dict[str, str]):
    """Headers of a response by name in lower case; lookups accept any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the header, or the default."""
        return super().get(name.lower(), default)


class FlashbackError(Exception):
    """Any failure of a call. Can be copied and pickled, and holds no credential.

    Attributes:
        method, url: the request, without its body.
        path: the path of the operation.
        attempts: how often the request was sent.
        maybe_applied: whether the update may have been applied, since at least one attempt got no
            complete, documented response. Keep what you replaced, and send
            the same call again.

    """

    method: str = ""
    url: str = ""
    path: str = ""
    attempts: int = 0
    maybe_applied: bool = False

    def __init__(self, text: str = "", facts: object = None) -> None:
        """Keep text and facts in `args`, from which task queues and pickle rebuild the error."""
        known: dict[str, Any] = {}
        if isinstance(facts, Mapping):
            known.update(cast("Mapping[str, Any]", facts))
        super().__init__(*([text, known] if known else [text]))
        for name, value in known.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ArgumentError(FlashbackError, ValueError):
    """An argument breaks the contract, or a setting cannot be used; nothing was sent."""

    field: str = ""

    @classmethod
    def about(cls, field: str, problem: str) -> Self:
        """Return the error of this argument, whose text is the name and the problem."""
        return cls(f"{field} {problem}", {"field": field})


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument has a wrong type."""


class ApiConnectionError(FlashbackError):
    """No complete response was received; `maybe_applied` says whether the request was sent.

    `__cause__` is what the HTTP library raised.
    """


class ApiTimeoutError(ApiConnectionError):
    """The time limit of the call or of its last attempt passed."""


class ResponseError(FlashbackError):
    """A response that is not the documented success. Credentials in it are masked."""

    status_code: int = 0
    #: What the service says went wrong, for people.
    message: str | None = None
    request_id: str | None = None
    #: Seconds that the service asks to wait before the next call.
    retry_after: float | None = None
    headers: Headers = Headers()
    #: At most 64 KiB of the body.
    body: bytes = b""

    def __init__(self, text: str = "", facts: object = None) -> None:
        """Keep the facts as plain JSON values in `args`."""
        super().__init__(text, facts)
        self.headers = Headers(self.headers)
        body: object = self.body
        if isinstance(body, str):
            self.body = body.encode("latin-1")


class ResponseDecodeError(ResponseError):
    """The response reports success, but its body is not what the contract documents."""


class ApiStatusError(ResponseError):
    """The service answered with a status that is not a success."""


class ServerError(ApiStatusError):
    """Any 5xx."""


class UnexpectedStatusError(ApiStatusError):
    """A status that the contract does not document, redirects included."""


class UnexpectedServerError(UnexpectedStatusError, ServerError):
    """A 5xx that the contract does not document, such as 502 of a proxy."""
