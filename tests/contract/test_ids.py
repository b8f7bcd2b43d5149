"""Ids: compared octet by octet, after percent-decoding."""

import base64
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote

import contract
import pytest
import values
from asking import expect, require
from backend import under_test

NEAR = """
    @0 0@ @. .@ @.json @~ +@ @@ {@} urn:uuid:@ @,@ @|@ "@" '@' id=@ @' @* * % null undefined 0 1 -1
    true me self current latest default all new @\u200b @é {id} :id \u202e@
    """


def near(id: str) -> Iterator[str]:
    """Ids that are nearly the one given."""
    yield from (id.upper(), id.lower(), id.title(), id[:-1], id[1:], id[::-1], id[:8], id[-12:])
    for at, octet in enumerate(id):  # one character is another
        yield id[:at] + ("1" if octet == "0" else "0") + id[at + 1 :]
    yield from (id.replace("-", ""), id.replace("-", "_"), id.replace("-", "", 1), "_" * len(id))
    yield from (id[:-1] + wildcard for wildcard in "%_?.")
    yield from (f"{id}' OR '1'='1", "' OR 1=1 --", "[object Object]", *values.spelt(NEAR, id))
    yield from ("".join(map(_full_width, id)), base64.urlsafe_b64encode(id.encode()).decode())
    digits = id.replace("-", "")
    if all(digit in "0123456789abcdefABCDEF" for digit in digits):  # as a UUID is
        yield from (str(int(digits, 16)), digits.upper(), hex(int(digits, 16)))


def strange(id: str) -> Iterator[str]:
    """Ids with octets that a server may refuse before it looks them up."""
    yield from (f" {id}", f"{id} ", f"{id}\t", f"{id}\n", f"{id}\r\n", f"{id}\x00", f"\x00{id}")
    yield from (f"{id}/", f"/{id}", f"x/../{id}", f"../llm/{id}", "..", ".", f"./{id}", f"{id}\\")
    yield from (f"{id}?", f"{id}#", f"{id};x=1", f"{id}\x00.json", f"{id}&x=1", f"{id}%20")
    yield from ("x" * 255, "x" * 256, "x" * 1000, "é" * 255)


@pytest.mark.clause("404", "page, ours")
def test_near_id_answers_404() -> None:
    """An id that is nearly the configuration's answers 404."""
    ids = under_test.own_ids
    for wrong in (wrong for id in ids for wrong in near(id)):
        if wrong not in ("", *ids, *under_test.given.values()):
            expect(404, id=wrong)


@pytest.mark.clause("id", "ours")
def test_strange_id_answers_404_or_400() -> None:
    """An id with odd octets, or of any length, answers 404, or 400 where it cannot be an id."""
    for wrong in strange(under_test.id):
        expect(404, 400, id=wrong)
    twice = quote(contract.path_of(under_test.id, escaped=True).rpartition("/")[2], safe="")
    for segment in (twice, "%FF", "%C3%28", f"{under_test.id}%FF", "%ED%A0%80"):
        expect(404, 400, path=contract.PATH.replace("{id}", segment))


@pytest.mark.clause("id", "page")
def test_id_elsewhere_is_ignored() -> None:
    """The id is the path's, whatever the query or a header says."""
    id, wrong = under_test.id, values.unique()
    for name in ("id", "aiLlmId", "ai_llm_id"):
        expect(404, id=wrong, query=f"{name}={id}")
        expect(200, query=f"{name}={wrong}")
    for name in ("X-Id", "X-Resource-Id", "X-Original-URL", "X-Rewrite-URL"):
        expect(404, id=wrong, headers={name: id if "Id" in name else contract.path_of(id)})


@pytest.mark.clause("id", "ours")
def test_percent_encoded_id_is_the_same() -> None:
    """Percent-encoded letters and hyphens are the same id, and the answer names it decoded."""
    id = under_test.id
    whole, plain = contract.path_of(id, escaped=True).rpartition("/")[2], quote(id, safe="")
    mixed = whole[:3] + quote(id[1:], safe="")
    small = "".join(c.lower() for c in whole)
    for segment in (whole, small, plain.replace("-", "%2D"), plain.replace("-", "%2d"), mixed):
        exchange = expect(200, path=contract.PATH.replace("{id}", segment))
        came = exchange.field("aiLlmId")
        require(came == id, exchange, '"aiLlmId" to be the decoded id', repr(came))


def _full_width(character: str) -> str:
    """The character's full-width form, which NFKC takes back."""
    wide = chr(ord(character) + 0xFEE0)
    return wide if unicodedata.normalize("NFKC", wide) == character else character
