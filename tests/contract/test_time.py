"""Over time: an answer depends on token, id and body, not on what came before."""

from itertools import product
from typing import Any

import hypothesis
import pytest
import values
from asking import ask, at_once, expect, require
from backend import ADMIN, FOREIGN_ID, READER, SIBLING_ID, STRANGER, WRITER, under_test
from hypothesis import strategies as st

EXAMPLES = max(5, under_test.settings.max_examples // 3)
Step = tuple[str | None, str, Any]  # token, id, body
IDS = {"foreign": FOREIGN_ID, "sibling": SIBLING_ID}
TOKENS = (WRITER, ADMIN, READER, STRANGER, None)
STEPS = st.tuples(
    st.sampled_from([WRITER, *TOKENS]),
    st.sampled_from(["main", "main", "foreign", "unknown"]),
    st.sampled_from([values.GOOD, {}, {"name": "fresh"}, {"name": ""}, b"{", {"unknown": "field"}]),
)
KINDS: list[Step] = [
    *((token, "main", body) for token, body in product(TOKENS, (values.GOOD, {}))),
    *((token, id, values.GOOD) for token, id in product((WRITER, READER), ("foreign", "unknown"))),
    (WRITER, "sibling", values.GOOD),
    *((WRITER, "main", body) for body in ({"name": ""}, b"{", b"", {"name": "fresh"})),
]


def expected(token: str | None, id: str, body: Any) -> set[int]:
    """The statuses that token, id and body allow, whatever came before."""
    if token is None:
        return {401}
    valid = body in (values.GOOD, {}) or (isinstance(body, dict) and body.get("name"))
    status = 404 if id == "unknown" else 403
    if id in ("main", "sibling") and token in (WRITER, ADMIN):
        status = 200 if valid else 400
    return {status} if valid else {400, status}


def arguments(steps: list[Step]) -> list[tuple[set[int], dict[str, Any]]]:
    """What each step expects and asks; none whose token or id is not given."""
    given = under_test.given
    ids = {"main": under_test.id, "unknown": "unknown"}
    ids |= {name: given[variable] for name, variable in IDS.items() if variable in given}
    return [
        (expected(*step), {"token": step[0], "id": ids[step[1]], "body": step[2]})
        for step in steps
        # Whether a stranger may update the foreign configuration is not known.
        if step[:2] != (STRANGER, "foreign")
        and (step[0] is None or step[0] in given)
        and step[1] in ids
    ]


@pytest.mark.clause("200", "page")
def test_first_request_is_answered_like_any() -> None:
    """The first request of the run, maybe the first since the start, answers 200."""
    first = under_test.first
    if first:
        require(first.status == 200, first, "200 to the first request of the run")


@pytest.mark.clause("idempotent", "ours: RFC 9110")
def test_same_update_again_and_again_answers_200() -> None:
    """Sending an update again, on one connection a hundred times, answers as the first time."""
    everything = {**values.EVERYTHING, **values.fresh()}
    for body in (*[values.GOOD] * 100, *[values.fresh()] * 3, *[everything] * 3):
        expect(200, body=body)


@pytest.mark.clause("order of answers", "ours")
def test_good_request_works_after_every_bad_one() -> None:
    """After every kind of refused request, the next good one works."""
    bad: list[dict[str, Any]] = [{"body": body} for body in values.unreadable_bodies()]
    bad += [{"token": None}, {"id": "unknown"}, {"body": {"name": ""}}, {"method": "POST"}]
    bad += [{"headers": {"Content-Type": "text/plain"}}, {"headers": {"Content-Encoding": "gzip"}}]
    for asked in bad:
        ask(**asked)
        expect(200)


@pytest.mark.clause("access", "page")
@hypothesis.given(steps=st.lists(STEPS, min_size=2, max_size=8))
@hypothesis.example(steps=list(values.every_pair(KINDS)))
@hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None)
@hypothesis.seed(under_test.settings.seed)
def test_answer_does_not_depend_on_what_came_before(steps: list[Step]) -> None:
    """In any sequence of requests by several users, each gets the answer it would get alone."""
    for statuses, asked in arguments(steps):
        fresh = values.fresh() if asked["body"] == {"name": "fresh"} else asked["body"]
        expect(*statuses, **asked | {"body": fresh})


@pytest.mark.clause("200", "page")
def test_updates_at_the_same_time_are_all_answered() -> None:
    """Twenty requests at the same time are each answered as they would be alone."""
    steps = (arguments([kind for kind in KINDS if kind[2] != {"name": "fresh"}]) * 3)[:20]
    came = at_once([way for _, way in steps])
    for (statuses, _), exchange in zip(steps, came, strict=True):
        under_test.watch(exchange)  # once more: now the credentials of the others are known, too
        require(exchange.status in statuses, exchange, f"{statuses} also among 20 at once")
