"""Bytes: only strict JSON in UTF-8, announced as such, is read."""

import contract
import pytest
import values
from asking import expect

LIMIT: int = contract.OPERATION["requestBody"]["x-max-bytes"]


@pytest.mark.clause("unreadable bodies", "page, ours")
def test_unreadable_body_answers_400() -> None:
    """No body, and what a strict JSON parser refuses, answer 400: never 200, never 500."""
    for octets in values.unreadable_bodies():
        expect(400, body=octets)
        expect(400, body=(octets,) if octets else ())
    expect(400, body=b"", headers={"Content-Type": None})


@pytest.mark.clause("unreadable bodies", "ours")
def test_oversized_body_answers_400() -> None:
    """A body over the limit answers 400, in one piece or in chunks; one of just the limit, 200."""
    expect(200, body=values.TEXT.ljust(LIMIT))
    expect(400, body=values.TEXT.ljust(LIMIT + 1))
    expect(400, body=values.TEXT.ljust(4 * LIMIT))
    expect(400, body=(values.TEXT, *[b" " * 65536] * 5))


@pytest.mark.clause("media type", "ours")
def test_other_media_type_answers_400() -> None:
    """A good body under any other media type or charset answers 400."""
    for media_type in values.OTHER_MEDIA_TYPES:
        expect(400, headers={"Content-Type": media_type})


@pytest.mark.clause("media type", "ours")
def test_media_type_counts_in_any_case() -> None:
    """The media type counts in any case, with charset=utf-8 or none."""
    for media_type in values.SAME_MEDIA_TYPES:
        expect(200, headers={"Content-Type": media_type})


@pytest.mark.clause("unreadable bodies", "ours")
def test_content_encoding_answers_400() -> None:
    """A body with any Content-Encoding answers 400."""
    for encoding in ("gzip", "deflate", "br", "identity", "x"):
        expect(400, headers={"Content-Encoding": encoding})
