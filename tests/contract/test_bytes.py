"""Bytes: only strict JSON in UTF-8, announced as such, is read."""

import json

import contract
import pytest
import values
from asking import Asker

GOOD = json.dumps(contract.EXAMPLES["rotateCredentials"]).encode()
LIMIT: int = contract.OPERATION["requestBody"]["x-max-bytes"]


@pytest.mark.clause("unreadable bodies", "ours")
def test_unreadable_body_answers_400(ask: Asker) -> None:
    """What a strict JSON parser refuses answers 400: never 200, never 500."""
    for octets in values.unreadable_bodies().values():
        ask.expect(400, body=octets)


@pytest.mark.clause("body", "page")
def test_missing_body_answers_400(ask: Asker) -> None:
    """A request without a body answers 400, with a Content-Type and without."""
    for headers in ({}, {"Content-Type": None}):
        ask.expect(400, body=b"", headers=headers)


@pytest.mark.clause("unreadable bodies", "ours")
def test_oversized_body_answers_400(ask: Asker) -> None:
    """A body over the limit answers 400, in one piece or in chunks; one of just the limit, 200."""
    ask.expect(200, body=GOOD.ljust(LIMIT))
    ask.expect(400, body=GOOD.ljust(LIMIT + 1))
    ask.expect(400, body=GOOD.ljust(4 * LIMIT))
    ask.expect(400, body=iter([GOOD, *[b" " * 65536] * 5]))


@pytest.mark.clause("media type", "ours")
def test_other_media_type_answers_400(ask: Asker) -> None:
    """A good body under any other media type or charset answers 400."""
    for media_type in values.OTHER_MEDIA_TYPES:
        ask.expect(400, body=GOOD, headers={"Content-Type": media_type})


@pytest.mark.clause("media type", "ours")
def test_media_type_counts_in_any_case(ask: Asker) -> None:
    """The media type counts in any case, with charset=utf-8 or none."""
    for media_type in values.SAME_MEDIA_TYPES:
        ask.expect(200, body=GOOD, headers={"Content-Type": media_type})


@pytest.mark.clause("unreadable bodies", "ours")
def test_content_encoding_answers_400(ask: Asker) -> None:
    """A body with any Content-Encoding answers 400."""
    for encoding in ("gzip", "deflate", "br", "identity", "x"):
        ask.expect(400, body=GOOD, headers={"Content-Encoding": encoding})


@pytest.mark.clause("body", "page")
def test_chunked_body_is_a_body(ask: Asker) -> None:
    """A body in chunks is judged like any other."""
    ask.expect(200, body=iter([GOOD[:7], GOOD[7:]]))
    ask.expect(400, body=iter([GOOD[:7], GOOD[7:-1]]))
