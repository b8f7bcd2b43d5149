"""Control requests: they show whether the backend can be judged, before and during a run."""

import time
from collections.abc import Iterable
from dataclasses import replace
from uuid import uuid4

from support.backend import NOBODY, Backend
from support.exchange import Exchange, NoVerdictError

SET_UP_WRONGLY = {
    401: ("does not know the token", "set FLASHBACK_TOKEN to one that may update the id"),
    403: ("does not let the token update the id", "give a token with WRITE, or another --id"),
    404: (
        "has no configuration with the id, or no API at this URL",
        "give the id of a throwaway configuration with --id, or add a path to --backend-url",
    ),
    405: ("does not accept PUT at this path", "check whether --backend-url lacks a path"),
}
HAPPENED = {
    401: ("the token expired or was revoked", "run again with a fresh FLASHBACK_TOKEN"),
    403: ("the token may no longer update", "check who changed its access, then run again"),
    404: ("the configuration is gone", "create it again, or give another --id"),
}
IN_TLS = "give the CA's certificate with --ca FILE, or set SSL_CERT_FILE"


def ask_first(backend: Backend, bodies: Iterable[object]) -> Exchange:
    """Send the control requests and return the first exchange; raise if none can be judged.

    An exchange with an undocumented 2xx or with a 400 can be judged: it is a finding.
    """
    exchanges: list[Exchange] = []
    for body in bodies:
        exchange = backend.exchange(backend.control(body))
        if exchange.response is None and exchange.never_sent:
            raise _unreachable(backend, exchange)
        exchanges.append(exchange)
        if exchange.response and exchange.response.succeeded:  # the application's
            backend.shape = backend.shape.including(exchange.response)
    if not any(_can_be_judged(exchange) for exchange in exchanges):
        raise _wrong_setup(backend, exchanges[-1])
    return exchanges[0]


def ask_plainly_refused(backend: Backend) -> None:
    """Learn what the application's refusals look like: a proxy would not refuse these requests."""
    allowed = backend.control({})
    without_token = tuple(header for header in allowed.headers if header[0] != "Authorization")
    for request in (
        replace(allowed, headers=without_token, user=NOBODY),
        backend.control({}, id=str(uuid4())),
        backend.control({"name": 5}),
    ):
        response = backend.exchange(request).response
        if response:
            backend.shape = backend.shape.including(response)


def _can_be_judged(exchange: Exchange) -> bool:
    if exchange.response is None or _is_page(exchange):
        return False
    return exchange.succeeded or exchange.status in (400, 409, 413, 415, 422)


def _is_page(exchange: Exchange) -> bool:
    assert exchange.response
    return exchange.response.text.lstrip().startswith("<")


def _wrong_setup(backend: Backend, exchange: Exchange) -> NoVerdictError:
    got = f"{backend.url} answered the control request with {exchange.got}"
    if exchange.response is None:
        return _unreachable(backend, exchange)
    if exchange.status in SET_UP_WRONGLY:
        what, cure = SET_UP_WRONGLY[exchange.status]
        return backend.give_up(f"{got}: it {what}", cure)
    if 300 <= exchange.status < 400:
        location = exchange.response.header("Location") or "elsewhere"
        return backend.give_up(f"{got}, to {location}", "give that address with --backend-url")
    if exchange.status >= 500:
        return backend.give_up(f"{got}: it fails", "check its log, then run again")
    if "HTTPS port" in exchange.response.text:
        return backend.give_up(f"{got}: the port speaks TLS", "use https:// in --backend-url")
    cure = "check that --backend-url names the API, including its path"
    what = exchange.response.media_type or "no media type"
    return backend.give_up(f"{got}, a page ({what}) and not the API", cure)


def _unreachable(backend: Backend, exchange: Exchange) -> NoVerdictError:
    failure = exchange.failure
    cure = "check that the backend is running, and that --backend-url has its host and port"
    is_secure = backend.url.startswith("https")
    if "TLS failed" in failure:
        plain = "WRONG_VERSION" in failure or "RECORD_LAYER" in failure
        cure = "use http:// in --backend-url: the port does not speak TLS" if plain else IN_TLS
    elif is_secure:
        cure = f"use http:// in --backend-url if the port does not speak TLS; else {cure}"
    elif not exchange.never_sent:
        cure = "use https:// in --backend-url if the port speaks TLS; else see the backend's log"
    return backend.give_up(f"{backend.url} does not answer: {failure}", cure)


def confirm(backend: Backend, exchange: Exchange) -> bool:
    """Return whether the backend still works after an exchange that failed unexpectedly.

    False means that this exchange crashed the backend. Raise if the backend cannot be judged.
    """
    suspects = list(backend.latest)
    control = _patiently(backend)
    if control.succeeded:
        return True
    if exchange.response is None and not exchange.never_sent and control.never_sent:
        return False
    last = "; ".join(f"{one.request.method} {one.request.target}: {one.got}" for one in suspects)
    if control.response is None:
        raise backend.give_up(
            f"{backend.url} no longer answers ({control.failure}), the control request "
            f"included; the last requests were {last}",
            "check that the backend is still running, then run again",
        )
    what, cure = HAPPENED.get(control.status, ("the backend is down", "see its log"))
    raise backend.give_up(
        f"the control request, which worked before, is answered {control.got} now: {what}; "
        f"the last requests were {last}",
        cure,
    )


def _patiently(backend: Backend) -> Exchange:
    """Send a control request, with one retry, or several if there is no response."""
    exchange = backend.exchange(backend.control({}))
    for pause in (0.2, 0.5, 1.0, 1.5):
        if exchange.succeeded:
            break
        time.sleep(pause)
        was_answered = exchange.response is not None
        exchange = backend.exchange(backend.control({}))
        if was_answered:
            break
    return exchange
