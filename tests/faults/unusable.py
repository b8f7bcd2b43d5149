# ruff: noqa: D103 - the name says what is wrong
"""Backends that cannot be judged: a wrong address, a wrong token, or one that goes away."""

from tests.faults.backend import Answer, Request, refused
from tests.faults.changes import Changes

UNUSABLE = Changes("unusable")
PAGE = b"<!DOCTYPE html><title>Welcome</title>"
UNTIL = 150  # requests, after which the backend stops working


@UNUSABLE.before()
def always_500(_: Request) -> Answer:
    return refused(500)


@UNUSABLE.before()
def always_500_page(_: Request) -> Answer:
    return Answer(500, PAGE).set_header("Content-Type", "text/html")


@UNUSABLE.before()
def always_405(_: Request) -> Answer:
    return refused(405, Allow="GET")


@UNUSABLE.before()
def always_302(_: Request) -> Answer:
    return Answer(302, b"", Location="/login")


@UNUSABLE.before()
def always_a_page(_: Request) -> Answer:
    return Answer(200, PAGE).set_header("Content-Type", "text/html")


@UNUSABLE.before()
def always_401(_: Request) -> Answer:
    return refused(401)


@UNUSABLE.before()
def always_403(_: Request) -> Answer:
    return refused(403)


@UNUSABLE.before()
def always_404(_: Request) -> Answer:
    return refused(404)


@UNUSABLE.before()
def always_429(_: Request) -> Answer:
    return refused(429, **{"Retry-After": "0"})


@UNUSABLE.before()
def token_expires(request: Request) -> Answer | None:
    is_expired = request.role == "owner" and request.count("any") > UNTIL
    return refused(401) if is_expired else None


@UNUSABLE.before()
def configuration_is_deleted(request: Request) -> Answer | None:
    is_deleted = request.id == request.ids["main"] and request.count("any") > UNTIL
    return refused(404) if is_deleted and request.role not in ("", "expired") else None


@UNUSABLE.before()
def too_many_requests_from_then_on(request: Request) -> Answer | None:
    is_limited = request.count("any") > UNTIL
    return refused(429, **{"Retry-After": "0"}) if is_limited else None


@UNUSABLE.before()
def backend_fails_from_then_on(request: Request) -> Answer | None:
    return refused(500) if request.count("any") > UNTIL else None
