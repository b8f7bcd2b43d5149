"""Ids: each id identifies exactly one configuration."""

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from support import contract, values
from support.backend import ADMIN, WRITER
from support.exchange import UUID
from support.promise import Promise, clause
from support.rule import describe

NEAR = "id-exact/near-id"
UNUSUAL = "id-exact/strange-id"


def similar_ids(id: str) -> Iterator[str]:
    """Yield ids that resemble the given one but are not alternative spellings of the same UUID."""
    yield from (id[:-1], id[1:], id[::-1], id[:8], id[-12:])
    if UUID.fullmatch(id):  # if ids are not UUIDs, an id that differs in one character may exist
        for position, character in enumerate(id):
            # Do not insert a digit: ids of test configurations often differ only in a digit.
            other = "f" if character == "e" else "e"
            if character != "-":
                yield id[:position] + other + id[position + 1 :]
    yield from (id.replace("-", "_"), "_" * len(id))
    for wildcard in "%_?.":
        yield id[:-1] + wildcard
    yield from values.expand("SIMILAR_IDS", id)
    yield id.translate(values.FULL_WIDTH)
    yield base64.urlsafe_b64encode(id.encode()).decode()


def may_exist(wrong: str, id: str) -> bool:
    """Return whether `wrong` might be another configuration's id, given a valid id."""
    if UUID.fullmatch(id):
        return False
    if wrong.isalpha() and wrong in values.DATA["SIMILAR_IDS"]:  # a word such as `default`
        return id.replace("-", "").isalpha()
    # Ids such as `12` or `llm-12` might differ only in their numbers.
    return re.sub(r"\d+", "0", wrong.lstrip("+")) == re.sub(r"\d+", "0", id)


@clause("id-exact")
def test_similar_id_is_rejected(promise: Promise) -> None:
    """A request for an id that only resembles the configuration's id is rejected."""
    backend = promise.backend
    known = ("", *backend.own_ids, *backend.given.values())
    for wrong in similar_ids(backend.id):
        if wrong not in known and not may_exist(wrong, backend.id):
            promise.ask(id=wrong, place=NEAR, body={}, words=describe(wrong))
    if not promise.is_wanted("id-exact"):
        return
    name = f"run-{values.unique()}"  # also a valid slug
    renamed = promise.exchange(promise.request(body={"name": name}))
    if renamed.is_accepted:
        request = promise.request(id=name, place=NEAR, body={}, words="its name")
        promise.send(replace(request, earlier=(renamed.request,)))
    promise.need_empty_updates()


@clause("id-exact")
def test_unusual_id_is_rejected(promise: Promise) -> None:
    """A request for an id with unusual characters or an unusual length is rejected."""
    id = promise.backend.id
    longest = contract.LONGEST_ID
    unusual = values.expand("UNUSUAL_IDS", id)
    unusual += ["x" * longest, "x" * (longest + 1), "x" * (4 * longest), "é" * longest]
    for wrong in unusual:
        promise.ask(id=wrong, place=UNUSUAL, body={}, words=describe(wrong))
    plain = quote(id, safe="")
    twice = quote(contract.escape(id[0]), safe="") + quote(id[1:], safe="")
    for segment in (twice, "%FF", "%C3%28", f"{plain}%FF", "%ED%A0%80", "%zz"):
        path = contract.path_with(segment)
        promise.ask(path=path, place=UNUSUAL, body={}, words=f"`{segment}` in the path")
    promise.need_empty_updates()


@clause("id-exact")
def test_rewritten_id_updates_nothing(promise: Promise) -> None:
    """A request for an id with dot segments, slashes or NUL characters updates no configuration."""
    for token in promise.available(WRITER, ADMIN):
        for wrong in values.expand("REWRITTEN_IDS", promise.backend.id):
            words = describe(wrong)
            promise.ask(id=wrong, place="id-exact/open-id", token=token, body={}, words=words)
    promise.need_empty_updates()


@clause("id")
def test_id_outside_the_path_is_ignored(promise: Promise) -> None:
    """The id comes only from the path; ids in the query or in headers are ignored."""
    id = promise.backend.id
    wrong = promise.backend.unknown_id()
    for name in ("id", "aiLlmId", "ai_llm_id"):
        query = f"?{name}={quote(id, safe='')}"
        promise.ask(id=wrong, query=query, body={}, words="the id in the query")
        promise.ask(query=f"?{name}={wrong}", words="another id in the query")
    path = contract.path_of(id)
    headers = {"X-Id": id, "X-Resource-Id": id, "X-Original-URL": path, "X-Rewrite-URL": path}
    for name, value in headers.items():
        promise.ask(id=wrong, headers={name: value}, body={}, words=f"the id in `{name}`")
    promise.need_empty_updates()


@clause("id-encoding")
def test_percent_encoded_id_works_like_the_plain_id(promise: Promise) -> None:
    """A percent-encoded id works like the plain id, and the response contains the plain id."""
    id = promise.backend.id
    whole = contract.escape(id)
    plain = quote(id, safe="")
    mixed = contract.escape(id[0]) + quote(id[1:], safe="")
    hyphens = (plain.replace("-", "%2D"), plain.replace("-", "%2d"))
    for segment in (whole, whole.lower(), mixed, *hyphens):
        promise.ask(path=contract.path_with(segment))
