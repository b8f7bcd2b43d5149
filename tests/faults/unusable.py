"""Backends that cannot be judged: a wrong address, a wrong token, or one that goes away."""

from tests.faults.changes import Changes, reply
from tests.faults.messages import Answer, Request, page, refused

UNUSABLE = Changes()
WELCOME = "<!DOCTYPE html><title>Welcome</title>"


def _is_late(request: Request) -> bool:
    return request.count("any") > 150


UNUSABLE.changes_request(
    "",
    always_500=reply(500),
    always_500_page=lambda _: page(500, WELCOME),
    always_405=lambda _: refused(405, Allow="GET"),
    always_302=lambda _: Answer(302, b"", Location="/login"),
    always_a_page=lambda _: page(200, WELCOME),
    always_401=reply(401),
    always_403=reply(403),
    always_404=reply(404),
    always_429=lambda _: refused(429, **{"Retry-After": "0"}),
)
UNUSABLE.where(
    "", reply(401), token_expires=lambda request: request.role == "owner" and _is_late(request)
)
UNUSABLE.where(
    "",
    reply(404),
    configuration_is_deleted=lambda request: (
        request.is_authenticated and request.is_for("main") and _is_late(request)
    ),
)
UNUSABLE.where("", reply(500), backend_fails_from_then_on=_is_late)
UNUSABLE.where(
    "",
    lambda _: refused(429, **{"Retry-After": "0"}),
    too_many_requests_from_then_on=_is_late,
)
