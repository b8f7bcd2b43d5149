"""Ids: compared octet by octet, after percent-decoding."""

from collections.abc import Iterator
from urllib.parse import quote

import contract
import pytest
from asking import Asker
from settings import current


def near(id: str) -> Iterator[str]:
    """Ids that are nearly the one given."""
    yield from (id.upper(), id.lower(), id.title(), id[:-1], id[1:], id + "0", "0" + id, id[::-1])
    for at in (0, len(id) // 2, -1):  # one character is another
        yield id[:at] + ("1" if id[at] == "0" else "0") + (id[at + 1 :] if at != -1 else "")
    yield from (
        id[:8],
        id[-12:],
        f"{id}.",
        f".{id}",
        f"{id}.json",
        f"{id}~",
        f"+{id}",
        f"0{id[1:]}",
    )
    yield from (id.replace("-", ""), id.replace("-", "_"), f"{{{id}}}", f"urn:uuid:{id}", id * 2)
    yield from (
        f"{id},{id}",
        f"{id}|{id}",
        f'"{id}"',
        f"{id}'",
        f"{id}*",
        f"{id[:-1]}%",
        f"{id[:-1]}_",
    )
    yield from (
        f"{id}' OR '1'='1",
        "' OR 1=1 --",
        "*",
        "%",
        "_" * len(id),
        "null",
        "undefined",
        "0",
    )
    yield from (
        f"{id}\u200b",
        f"{id}é",
        "".join(_full_width(c) for c in id),
        "{id}",
        "[object Object]",
    )


def strange(id: str) -> Iterator[str]:
    """Ids with octets that a server may refuse before it looks them up."""
    yield from (f" {id}", f"{id} ", f"{id}\t", f"{id}\n", f"{id}\r\n", f"{id}\x00", f"\x00{id}")
    yield from (f"{id}/", f"/{id}", f"x/../{id}", f"../llm/{id}", "..", ".", f"./{id}", f"{id}\\")
    yield from (f"{id}?", f"{id}#", f"{id};x=1", "x" * 255, "x" * 256, "x" * 1000, "é" * 255)


@pytest.mark.clause("404", "page, ours")
def test_near_id_answers_404(ask: Asker) -> None:
    """An id that is nearly the configuration's answers 404."""
    id = ask.backend.id
    for wrong in [current().unique(), *near(id)]:
        if wrong not in ("", id):
            ask.expect(404, id=wrong)


@pytest.mark.clause("id", "ours")
def test_strange_id_answers_404_or_400(ask: Asker) -> None:
    """An id with odd octets, or of any length, answers 404, or 400 where it cannot be an id."""
    for wrong in strange(ask.backend.id):
        ask.expect(404, 400, id=wrong)
    twice = quote(quote(ask.backend.id, safe="").replace("-", "%2D"), safe="")
    for segment in (twice, "%FF", "%C3%28", f"{ask.backend.id}%FF", "%ED%A0%80"):
        ask.expect(404, 400, path=contract.PATH.replace("{id}", segment))


@pytest.mark.clause("id", "page")
def test_id_elsewhere_is_ignored(ask: Asker) -> None:
    """The id is the path's, whatever the query or a header says."""
    id, wrong = ask.backend.id, current().unique()
    for name in ("id", "aiLlmId", "ai_llm_id"):
        ask.expect(404, path=f"{ask.path_of(wrong)}?{name}={id}")
        ask.expect(200, path=f"{ask.path_of(id)}?{name}={wrong}")
    for name in ("X-Id", "X-Resource-Id", "X-Original-URL", "X-Rewrite-URL"):
        ask.expect(404, id=wrong, headers={name: id if "Id" in name else ask.path_of(id)})


@pytest.mark.clause("id", "ours")
def test_percent_encoded_id_is_the_same(ask: Asker) -> None:
    """Percent-encoded letters and hyphens are the same id, and the answer names it decoded."""
    id = ask.backend.id.encode()
    spelt = [
        "".join(f"%{octet:02X}" for octet in id),
        "".join(f"%{octet:02x}" for octet in id),
        quote(id, safe="").replace("-", "%2D"),
        quote(id, safe="").replace("-", "%2d"),
        f"%{id[0]:02X}" + quote(id[1:], safe=""),
    ]
    for segment in spelt:
        exchange = ask.expect(200, path=contract.PATH.replace("{id}", segment))
        if exchange.field("aiLlmId") != ask.backend.id:
            ask.broken(exchange, 'expected "aiLlmId" to be the decoded id')


def _full_width(character: str) -> str:
    """The character's full-width form, which NFKC takes back."""
    return chr(ord(character) + 0xFEE0) if character.isascii() else character
