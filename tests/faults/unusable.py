"""Backends that cannot be tested because of a wrong URL, a wrong token or an outage."""

from tests.faults.changes import Changes, reply
from tests.faults.messages import Answer, Request, page, refused

UNUSABLE = Changes()
WELCOME_PAGE = "<!DOCTYPE html><title>Welcome</title>"


def _is_after_150_requests(request: Request) -> bool:
    """Count this request, and return whether it comes after the first 150."""
    return request.count("any") > 150


UNUSABLE.changes_request(
    "",
    always_500=reply(500),
    always_500_page=lambda _: page(500, WELCOME_PAGE),
    always_405=lambda _: refused(405, Allow="GET"),
    always_302=lambda _: Answer(302, b"", Location="/login"),
    always_200_page=lambda _: page(200, WELCOME_PAGE),
    always_401=reply(401),
    always_403=reply(403),
    always_404=reply(404),
    always_429=lambda _: refused(429, **{"Retry-After": "0"}),
)
UNUSABLE.where(
    "",
    reply(401),
    token_expires_during_the_run=lambda request: (
        request.role == "owner" and _is_after_150_requests(request)
    ),
)
UNUSABLE.where(
    "",
    reply(404),
    configuration_is_deleted_during_the_run=lambda request: (
        request.is_authenticated and request.is_for("main") and _is_after_150_requests(request)
    ),
)
UNUSABLE.where("", reply(500), backend_fails_during_the_run=_is_after_150_requests)
UNUSABLE.where(
    "",
    lambda _: refused(429, **{"Retry-After": "0"}),
    rate_limit_is_exceeded_during_the_run=_is_after_150_requests,
)
