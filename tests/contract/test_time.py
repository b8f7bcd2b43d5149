"""Over time: a response depends on token, id and body, not on earlier requests."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from support import values
from support.backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, WRITER
from support.exchange import Request
from support.expectation import Expectation, expectation_of
from support.promise import Promise

Step = tuple[str | None, str, Any]  # token, id, body
IDS = {"foreign": FOREIGN_ID, "sibling": SIBLING_ID}
TOKENS = (WRITER, ADMIN, READER, STRANGER, None)
RENAME = "a fresh name"
KINDS: list[Step] = [
    *((token, "main", body) for token, body in product(TOKENS, (values.GOOD, {}))),
    *((token, id, values.GOOD) for token, id in product((WRITER, READER), ("foreign", "unknown"))),
    (WRITER, "sibling", values.GOOD),
    *((WRITER, "main", body) for body in ({"name": ""}, b"{", b"", RENAME)),
]
SEQUENCES = 20
LONGEST_SEQUENCE = 8


def possible(promise: Promise) -> list[Step]:
    """Return the steps for which tokens and ids are set."""
    given = promise.backend.given
    steps: list[Step] = []
    for token, id, body in KINDS:
        has_token = token is None or token in given
        has_id = id in ("main", "unknown") or IDS[id] in given
        if has_token and has_id:
            steps.append((token, id, body))
    return steps


def request_of(promise: Promise, step: Step) -> Request:
    """Return the request that a step asks."""
    token, id, body = step
    ids = {"main": promise.backend.id, "unknown": values.unique()}
    given = ids.get(id) or promise.backend.given[IDS[id]]
    return promise.request(token=token, id=given, body=values.fresh() if body == RENAME else body)


def answers_alone(promise: Promise, steps: list[Step]) -> dict[str, int]:
    """Return how each step is answered alone: on a new connection, after a reference request."""
    statuses: dict[str, int] = {}
    for step in steps:
        promise.ask(body={})
        request = request_of(promise, step).again()
        exchange = promise.exchange(request)
        promise.hold(exchange)
        statuses[repr(step)] = exchange.status
    return statuses


def like(status: int, request: Request, kind: str, when: str) -> Expectation:
    """Return the expectation of the status that the request gets alone."""
    usual = expectation_of(request)
    words = f"{usual.words}, {when}"
    return replace(usual, statuses=frozenset({status}), clause="alone", kind=kind, words=words)


@pytest.mark.clause("alone")
def test_first_request_is_answered_like_any(promise: Promise) -> None:
    """The first request of the run, maybe the first since the start, answers 200."""
    first = promise.run.first
    if first is None:
        pytest.skip("there was no first request")
    promise.requests += 1
    promise.hold(first)


@pytest.mark.clause("idempotent")
def test_same_update_again_and_again_answers_200(promise: Promise) -> None:
    """Sending an update again, on one connection a hundred times, answers as the first time."""
    everything = {**values.EVERYTHING, **values.fresh()}
    for body in (*[values.GOOD] * 100, *[values.fresh()] * 3, *[everything] * 3):
        promise.expect(200, body=body, clause="idempotent", kind="again", words="the same update")


@pytest.mark.clause("alone")
def test_valid_request_works_after_every_refused_one(promise: Promise) -> None:
    """After every kind of refused request, the next valid one works."""
    refused: list[dict[str, Any]] = [{"body": body} for body in values.unreadable_bodies()]
    refused += [{"token": None}, {"id": values.unique()}, {"body": {"name": ""}}]
    refused += [{"headers": {"Content-Type": "text/plain"}}]
    refused += [{"headers": {"Content-Encoding": "gzip"}}]
    for parts in refused:
        before = promise.ask(**parts)
        if before is not None:
            words = f"a valid update after {expectation_of(before.request).words}"
            promise.expect(200, clause="alone", kind="after-a-refused-one", words=words)


@pytest.mark.clause("alone")
def test_answer_does_not_depend_on_what_came_before(promise: Promise) -> None:
    """In any sequence of requests by several users, each gets the answer it would get alone."""
    steps = possible(promise)
    alone = answers_alone(promise, steps)
    sequence = list(values.every_pair(steps))
    for _ in range(SEQUENCES):
        sequence += values.RANDOM.choices(steps, k=LONGEST_SEQUENCE)
    before = "the first request"
    for step in sequence:
        request = request_of(promise, step)
        exchange = promise.exchange(request)
        promise.hold(exchange, like(alone[repr(step)], request, "after-others", f"after {before}"))
        before = expectation_of(request).words


@pytest.mark.clause("alone")
def test_requests_at_the_same_time_are_answered_as_alone(promise: Promise) -> None:
    """Twenty requests at the same time are each answered as they would be alone."""
    steps = [step for step in possible(promise) if step[2] != RENAME]
    alone = answers_alone(promise, steps)
    together = (steps * 3)[:20]
    exchanges = promise.exchange_at_once([request_of(promise, step) for step in together])
    when = "among 20 requests at the same time"
    for step, exchange in zip(together, exchanges, strict=True):
        promise.hold(exchange, like(alone[repr(step)], exchange.request, "at-once", when))
