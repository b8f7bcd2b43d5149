"""Over time: a response depends on token, id and body, not on earlier requests."""

from dataclasses import replace
from typing import Any

import pytest

from support import values
from support.backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, WRITER
from support.exchange import Request
from support.expectation import Expectation, expectation_of
from support.promise import Promise
from support.rule import Rule

Step = dict[str, Any]  # parts of a request
AGAIN = Rule("idempotent", "again", "the same update", {200})
RENAME = "a fresh name"  # for a body with one
SEQUENCES = 10
LONGEST_SEQUENCE = 8


def steps_of(promise: Promise) -> list[Step]:
    """Return one request of every kind that is possible with the given tokens and ids."""
    backend = promise.backend
    users = backend.users(WRITER, ADMIN, READER, STRANGER)
    steps: list[Step] = [{"token": token} for token in (None, *users)]
    ids = [backend.given[name] for name in (FOREIGN_ID, SIBLING_ID) if name in backend.given]
    steps += [{"id": id} for id in (*ids, values.unique())]
    steps += [{"body": body} for body in ({}, {"name": ""}, b"{", b"", RENAME)]
    return steps


def request_of(promise: Promise, step: Step) -> Request:
    """Return the request of a step."""
    if step.get("body") == RENAME:
        step = {**step, "body": values.fresh()}
    return promise.request(**step)


def answers_alone(promise: Promise, steps: list[Step]) -> dict[str, int]:
    """Return the status that each step gets on a new connection, after a valid request."""
    statuses: dict[str, int] = {}
    for step in steps:
        promise.prepare(body={})
        request = request_of(promise, step).again()
        exchange = promise.exchange(request)
        promise.hold(exchange)
        statuses[repr(step)] = exchange.status
    return statuses


def like(status: int, request: Request, kind: str, when: str) -> Expectation:
    """Return an expectation of the status that the request gets when nothing else is sent."""
    usual = expectation_of(request)
    words = f"{usual.words}, {when}"
    return replace(usual, statuses=frozenset({status}), clause="alone", kind=kind, words=words)


@pytest.mark.clause("alone")
def test_first_request_is_answered_like_any(promise: Promise) -> None:
    """The first request of the run gets a 200, even if the backend has just started."""
    first = promise.run.first
    if first is None:
        pytest.skip("there was no first request")
    promise.requests += 1
    promise.hold(first)


@pytest.mark.clause("idempotent")
def test_same_update_again_and_again_answers_200(promise: Promise) -> None:
    """The same update gets a 200 a hundred times in a row on one connection."""
    everything = {**values.EVERYTHING, **values.fresh()}
    for body in (*[values.GOOD] * 100, *[values.fresh()] * 3, *[everything] * 3):
        promise.expect(AGAIN, body=body)


@pytest.mark.clause("alone")
def test_valid_request_works_after_every_refused_one(promise: Promise) -> None:
    """A valid request gets a 200 right after every kind of refused request."""
    refused: list[Step] = [{"body": (body,)} for body in values.unreadable_bodies() if body]
    refused += [{"token": None}, {"id": values.unique()}, {"body": {"name": ""}}, {"body": b""}]
    refused += [{"headers": {"Content-Type": "text/plain"}}]
    refused += [{"headers": {"Content-Encoding": "gzip"}}]
    for step in refused:
        before = promise.ask(**step)
        if before is not None:
            words = f"a valid update after {expectation_of(before.request).words}"
            promise.expect(Rule("alone", "after-a-refused-one", words, {200}))


@pytest.mark.clause("alone")
def test_answer_does_not_depend_on_what_came_before(promise: Promise) -> None:
    """In any sequence, each user's request gets the same status as on its own."""
    steps = steps_of(promise)
    alone = answers_alone(promise, steps)
    sequence = list(values.every_pair(steps))
    for _ in range(SEQUENCES):
        sequence += values.RANDOM.choices(steps, k=LONGEST_SEQUENCE)
    before = "the first request"
    for step in sequence:
        request = request_of(promise, step)
        promise.send(request, like(alone[repr(step)], request, "after-others", f"after {before}"))
        before = expectation_of(request).words


@pytest.mark.clause("alone")
def test_requests_at_the_same_time_are_answered_as_alone(promise: Promise) -> None:
    """Each of twenty concurrent requests gets the same status as on its own."""
    steps = [step for step in steps_of(promise) if step.get("body") != RENAME]
    alone = answers_alone(promise, steps)
    together = (steps * 3)[:20]
    exchanges = promise.exchange_at_once([request_of(promise, step) for step in together])
    when = "among 20 requests at the same time"
    for step, exchange in zip(together, exchanges, strict=True):
        promise.hold(exchange, like(alone[repr(step)], exchange.request, "at-once", when))
