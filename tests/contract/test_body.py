"""Body: the backend accepts only UTF-8 JSON that is sent as `application/json`."""

from support import values
from support.backend import ADMIN
from support.contract import LARGEST_BODY
from support.promise import Promise, clause
from support.values import DATA


@clause("body")
def test_missing_body_is_rejected(promise: Promise) -> None:
    """A request with an empty or missing body is rejected."""
    promise.ask(body=b"")
    promise.ask(body=())
    promise.ask(body=b"", headers={"Content-Type": None})


@clause("unreadable-body")
def test_unreadable_body_is_rejected(promise: Promise) -> None:
    """A body that is not a UTF-8 JSON object is rejected with a 4xx status."""
    for octets in values.unreadable_bodies():
        promise.ask(body=octets)
    promise.ask(body=(b"{",))
    promise.ask(body=(b'{"key": "\xff', b'"}'))
    for token in promise.available(ADMIN):
        promise.ask_each(values.with_bodies(*values.INVALID), token=token)


@clause("body-size")
def test_body_over_the_limit_is_rejected(promise: Promise) -> None:
    """A body over the size limit is rejected, but a body of exactly that size is accepted."""
    promise.ask(body=values.TEXT.ljust(LARGEST_BODY))
    promise.ask(body=values.TEXT.ljust(LARGEST_BODY + 1))
    promise.ask(body=values.TEXT.ljust(4 * LARGEST_BODY))
    promise.ask(body=(values.TEXT, *[b" " * 65536] * 5))


@clause("other-media-type")
def test_other_media_type_is_rejected(promise: Promise) -> None:
    """A valid body with any media type other than `application/json` is rejected."""
    for media_type in DATA["OTHER_MEDIA_TYPES"]:
        promise.ask(headers={"Content-Type": media_type})
    promise.ask(headers={"Content-Type": "text/plain"}, body=values.CHUNKS)
    for media_type, text in DATA["OTHER_BODIES"].items():
        promise.ask(headers={"Content-Type": media_type}, body=text.encode())


@clause("media-type")
def test_media_type_is_case_insensitive(promise: Promise) -> None:
    """The media type is case-insensitive and may include `charset=utf-8`."""
    for media_type in DATA["SAME_MEDIA_TYPES"]:
        promise.ask(headers={"Content-Type": media_type})


@clause("json-open")
def test_other_charset_or_coding_causes_no_server_error(promise: Promise) -> None:
    """A content encoding, or a charset other than UTF-8, does not cause a server error."""
    for charset in DATA["OTHER_CHARSETS"]:
        promise.ask(headers={"Content-Type": f"application/json; charset={charset}"})
    for coding in DATA["CODINGS"]:
        promise.ask(headers={"Content-Encoding": coding})
