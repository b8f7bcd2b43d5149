"""Control requests: valid updates that must always succeed.

If they fail, the cause is usually a wrong URL, id or token, so the run ends without a verdict.
"""

import time
from collections.abc import Iterable

from support import values
from support.backend import SIBLING_ID, Backend
from support.exchange import Exchange, NoVerdictError
from support.options import MEANINGS

SETUP_ERRORS = {
    401: ("does not accept the token", "set FLASHBACK_TOKEN to a valid token with WRITE access"),
    403: (
        "does not allow updates with this token",
        "use a WRITE token or another --id, and check that no firewall sent the response",
    ),
    404: (
        "has no configuration with this id, or no API at this URL",
        "pass the id of a throwaway configuration with --id, or add a path to --backend-url",
    ),
    405: ("does not accept PUT at this path", "check the path in --backend-url"),
}
LIKELY_CAUSES = {
    401: ("the token expired or was revoked", "run again with a fresh FLASHBACK_TOKEN"),
    403: (
        "the token no longer allows updates",
        "find out why its access changed, then run the tests again",
    ),
    404: ("the configuration no longer exists", "create it again, or use another --id"),
}


def send_controls(backend: Backend, bodies: Iterable[object]) -> list[Exchange]:
    """Send the control requests; raise `NoVerdictError` if all of them fail.

    A 400 or an undocumented 2xx is not a failure here, because the tests report it as a finding.
    """
    exchanges = []
    for body in bodies:
        rule = "update/plain" if body else None
        exchange = backend.exchange(backend.control(body, rule=rule))
        if exchange.never_sent:
            raise _unreachable(backend, exchange)
        exchanges.append(exchange)
        if exchange.succeeded:  # a proxy would not return a 2xx
            backend.from_endpoint.append(exchange)
    if not any(map(_is_from_endpoint, exchanges)):
        raise _setup_error(backend, exchanges[-1])
    return exchanges


def check_sibling(backend: Backend) -> None:
    """Raise `NoVerdictError` if the sibling configuration is missing or cannot be updated."""
    id = backend.given.get(SIBLING_ID)
    if id:
        status = backend.exchange(backend.control(values.GOOD, id=id)).status
        if status in (403, 404):
            reason = f"{SIBLING_ID}: an update of this configuration returned {status}"
            raise NoVerdictError(reason, f"set it to {MEANINGS[SIBLING_ID]}")


def _is_from_endpoint(exchange: Exchange) -> bool:
    if exchange.text.lstrip().startswith("<"):
        return False
    return exchange.succeeded or exchange.status in (400, 409, 412, 413, 415, 422, 428)


def _setup_error(backend: Backend, exchange: Exchange) -> NoVerdictError:
    status = exchange.status
    if not status:
        return _unreachable(backend, exchange)
    if status in SETUP_ERRORS:
        what, cure = SETUP_ERRORS[status]
        problem = f": it {what}"
    elif 300 <= status < 400:
        problem = f", to {exchange.header('Location') or 'elsewhere'}"
        cure = "correct --backend-url, or make the path work without a redirect"
    elif status >= 500:
        problem = ": a server error"
        cure = "check the backend's log, then run again"
    elif "HTTPS port" in exchange.text:
        problem = ": the port expects TLS"
        cure = "use https:// in --backend-url"
    else:
        problem = (
            f": a page ({exchange.media_type or 'no media type'}), not a response from the API"
        )
        cure = "check that --backend-url is the URL of the API, including its path"
    got = f"{backend.url} responded to the control request with {status}"
    return NoVerdictError(f"{got}{problem}", cure)


def _unreachable(backend: Backend, exchange: Exchange) -> NoVerdictError:
    failure = exchange.failure
    cure = "check that the backend is running, and check the host and port in --backend-url"
    if "certificate" in failure:
        cure = (
            "pass the CA certificate with --ca FILE or in SSL_CERT_FILE, or correct the server's "
            "certificate or the host in --backend-url"
        )
    elif "TLS failed" in failure:
        cure = "use http:// in --backend-url if the port does not use TLS"
    elif not exchange.never_sent and backend.url.startswith("http:"):
        cure = "use https:// in --backend-url if the port uses TLS; if not, check the backend's log"
    if exchange.timed_out:
        cure += ", or allow more time with --timeout"
    return NoVerdictError(f"{backend.url} does not respond: {failure}", cure)


def is_working(backend: Backend, exchange: Exchange) -> bool:
    """Return whether the backend still works after an unexpected failure.

    Return False if the exchange crashed the backend. Raise `NoVerdictError` if the backend stopped
    working for another reason.
    """
    suspects = "; ".join(
        f"{one.request.method} {one.request.target}: {one.got}" for one in backend.latest
    )
    for pause in (0.2, 0.5, 1.0, 1.5, 0):
        control = backend.exchange(backend.control({}))
        if control.succeeded:
            return True
        time.sleep(pause)
    if not exchange.status and not exchange.never_sent and control.never_sent:
        return False
    if not control.status:
        raise NoVerdictError(
            f"{backend.url} no longer responds, not even to the control request "
            f"({control.failure}); the last requests were {suspects}",
            "check that the backend is still running, then run again",
        )
    what, cure = LIKELY_CAUSES.get(control.status, ("the backend is failing", "check its log"))
    raise NoVerdictError(
        f"the control request succeeded before, but now returns {control.got}: {what}; "
        f"the last requests were {suspects}",
        cure,
    )
