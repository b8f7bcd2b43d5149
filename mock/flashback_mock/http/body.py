"""Functions that check and parse request bodies."""

import json
import re
from typing import Any, NoReturn

from multidict import MultiMapping

from .messages import HttpError, Request

PARAMETERS = r"""[ \t]*(;[ \t]*(charset=("utf-8"|utf-8)[ \t]*)?)*"""


def check_complete(request: Request, limit: int) -> None:
    """Raise `HttpError` if the body is incomplete or larger than `limit` bytes."""
    if request.incomplete:
        raise request.incomplete
    if len(request.body) > limit:
        raise too_large(limit)


def too_large(limit: int) -> HttpError:
    """Return the error for a body of more than `limit` bytes."""
    return HttpError(413, f"body: must be at most {limit} bytes")


def check_headers(headers: MultiMapping[str], media_type: str) -> None:
    """Raise `HttpError` unless the headers declare a UTF-8 body of this media type.

    The body must not have a content coding such as gzip.
    """
    if "Content-Encoding" in headers:
        raise HttpError(415, "Content-Encoding: send the body without a content coding")
    if headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
        raise HttpError(400, "Transfer-Encoding: must be chunked or absent")
    declared = headers.getall("Content-Type", [])
    allowed = re.escape(media_type) + PARAMETERS
    if len(declared) != 1 or not re.fullmatch(allowed, declared[0], re.IGNORECASE):
        raise HttpError(
            415, f"Content-Type: must be {media_type}; the only allowed parameter is charset=utf-8"
        )


def parse(body: bytes) -> Any:
    """Parse JSON text in UTF-8.

    Raise `HttpError` if the text is not valid JSON, is nested too deeply, or contains duplicate
    keys, `NaN`, `Infinity` or a lone surrogate.
    """
    try:
        value = DECODER.decode(body.decode("utf-8"))
        if b"\\u" in body:
            # An escape sequence can represent a lone surrogate, which encode() rejects.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise HttpError(
            400, f"body: invalid JSON at line {error.lineno}, column {error.colno}"
        ) from None
    except UnicodeError:
        raise HttpError(400, "body: is not UTF-8 or contains a lone surrogate") from None
    except (RecursionError, ValueError):  # an integer with thousands of digits raises ValueError
        raise HttpError(400, "body: is nested too deeply or contains too large a number") from None
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise HttpError(400, "body: contains a duplicate key")
    return fields


def _reject_constant(_name: str) -> NoReturn:
    raise HttpError(400, "body: NaN and Infinity are not valid JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_reject_constant)
