"""Names and effects: a name is unique in its workspace, which is all that HTTP shows of updates."""

import pytest

from support import contract, values
from support.backend import READER, SIBLING_ID, STRANGER
from support.exchange import Exchange, Request
from support.promise import Promise

ROUNDS = 10  # of a race that even a wrong backend may lose
TAKEN = {"clause": "unique-names", "kind": "taken", "words": "a name that is taken"}
FREE = {"clause": "unique-names", "kind": "free", "words": "a name that is free"}


@pytest.mark.clause("unique-names")
def test_name_is_unique_in_its_workspace(promise: Promise) -> None:
    """Renaming to a name that another configuration of the workspace has answers 400."""
    sibling, body = promise.need(SIBLING_ID), values.fresh()
    promise.ask(body=body)
    promise.expect(400, id=sibling, body=body, **TAKEN)
    promise.expect(400, id=sibling, body={**values.EVERYTHING, **body}, **TAKEN)
    promise.expect(200, body=body, **FREE | {"words": "the configuration's own name"})


@pytest.mark.clause("unique-names")
def test_names_that_differ_are_not_taken(promise: Promise) -> None:
    """Names are compared code point by code point: nothing else makes two of them the same."""
    sibling, name = promise.need(SIBLING_ID), f"Caf\u00e9 {values.unique()}"
    promise.ask(body={"name": name})
    alike = [name.lower(), name.upper(), name + " ", " " + name, name.replace(" ", "  ")]
    alike += [name.replace("\u00e9", "e\u0301"), name.replace("\u00e9", "e"), name + "\u200b"]
    alike += [name[:-1], name + "1", name.replace("C", "\uff23")]
    for other in alike:
        words = {"kind": "alike", "words": "a name that is nearly another's"}
        promise.expect(200, id=sibling, body={"name": other}, **FREE | words)


@pytest.mark.clause("unique-names")
def test_name_that_was_given_up_is_free(promise: Promise) -> None:
    """A name that its configuration gave up may be taken by another."""
    sibling, body = promise.need(SIBLING_ID), values.fresh()
    promise.ask(body=body)
    promise.ask(body=values.fresh())
    promise.expect(200, id=sibling, body=body, **FREE | {"kind": "given-up"})
    promise.expect(400, body=body, **TAKEN)


@pytest.mark.clause("unique-names")
@pytest.mark.usefixtures("unique_names")
def test_one_name_is_not_given_twice_at_the_same_moment(promise: Promise) -> None:
    """Of two configurations that ask for one name at the same moment, one gets 200, one 400."""
    ids = (promise.backend.id, promise.need(SIBLING_ID))
    for _ in range(ROUNDS):
        body = values.fresh()
        exchanges = promise.ask_at_once([promise.request(id=id, body=body) for id in ids])
        both = sorted(exchange.status for exchange in exchanges) == [200, 200]
        for number, exchange in enumerate(exchanges):
            statuses = {400} if both and number else {200, 400}
            promise.hold_as(exchange, statuses, **TAKEN | {"kind": "taken-at-once"})


def is_taken(promise: Promise, name: dict[str, str]) -> tuple[bool, Exchange]:
    """Return whether the sibling is refused the name, and the exchange that shows it."""
    request = promise.request(id=promise.need(SIBLING_ID), body=name)
    exchange = promise.exchange(request)
    return exchange.status == 400, exchange


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
    """After an update that was refused, the name is what it was."""
    kept, other = values.fresh(), values.fresh()
    promise.ask(body=kept)
    for request in refused_updates(promise, other):
        exchange = promise.send(request)
        if exchange is None or exchange.succeeded:  # a finding of another promise
            promise.ask(body=kept)
            continue
        promise.expect(
            200,
            clause="all-or-nothing",
            kind="refused",
            words="the name of a refused update, for another configuration",
            id=promise.need(SIBLING_ID),
            body=other,
        )
        promise.expect(
            200,
            clause="all-or-nothing",
            kind="refused",
            words="a fresh name for that other configuration",
            id=promise.need(SIBLING_ID),
            body=values.fresh(),
        )
    promise.expect(400, id=promise.need(SIBLING_ID), body=kept, **TAKEN)


@pytest.mark.clause("partial")
@pytest.mark.usefixtures("unique_names")
def test_other_fields_do_not_change_the_name(promise: Promise) -> None:
    """After `{}`, and updates of other fields, the name is what it was."""
    kept = values.fresh()
    promise.ask(body=kept)
    endpoint = {"endpoint": "https://example.com"}
    for body in ({}, values.GOOD, {"aiType": "OTHER"}, endpoint):
        promise.ask(body=body)
        promise.expect(
            400,
            clause="partial",
            kind="name-kept",
            words="the name that was not sent, for another configuration",
            id=promise.need(SIBLING_ID),
            body=kept,
        )


@pytest.mark.clause("chunked")
@pytest.mark.usefixtures("unique_names")
def test_chunked_update_takes_effect(promise: Promise) -> None:
    """A rename that is sent in chunks and answers 200 has happened."""
    name = values.fresh()
    text = contract.to_json(name)
    exchange = promise.ask(body=(text[:5], text[5:20], text[20:]))
    if exchange and exchange.succeeded:
        taken, shown = is_taken(promise, name)
        words = "a rename in chunks, seen by another configuration that asks for the name"
        statuses = {400}
        promise.hold_as(shown, statuses, clause="chunked", kind="effect", words=words)
        if not taken:
            promise.ask(id=promise.need(SIBLING_ID), body=values.fresh())


@pytest.mark.clause("other-methods")
@pytest.mark.usefixtures("unique_names")
def test_other_method_does_not_rename(promise: Promise) -> None:
    """After another method with a new name in its body, the name is still free."""
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH"):
        name = values.fresh()
        promise.exchange(promise.request(method=method, body=name))
        promise.expect(
            200,
            clause="other-methods",
            kind=f"{method}-renamed",
            words=f"the name that `{method}` sent, for another configuration",
            id=promise.need(SIBLING_ID),
            body=name,
        )
