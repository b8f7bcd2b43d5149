"""Names and effects: a name is unique in its workspace, which is all that HTTP shows of updates."""

from typing import Any

import pytest

from support import contract, values
from support.backend import READER, SIBLING_ID, STRANGER
from support.exchange import Exchange, Request
from support.expectation import expectation_of
from support.promise import Promise

ROUNDS = 10  # of a race that even a wrong backend may lose


def expect_taken(promise: Promise, body: dict[str, Any], **parts: Any) -> None:
    """Ask for a name that the other configuration has."""
    promise.expect(
        400, clause="unique-names", kind="taken", words="a name that is taken", body=body, **parts
    )


def expect_free(promise: Promise, kind: str, words: str, **parts: Any) -> None:
    """Ask for a name that no other configuration has."""
    promise.expect(200, clause="unique-names", kind=kind, words=words, **parts)


def expect_of_sibling(promise: Promise, status: int, body: dict[str, str], **rule: str) -> None:
    """Ask for a name for the other configuration: what it is answered shows an effect."""
    words = f"{rule['words']}, for another configuration"
    sibling = promise.need(SIBLING_ID)
    promise.expect(status, id=sibling, body=body, **{**rule, "words": words})


@pytest.mark.clause("unique-names")
def test_name_is_unique_in_its_workspace(promise: Promise) -> None:
    """Renaming to a name that another configuration of the workspace has answers 400."""
    sibling = promise.need(SIBLING_ID)
    body = values.fresh()
    promise.ask(body=body)
    expect_taken(promise, body, id=sibling)
    expect_taken(promise, {**values.EVERYTHING, **body}, id=sibling)
    expect_free(promise, "free", "the configuration's own name", body=body)


@pytest.mark.clause("unique-names")
def test_names_that_differ_are_not_taken(promise: Promise) -> None:
    """Names are compared code point by code point: nothing else makes two of them the same."""
    sibling = promise.need(SIBLING_ID)
    name = f"Caf\u00e9 {values.unique()}"
    promise.ask(body={"name": name})
    alike = [name.lower(), name.upper(), name + " ", " " + name, name.replace(" ", "  ")]
    alike += [name.replace("\u00e9", "e\u0301"), name.replace("\u00e9", "e"), name + "\u200b"]
    alike += [name[:-1], name + "1", name.replace("C", "\uff23")]
    for other in alike:
        words = "a name that is nearly another's"
        expect_free(promise, "alike", words, id=sibling, body={"name": other})
    longest = (values.unique() * 8)[: values.most("name")]
    promise.ask(body={"name": longest})
    words = "a long name that differs from another's in its last character only"
    rule = {"clause": "lengths", "kind": "name-truncated", "words": words}
    promise.expect(200, id=sibling, body={"name": f"{longest[:-1]}x"}, **rule)


@pytest.mark.clause("unique-names")
def test_name_that_was_given_up_is_free(promise: Promise) -> None:
    """A name that its configuration gave up may be taken by another."""
    sibling = promise.need(SIBLING_ID)
    body = values.fresh()
    promise.ask(body=body)
    promise.ask(body=values.fresh())
    expect_free(promise, "given-up", "a name that is free", id=sibling, body=body)
    expect_taken(promise, body)


@pytest.mark.clause("unique-names")
@pytest.mark.usefixtures("unique_names")
def test_one_name_is_not_given_twice_at_the_same_moment(promise: Promise) -> None:
    """Of two configurations that ask for one name at the same moment, one gets 200, one 400."""
    ids = (promise.backend.id, promise.need(SIBLING_ID))
    rule = {"clause": "unique-names", "kind": "taken-at-once", "words": "a name that is taken"}
    for _ in range(ROUNDS):
        body = values.fresh()
        exchanges = promise.exchange_at_once([promise.request(id=id, body=body) for id in ids])
        both = all(exchange.status == 200 for exchange in exchanges)
        for exchange, allowed in zip(exchanges, ({200, 400}, {400}), strict=True):
            statuses = allowed if both else {200, 400}
            promise.hold(exchange, expectation_of(exchange.request).but(statuses, **rule))


def refused_updates(promise: Promise, name: dict[str, str]) -> list[Request]:
    """Return requests that would rename and must be refused."""
    wrong = ({"aiType": "NONE"}, {"endpoint": "x"}, {"unknown": "x"}, {"key": ""})
    requests = [promise.request(body={**name, **field}) for field in wrong]
    requests.append(promise.request(body=name, headers={"Content-Type": "text/plain"}))
    tokens = (None, *promise.backend.users(READER, STRANGER))
    requests += [promise.request(token=token, body=name) for token in tokens]
    return requests


@pytest.mark.clause("all-or-nothing")
@pytest.mark.usefixtures("unique_names")
def test_refused_update_changes_nothing(promise: Promise) -> None:
    """A refused update does not change the name."""
    kept = values.fresh()
    other = values.fresh()
    rule = {"clause": "all-or-nothing", "kind": "refused", "words": "the name of a refused update"}
    promise.ask(body=kept)
    for request in refused_updates(promise, other):
        exchange = promise.send(request)
        if exchange is None or exchange.succeeded:  # a finding of another promise
            promise.ask(body=kept)
            continue
        expect_of_sibling(promise, 200, other, **rule)
        expect_of_sibling(promise, 200, values.fresh(), **rule | {"words": "a fresh name"})
    expect_taken(promise, kept, id=promise.need(SIBLING_ID))


@pytest.mark.clause("partial")
@pytest.mark.usefixtures("unique_names")
def test_other_fields_do_not_change_the_name(promise: Promise) -> None:
    """`{}` and updates of other fields do not change the name."""
    kept = values.fresh()
    rule = {"clause": "partial", "kind": "name-kept", "words": "the name that was not sent"}
    promise.ask(body=kept)
    endpoint = {"endpoint": "https://example.com"}
    for body in ({}, values.GOOD, {"aiType": "OTHER"}, endpoint):
        promise.ask(body=body)
        expect_of_sibling(promise, 400, kept, **rule)


@pytest.mark.clause("chunked")
@pytest.mark.usefixtures("unique_names")
def test_chunked_update_takes_effect(promise: Promise) -> None:
    """A rename that is sent in chunks and answers 200 has happened."""
    name = values.fresh()
    text = contract.to_json(name)
    exchange = promise.ask(body=(text[:5], text[5:20], text[20:]))
    if exchange and exchange.succeeded:
        words = "a rename in chunks, seen by another configuration that asks for the name"
        shown = ask_sibling(promise, name)
        expected = expectation_of(shown.request).but(
            {400}, clause="chunked", kind="effect", words=words
        )
        promise.hold(shown, expected)
        if shown.status != 400:
            promise.ask(id=promise.need(SIBLING_ID), body=values.fresh())


def ask_sibling(promise: Promise, name: dict[str, str]) -> Exchange:
    """Return the exchange in which the other configuration is given the name."""
    return promise.exchange(promise.request(id=promise.need(SIBLING_ID), body=name))


@pytest.mark.clause("other-methods")
@pytest.mark.usefixtures("unique_names")
def test_other_method_does_not_rename(promise: Promise) -> None:
    """After another method with a new name in its body, the name is still free."""
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH"):
        name = values.fresh()
        promise.exchange(promise.request(method=method, body=name))
        words = f"the name that `{method}` sent"
        kind = f"{method}-renamed"
        expect_of_sibling(promise, 200, name, clause="other-methods", kind=kind, words=words)
