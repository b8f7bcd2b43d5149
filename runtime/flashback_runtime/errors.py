"""Base classes for errors. The generated package adds one class for each documented status."""

from collections.abc import Mapping
from typing import Any, Self

from httpx import Headers


class FlashbackError(Exception):
    """The base class for all of the client's errors.

    Errors can be copied and pickled. They never contain credentials.

    Attributes:
        method: The HTTP method of the request.
        url: The URL of the request.
        path: The path of the operation.
        attempts: The number of requests that were sent.
        maybe_applied: Whether the update may have been applied even though the call failed. If
            True, repeat the call before you revoke the old credentials.

    """

    method: str = ""
    url: str = ""
    path: str = ""
    attempts: int = 0
    maybe_applied: bool = False

    def __init__(self, text: str = "", attributes: Mapping[str, Any] = {}) -> None:
        """Store both arguments in `args`, which pickle and task queues use to rebuild the error."""
        super().__init__(text, *filter(None, [attributes]))
        vars(self).update(attributes)

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ArgumentError(FlashbackError, ValueError):
    """An argument violates the contract, or a setting is invalid. The request was not sent.

    Attributes:
        field: The name of the invalid argument or setting.

    """

    field: str = ""

    @classmethod
    def about(cls, field: str, problem: str) -> Self:
        """Return an error whose text is the field name followed by the problem."""
        return cls(f"{field} {problem}", {"field": field})


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument has the wrong type."""


class ApiConnectionError(FlashbackError):
    """No complete response was received. `__cause__` is the exception raised by httpx."""


class ApiTimeoutError(ApiConnectionError):
    """The call or its last attempt timed out."""


class ResponseError(FlashbackError):
    """The response is unsuccessful or does not match the contract.

    Attributes:
        status_code: The status code of the response.
        message: The human-readable error message from the service.
        request_id: The id that the service assigned to the request.
        retry_after: The number of seconds to wait before the next call.
        headers: The response headers, with credentials redacted.
        body: The first 64 KiB of the body, with credentials redacted.

    """

    status_code: int = 0
    message: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    headers: Headers = Headers()
    body: bytes = b""

    def __init__(self, text: str = "", attributes: Mapping[str, Any] = {}) -> None:
        """Accept JSON-compatible attributes: the body as Latin-1 text, the headers as a dict."""
        super().__init__(text, attributes)
        self.headers = Headers(self.headers, "utf-8")
        self.body = vars(self).get("body", "").encode("latin-1")


class ResponseDecodeError(ResponseError):
    """The status indicates success, but the body does not match the contract."""


class ApiStatusError(ResponseError):
    """The response has an unsuccessful status."""


class ServerError(ApiStatusError):
    """The response has a status of 500 or higher."""


class UnexpectedStatusError(ApiStatusError):
    """The response has an undocumented status, such as 302. Redirects are not followed."""


class UnexpectedServerError(UnexpectedStatusError, ServerError):
    """The response has an undocumented status of 500 or higher, such as 502."""
