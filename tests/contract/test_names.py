"""Names and effects: name conflicts are the only visible effects of updates.

No operation in the contract returns a configuration. However, names are unique in a workspace. To
find out whether a configuration has a certain name, the tests try to give that name to another
configuration.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from support import values
from support.backend import ADMIN, EXPIRED, READER, SIBLING_ID, STRANGER, WRITER
from support.contract import LARGEST_BODY
from support.exchange import UUID, Exchange
from support.promise import Promise, clause
from support.rule import RULES, describe
from support.values import DATA, EVERYTHING, GOOD, LOCK, fresh

# A faulty backend might pass once by chance, so the race is repeated.
ROUNDS = 20
AT_ONCE = RULES["unique-names/taken-at-once"]


@clause("unique-names")
def test_name_is_unique_in_its_workspace(promise: Promise) -> None:
    """An update with the name of another configuration in the workspace returns 400."""
    sibling = promise.need(SIBLING_ID)
    promise.prepare(id=sibling, body=fresh())
    body = fresh()
    promise.prepare(body=body)
    promise.ask("unique-names/taken", id=sibling, body=body)
    promise.ask("unique-names/taken", id=sibling, body={**EVERYTHING, **body})
    promise.ask("order/taken-name", id=sibling, body=body, token=None)
    promise.ask("all-or-nothing/taken", body=body)
    for token in promise.available(ADMIN):
        promise.ask("unique-names/taken", id=sibling, body=body, token=token)
    for others in (EVERYTHING, *values.single_fields(EVERYTHING)):
        body = fresh()
        promise.prepare(body={**others, **body})
        promise.ask("unique-names/taken", id=sibling, body=body)


def ask_similar(promise: Promise, taken: str, name: str, **parts: Any) -> Exchange | None:
    """Request a name that is similar to one that is taken."""
    names = [describe(UUID.sub("x", text)) for text in (taken, name)]
    words = " and ".join(names)
    return promise.ask("name-exact/alike", body={"name": name}, words=words, **parts)


@clause("name-exact")
def test_different_names_do_not_conflict(promise: Promise) -> None:
    """Two names are equal if and only if all of their code points are equal."""
    sibling = promise.need_unique_names()
    end = values.unique()
    name = f"Caf\u00e9 {end}"
    promise.prepare(body={"name": name})
    similar = [name.upper(), name[:-1], *values.expand("SIMILAR_NAMES", end)]
    for other in values.valid("name", similar):
        ask_similar(promise, name, other, id=sibling)
    # Renames that change only case or spacing also take effect.
    ask_similar(promise, name, name.upper())
    ask_similar(promise, name.upper(), name, id=sibling)
    ask_similar(promise, name.upper(), f"{name} ", id=sibling)
    ask_similar(promise, f"{name} ", name)
    max_length = values.max_length("name")
    longest = values.of_length("name", max_length)
    for unusual in values.valid("name", [f"Caf\u00e9 <&> {LOCK} {end}", longest]):
        promise.prepare(body={"name": unusual})
        promise.ask("name-exact/stored", id=sibling, body={"name": unusual})
    promise.ask("lengths/name-truncated", id=sibling, body={"name": f"{longest[:-1]}x"})
    # Some languages treat "0" as false. If this name is taken, `send` tries a similar one.
    exchange = promise.send(promise.request(body={"name": "0"}), may_rename=True)
    if exchange and exchange.is_accepted:
        promise.ask("name-exact/stored", id=sibling, body=exchange.request.fields)
        promise.prepare(body=fresh())
    # Some databases replace or drop certain characters, or treat them as equal.
    for character, other in DATA["EQUAL_IN_SOME_DATABASES"]:
        name = f"{end} {character}"
        promise.prepare(body={"name": name})
        exchange = ask_similar(promise, name, f"{end} {other}", id=sibling)
    # Skip the longest name if all characters outside the Basic Multilingual Plane compare equal.
    if exchange and exchange.is_accepted:
        longest = end.ljust(max_length, LOCK)
        promise.prepare(body={"name": longest})
        promise.ask("name-exact/stored", id=sibling, body={"name": longest})
        promise.ask("lengths/name-truncated", id=sibling, body={"name": f"{longest[:-1]}x"})


@clause("unique-names")
def test_name_that_was_given_up_is_free(promise: Promise) -> None:
    """After a configuration is renamed, another configuration can take its old name."""
    sibling = promise.need(SIBLING_ID)
    body = fresh()
    promise.prepare(body=body)
    promise.prepare(body=fresh())
    exchange = promise.ask("unique-names/given-up", id=sibling, body=body)
    if exchange and exchange.is_accepted:
        promise.ask("unique-names/taken", body=body)
    # Release the name, because another run with the same seed would use it again.
    promise.prepare(id=sibling, body=fresh())


@clause("idempotent")
def test_repeated_update_takes_effect_again(promise: Promise) -> None:
    """An update that repeats an earlier one takes effect even if the name changed in between."""
    sibling = promise.need_unique_names()
    name = fresh()
    promise.prepare(body=name)
    promise.ask(body=fresh())
    promise.ask(body=name)
    promise.ask("idempotent/effect", id=sibling, body=name)


@clause("unique-names")
def test_concurrent_updates_cannot_share_a_name(promise: Promise) -> None:
    """If two concurrent updates request the same name, at most one of them succeeds."""
    ids = (promise.backend.id, promise.need_unique_names())
    for _ in range(ROUNDS):
        body = fresh()
        requests = [promise.request(rule=AT_ONCE, id=id, body=body) for id in ids]
        first, second = promise.exchange_concurrently(requests)
        promise.check(first)
        if first.is_accepted and second.is_accepted:
            rule = replace(AT_ONCE, statuses={400})
            rejected = replace(second.request, rule=rule)
            second = replace(second, request=rejected)
        promise.check(second)


def rejected_updates(promise: Promise) -> Iterator[dict[str, Any]]:
    """Yield keyword arguments for updates to reject; `suffix` is appended to the body."""
    yield {"headers": {"Content-Type": "text/plain"}}
    yield {"user": "authentication/unknown-token", "authorization": ("Bearer wrong",)}
    yield {"suffix": b" x"}
    yield {"suffix": b" " * LARGEST_BODY}
    too_long = "k" * (values.max_length("key") + 1)
    yield from values.with_bodies(*DATA["INVALID_FIELDS"], {"key": too_long})
    for token in (None, *promise.available(READER, STRANGER, EXPIRED)):
        yield {"token": token}


@clause("all-or-nothing")
def test_rejected_update_changes_nothing(promise: Promise) -> None:
    """A rejected update does not change the name."""
    sibling = promise.need_unique_names()
    kept = fresh()
    promise.prepare(body=kept)
    is_kept = True
    for parts in rejected_updates(promise):
        body = fresh() | parts.pop("body", {})
        content = json.dumps(body).encode() + parts.pop("suffix", b"")
        exchange = promise.ask(body=content, **parts)
        if exchange is None or exchange.is_accepted:  # another test reports this case
            promise.prepare(body=kept)
            continue
        forbidden_by = exchange.request.forbidden_by
        rule = "all-or-nothing/rejected"
        if forbidden_by and promise.is_wanted(forbidden_by.clause):
            rule = f"{forbidden_by.clause}/applied"
        shown = promise.ask(rule, id=sibling, body={"name": body["name"]})
        if shown and not shown.is_accepted:
            is_kept = False
            promise.prepare(body=kept)
    if is_kept:
        exchange = promise.ask(body={**fresh(), "key": ""})
        if exchange is None or not exchange.is_accepted:
            time.sleep(0.2)  # the backend might still apply the update after rejecting it
            promise.ask("all-or-nothing/kept", id=sibling, body=kept)


@clause("partial")
def test_other_fields_do_not_change_the_name(promise: Promise) -> None:
    """Updates without `name`, such as `{}`, never change the name, even if they are concurrent."""
    sibling = promise.need_unique_names()
    kept = fresh()
    promise.prepare(body=kept)
    others = {**GOOD, "aiType": "OTHER", "endpoint": "https://example.com"}
    for token in (WRITER, *promise.available(ADMIN)):
        for body in ({}, GOOD, *values.single_fields(others)):
            promise.ask(body=body, token=token)
            promise.ask("partial/name-kept", id=sibling, body=kept)
    for _ in range(ROUNDS):
        name = fresh()
        bodies = (GOOD, GOOD, GOOD, GOOD, name)
        together = [promise.request(rule="alone/at-once", body=body) for body in bodies]
        exchanges = promise.exchange_concurrently(together)
        for exchange in exchanges:
            promise.check(exchange)
        if exchanges[-1].is_accepted:
            promise.ask("partial/name-lost", id=sibling, body=name)


@clause("chunked")
def test_update_takes_effect_however_it_is_sent(promise: Promise) -> None:
    """An update that returns 200 has taken effect, however it was sent (for example, in chunks)."""
    sibling = promise.need_unique_names()
    name = {"name": f"\u00e9 {values.unique()}"}
    text = json.dumps(name, ensure_ascii=False).encode()
    middle = text.index("\u00e9".encode()) + 1  # the first chunk ends inside a character
    ways: list[tuple[str, dict[str, Any]]] = [
        ("chunked/effect", {"body": (text[:middle], text[middle:20], text[20:])}),
        ("id-encoding/effect", {"escaped": True}),
    ]
    for media_type in ("application/json; charset=utf-8", "Application/JSON; Charset=UTF-8"):
        ways.append(("media-type/effect", {"headers": {"Content-Type": media_type}}))
    expect = {"headers": {"Expect": "100-continue"}, "words": "`Expect: 100-continue`"}
    ways.append(("update/expect-effect", expect))
    for token in promise.available(ADMIN):
        ways.append(("access-levels/effect", {"token": token}))
    for rule, parts in ways:
        exchange = promise.ask(**{"body": name, **parts})
        if exchange and exchange.is_accepted:
            promise.ask(rule, id=sibling, body=name)
            release = promise.request(id=sibling, body=fresh())
            promise.check(promise.exchange(release))
        name = fresh()


@clause("other-methods")
def test_other_method_renames_nothing(promise: Promise) -> None:
    """A request with a method other than PUT does not change the name."""
    sibling = promise.need_unique_names()
    kept = fresh()
    promise.prepare(body=kept)
    is_kept = True
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH"):
        name = fresh()
        exchange = promise.exchange(promise.request(method=method, body=name))
        if exchange.is_accepted and method in ("POST", "PATCH"):  # another test reports this
            is_kept = False
            continue
        shown = promise.ask(f"other-methods/{method}-renamed", id=sibling, body=name)
        is_kept &= shown is not None and shown.is_accepted
    if is_kept:
        promise.ask("other-methods/kept", id=sibling, body=kept)
