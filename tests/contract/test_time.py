"""Sequences and concurrency: a response depends only on its request, not on any other request."""

from dataclasses import replace
from typing import Any

from support import values
from support.backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, WRITER
from support.exchange import Request
from support.promise import Promise, clause
from support.rule import Rule

Step = dict[str, Any]  # keyword arguments for `Promise.request`
RENAME = "a fresh name"  # a placeholder for a body with a new name
SEQUENCES = 10
LONGEST_SEQUENCE = 8


def steps_of(promise: Promise) -> list[Step]:
    """Return a step for each kind of request that is possible with the available tokens and ids."""
    backend = promise.backend
    steps: list[Step] = values.with_bodies({}, {"name": ""}, b"{", b"", RENAME)
    steps.append({"id": backend.unknown_id()})
    for variable in promise.available(FOREIGN_ID, SIBLING_ID):
        steps.append({"id": backend.given[variable]})
    for token in (None, *promise.available(WRITER, ADMIN, READER, STRANGER)):
        steps.append({"token": token})
    return steps


def request_of(promise: Promise, step: Step) -> Request:
    """Return the request for a step."""
    if step.get("body") == RENAME:
        step = {**step, "body": values.fresh()}
    return promise.request(**step)


def isolated(request: Request, status: int, kind: str, when: str) -> Request:
    """Return the request with a rule that requires the status it got when it was sent alone."""
    words = f"{request.rule.words}, {when}"
    return replace(request, rule=Rule(f"alone/{kind}", words, {status}, depends_on_earlier=True))


def isolated_statuses(promise: Promise, steps: list[Step]) -> dict[str, int]:
    """Send each step on a new connection, after a valid request; return the steps' statuses."""
    statuses = {}
    for step in steps:
        promise.prepare(body=promise.backend.new_body())
        request = request_of(promise, step).again()
        exchange = promise.exchange(request)
        promise.check(exchange)
        if exchange.status not in request.rule.statuses:  # may have failed by chance
            exchange = promise.exchange(request)
        statuses[repr(step)] = exchange.status
    return statuses


@clause("alone")
def test_first_request_answers_200(promise: Promise) -> None:
    """The first request of the run returns 200, even if the backend has just started."""
    promise.requests += 1
    promise.check(promise.run.controls[0])


@clause("idempotent")
def test_repeated_update_answers_200(promise: Promise) -> None:
    """The same update returns 200 a hundred times in a row on one connection."""
    everything = {**values.EVERYTHING, **values.fresh()}
    for body, times in ((values.GOOD, 100), (values.fresh(), 3), (everything, 3)):
        for _ in range(times):
            promise.ask("idempotent/again", body=body)


@clause("alone")
def test_valid_request_works_after_every_rejected_one(promise: Promise) -> None:
    """A valid request returns 200 immediately after any kind of rejected request."""
    in_chunks = [(body,) for body in values.unreadable_bodies() if body]
    rejected: list[Step] = [
        *values.with_bodies(*in_chunks, {"name": ""}, b""),
        {"token": None},
        {"id": promise.backend.unknown_id()},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"Content-Encoding": "gzip"}},
    ]
    for step in rejected:
        before = promise.ask(**step)
        if before:
            words = f"a valid update after {before.request.rule.words}"
            rule = Rule("alone/after-a-rejected-one", words, {200}, depends_on_earlier=True)
            promise.ask(rule)


@clause("alone")
def test_answer_does_not_depend_on_earlier_requests(promise: Promise) -> None:
    """In any sequence, each request returns the same status as when it is sent alone."""
    steps = steps_of(promise)
    alone = isolated_statuses(promise, steps)
    sequence = list(values.every_pair(steps))
    for _ in range(SEQUENCES):
        sequence += values.RANDOM.choices(steps, k=LONGEST_SEQUENCE)
    before = "the first request"
    for step in sequence:
        request = request_of(promise, step)
        promise.send(isolated(request, alone[repr(step)], "after-others", f"after {before}"))
        before = request.rule.words


@clause("alone")
def test_concurrent_requests_are_answered_as_if_sent_alone(promise: Promise) -> None:
    """Each of twenty concurrent requests returns the same status as when it is sent alone."""
    steps = [step for step in steps_of(promise) if step.get("body") != RENAME]
    alone = isolated_statuses(promise, steps)
    requests = []
    for step in (steps * 3)[:20]:
        request = request_of(promise, step)
        when = "among 20 concurrent requests"
        requests.append(isolated(request, alone[repr(step)], "at-once", when))
    for exchange in promise.exchange_concurrently(requests):
        promise.check(exchange)
