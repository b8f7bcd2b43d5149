"""Body: a backend reads only JSON in UTF-8 that is declared as JSON."""

import pytest

from support import values
from support.backend import ADMIN
from support.contract import LARGEST_BODY
from support.promise import Promise


@pytest.mark.clause("body")
def test_missing_body_is_refused(promise: Promise) -> None:
    """An empty or missing body is refused."""
    promise.ask(body=b"")
    promise.ask(body=())
    promise.ask(body=b"", headers={"Content-Type": None})


@pytest.mark.clause("unreadable-body")
def test_unreadable_body_is_refused(promise: Promise) -> None:
    """A body that is not a JSON object in UTF-8 is refused, and never gets a 200 or a 5xx."""
    for octets in values.unreadable_bodies():
        promise.ask(body=octets)
    promise.ask(body=(b"{",))
    promise.ask(body=(b'{"key": "\xff', b'"}'))
    for token in promise.backend.users(ADMIN):
        promise.ask_each([{"body": body} for body in values.INVALID], token=token)


@pytest.mark.clause("body-size")
def test_body_over_the_limit_is_refused(promise: Promise) -> None:
    """A body over the size limit is refused; a body of exactly the limit is accepted."""
    promise.ask(body=values.TEXT.ljust(LARGEST_BODY))
    promise.ask(body=values.TEXT.ljust(LARGEST_BODY + 1))
    promise.ask(body=values.TEXT.ljust(4 * LARGEST_BODY))
    promise.ask(body=(values.TEXT, *[b" " * 65536] * 5))


@pytest.mark.clause("other-media-type")
def test_other_media_type_is_refused(promise: Promise) -> None:
    """A valid body under any other media type is refused."""
    for media_type in values.DATA["OTHER_MEDIA_TYPES"]:
        promise.ask(headers={"Content-Type": media_type})
    promise.ask(headers={"Content-Type": "text/plain"}, body=(values.TEXT[:9], values.TEXT[9:]))


@pytest.mark.clause("media-type")
def test_media_type_counts_in_any_case(promise: Promise) -> None:
    """`application/json` works in upper and lower case, with or without `charset=utf-8`."""
    for media_type in values.DATA["SAME_MEDIA_TYPES"]:
        promise.ask(headers={"Content-Type": media_type})


@pytest.mark.clause("json-open")
def test_what_is_left_open_does_not_fail(promise: Promise) -> None:
    """Another charset or a Content-Encoding is refused or ignored, and never gets a 5xx."""
    for charset in values.DATA["OTHER_CHARSETS"]:
        promise.ask(headers={"Content-Type": f"application/json; charset={charset}"})
    for coding in ("gzip", "deflate", "br", "identity", "x"):
        promise.ask(headers={"Content-Encoding": coding})
