# ruff: noqa: D103 - the name says what is wrong
"""Backends that cannot be judged: a wrong address, a wrong token, or one that goes away."""

from tests.faults.backend import Answer, Request, refused
from tests.faults.changes import Changes

UNUSABLE = Changes("unusable")
PAGE = b"<!DOCTYPE html><title>Welcome</title>"
UNTIL = 150  # requests, after which the backend stops working


UNUSABLE.changes_request(
    "",
    always_500=lambda _: refused(500),
    always_500_page=lambda _: Answer(500, PAGE).set_header("Content-Type", "text/html"),
    always_405=lambda _: refused(405, Allow="GET"),
    always_302=lambda _: Answer(302, b"", Location="/login"),
    always_a_page=lambda _: Answer(200, PAGE).set_header("Content-Type", "text/html"),
    always_401=lambda _: refused(401),
    always_403=lambda _: refused(403),
    always_404=lambda _: refused(404),
    always_429=lambda _: refused(429, **{"Retry-After": "0"}),
)


@UNUSABLE.before()
def token_expires(request: Request) -> Answer | None:
    is_expired = request.role == "owner" and request.count("any") > UNTIL
    return refused(401) if is_expired else None


@UNUSABLE.before()
def configuration_is_deleted(request: Request) -> Answer | None:
    is_deleted = request.is_for("main") and request.count("any") > UNTIL
    return refused(404) if is_deleted and request.role not in ("", "expired") else None


@UNUSABLE.before()
def too_many_requests_from_then_on(request: Request) -> Answer | None:
    is_limited = request.count("any") > UNTIL
    return refused(429, **{"Retry-After": "0"}) if is_limited else None


@UNUSABLE.before()
def backend_fails_from_then_on(request: Request) -> Answer | None:
    return refused(500) if request.count("any") > UNTIL else None
