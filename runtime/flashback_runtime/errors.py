"""The base classes of errors. The generated package adds one class per documented status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast


class Headers(dict[str, str]):
    """Response headers. The keys are in lower case; lookups ignore case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the header, or the default."""
        return super().get(name.lower(), default)


class FlashbackError(Exception):
    """The base class of all errors. They can be copied and pickled, and contain no credential.

    Attributes:
        method: the HTTP method of the request.
        url: the URL of the request.
        path: the path of the operation.
        attempts: the number of requests that were sent.
        maybe_applied: whether the update may have been applied although the call failed. If so,
            keep the old values and repeat the call.

    """

    method: str = ""
    url: str = ""
    path: str = ""
    attempts: int = 0
    maybe_applied: bool = False

    def __init__(self, text: str = "", facts: object = None) -> None:
        """Keep both arguments in `args`, from which pickle and task queues rebuild the error."""
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
    """An argument breaks the contract, or a setting is invalid. Nothing was sent.

    `field` is the name of the argument.
    """

    field: str = ""

    @classmethod
    def about(cls, field: str, problem: str) -> Self:
        """Return the error whose text is the name of the argument and the problem."""
        return cls(f"{field} {problem}", {"field": field})


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument has the wrong type."""


class ApiConnectionError(FlashbackError):
    """No complete response was received. `__cause__` is the exception of the HTTP library."""


class ApiTimeoutError(ApiConnectionError):
    """The call or its last attempt timed out."""


class ResponseError(FlashbackError):
    """The service did not return the documented success.

    Attributes:
        status_code: the status of the response.
        message: the service's explanation for people.
        request_id: the service's ID of the request.
        retry_after: the number of seconds to wait before the next call.
        headers: the headers of the response, with credentials redacted.
        body: the first 64 KiB of the body, with credentials redacted.

    """

    status_code: int = 0
    message: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    headers: Headers = Headers()
    body: bytes = b""

    def __init__(self, text: str = "", facts: object = None) -> None:
        """Take the facts as JSON types: the body as Latin-1 text, the headers as a dict."""
        super().__init__(text, facts)
        self.headers = Headers(self.headers)
        body: object = self.body
        if isinstance(body, str):
            self.body = body.encode("latin-1")


class ResponseDecodeError(ResponseError):
    """The status is a success, but the body is not what the contract documents."""


class ApiStatusError(ResponseError):
    """The status of the response is not a success."""


class ServerError(ApiStatusError):
    """The status is 500 or higher."""


class UnexpectedStatusError(ApiStatusError):
    """The contract does not document the status. Redirects are not followed."""


class UnexpectedServerError(UnexpectedStatusError, ServerError):
    """The contract does not document the status, and it is 500 or higher, such as 502."""
