"""Over time: an answer depends on token, id and body, not on what came before."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import contract
import hypothesis
import pytest
import values
from asking import Asker
from backend import ADMIN, FOREIGN_ID, READER, STRANGER, WRITER, Backend
from hypothesis import strategies as st
from settings import current

GOOD = contract.EXAMPLES["rotateCredentials"]
STEPS = st.tuples(
    st.sampled_from([WRITER, WRITER, ADMIN, READER, STRANGER, None]),
    st.sampled_from(["main", "main", "foreign", "unknown"]),
    st.sampled_from([GOOD, {}, {"name": "unique"}, {"name": ""}, b"{", {"unknown": "field"}]),
)


def expected(token: str | None, id: str, body: Any) -> set[int]:
    """The statuses that token, id and body allow, whatever came before."""
    if token is None:
        return {401}
    valid = body in (GOOD, {}) or (isinstance(body, dict) and body.get("name"))
    foreign = (token == STRANGER) if id == "main" else True
    if id == "unknown":
        return {404} if valid else {400, 404}
    if foreign or token == READER:
        return {403} if valid else {400, 403}
    return {200} if valid else {400}


@pytest.mark.clause("200", "page")
def test_first_request_is_answered_like_any(ask: Asker) -> None:
    """The first request of the run, maybe the first since the start, answers 200."""
    first = ask.backend.first
    if first and first.status != 200:
        ask.broken(first, f"expected 200, came {first.status} to the first request of the run")


@pytest.mark.clause("idempotent", "ours: RFC 9110")
def test_same_update_twice_answers_200_twice(ask: Asker) -> None:
    """Sending an update again answers as the first time, a rename too."""
    for body in (GOOD, {"name": current().unique()}, contract.EXAMPLES["switchProvider"]):
        for _ in range(3):
            ask.expect(200, body=body)


@pytest.mark.clause("order of answers", "ours")
def test_good_request_works_after_every_bad_one(ask: Asker) -> None:
    """After every kind of refused request, the next good one works."""
    bad: list[dict[str, Any]] = [{"body": body} for body in values.unreadable_bodies().values()]
    bad += [{"token": None}, {"id": "unknown"}, {"body": {"name": ""}}, {"method": "POST"}]
    bad += [{"headers": {"Content-Type": "text/plain"}}, {"headers": {"Content-Encoding": "gzip"}}]
    for asked in bad:
        ask(**asked)
        ask.expect(200, body=GOOD)


@pytest.mark.clause("access", "page")
@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=max(5, current().max_examples // 3),
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.seed(current().seed)
def test_answer_does_not_depend_on_what_came_before(
    ask: Asker, backend: Backend, data: st.DataObject
) -> None:
    """In any sequence of requests by several users, each gets the answer it would get alone."""
    ids = {"main": backend.id, "foreign": backend.given.get(FOREIGN_ID), "unknown": "unknown"}
    for token, id, body in data.draw(st.lists(STEPS, min_size=2, max_size=8)):
        if (token is None or token in backend.given) and ids[id]:
            given = {"name": f"run {current().unique()}"} if body == {"name": "unique"} else body
            if not (token == STRANGER and id == "foreign"):  # whose workspace that is, is not known
                ask.expect(*expected(token, id, body), token=token, id=ids[id], body=given)


@pytest.mark.clause("200", "page")
@pytest.mark.parametrize("many", [2, 20])
def test_updates_at_the_same_time_are_all_answered(ask: Asker, many: int) -> None:
    """Two, and twenty, updates at the same time are each answered as they would be alone."""
    ways: list[dict[str, Any]] = [{"body": GOOD}, {"body": {"name": ""}}, {"token": None}, {}]
    statuses = [200, 400, 401, 200]
    asked = [ways[number % 4] for number in range(many)]
    with ThreadPoolExecutor(many) as pool:
        came = list(pool.map(lambda way: ask(**way), asked))
    for number, exchange in enumerate(came):
        if exchange.status != statuses[number % 4]:
            ask.broken(exchange, f"expected {statuses[number % 4]} also among {many} at once")


@pytest.mark.clause("200", "page")
def test_long_run_on_one_connection(ask: Asker) -> None:
    """A hundred updates in a row answer like the first."""
    for _ in range(100):
        ask.expect(200, body=GOOD)
