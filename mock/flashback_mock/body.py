"""A request's body: read within bounds, and nothing but strict JSON."""

import json
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

Headers = dict[str, list[str]]  # values by name, in lower case


class InvalidError(ValueError):
    """The body, or what describes it, is not what the contract asks for; the message says why."""


class UnreadError(InvalidError):
    """The body was refused before its end."""


async def read(scope: Scope, receive: Receive, headers: Headers, limit: int) -> bytes:
    """The body, of at most `limit` bytes; raises `UnreadError` without reading on.

    How long it may be on its way is the connection's business, which says when it is late.
    """
    too_large = UnreadError(f"body: must have at most {limit} bytes")
    declared = headers.get("content-length", [""])[0].lstrip("0")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise too_large
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large
        more = message.get("more_body", False)
        if more and "late" in scope:
            raise UnreadError("body: did not arrive in time")
    return bytes(body)


def judge_headers(headers: Headers, media_type: str) -> None:
    """Raise `InvalidError` unless the headers announce a plain body of the media type in UTF-8."""
    if "content-encoding" in headers:
        raise InvalidError("Content-Encoding: send the body as it is, without this header")
    if any(value.lower() != "chunked" for value in headers.get("transfer-encoding", [])):
        raise InvalidError("Transfer-Encoding: must be chunked, or absent")
    # Whatever case, quotes and space: it is compared as what it means.
    given = [_normal(value) for value in headers.get("content-type", [])]
    if given not in ([media_type], [f"{media_type};charset=utf-8"]):
        raise InvalidError(
            f"Content-Type: must be {media_type}, with no parameter but charset=utf-8"
        )


def parse(body: bytes) -> Any:
    """The value of a JSON text in UTF-8, read as strictly as RFC 8259 allows.

    Raises `InvalidError` also for duplicate keys, `NaN`, lone surrogates and too deep nesting.
    """
    if not body:
        raise InvalidError("body: is empty; send {} to change nothing")
    try:
        value = STRICT.decode(body.decode("utf-8"))
        if b"\\u" in body:  # it may be a lone surrogate, which has no bytes
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except InvalidError:
        raise
    except RecursionError:
        raise InvalidError("body: is nested too deeply") from None
    except UnicodeError:
        raise InvalidError("body: is not UTF-8, or has a lone surrogate") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        mark = error.doc.startswith("\ufeff") or "\0" in error.doc[:4]
        hint = "; send UTF-8 without a byte order mark" if mark else ""
        raise InvalidError(f"body: is not JSON at {where}{hint}") from None
    except ValueError:  # an integer of thousands of digits
        raise InvalidError("body: has a number that is too large") from None
    return value


def _normal(content_type: str) -> str:
    parts = (part.strip(" \t") for part in content_type.lower().split(";"))
    return ";".join(part.replace('"utf-8"', "utf-8") for part in parts if part)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidError("body: has the same key twice")
    return found


def _constant(_name: str) -> NoReturn:
    raise InvalidError("body: NaN and Infinity are not JSON")


STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
