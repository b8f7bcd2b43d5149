"""Settings of a client: arguments first, then the environment, then the contract's defaults."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final, NamedTuple, Self, cast

from .connections import httpx
from .errors import ArgumentError
from .fields import UNSET, Rule, box
from .proxies import Route, is_loopback, proxy_for
from .secrets import Secret

_TOKEN: Final = Rule(
    str,
    pattern=r"[!-~]+",
    words="must be visible ASCII characters only: no space, line break or padding",
)
_BASE_URL: Final = Rule(
    str,
    pattern=r"[Hh][Tt][Tt][Pp][Ss]?://[^/?#@\\\s\x80-\U0010ffff]+(/(?!\.\.?(/|$))[^/?#@\\\s]+)*/?",
    words="must be like https://host/path: absolute, in ASCII, with no spaces, user, query,"
    " fragment, empty or dot segments",
)
_HOST: Final = Rule(
    str,
    max_length=254,
    pattern=r"([^.:%]{1,63}\.)*[^.:%]{1,63}\.?|[0-9a-f:.]*:[0-9a-f:.]*",
    words="must have a host name with labels of 1 to 63 characters",
)
_HEADER_NAME: Final = Rule(
    str,
    pattern=r"(?ai)(?!(authorization|content-length|host|transfer-encoding)$)[!#$%&'*+.^_`|~0-9a-z-]+",
    words="cannot be set: it is reserved, or not the name of a header",
)
_HEADER_VALUE: Final = Rule(
    str, pattern=r"([!-~]([ -~\t]*[!-~])?)?", words="must be visible ASCII on one line"
)
_SECONDS: Final = Rule(float)
_LONGEST: Final = 1e9  # seconds; sockets refuse longer limits
_RETRIES: Final = Rule(int, minimum=0)
_SWITCH: Final = {"": False, "0": False, "false": False, "1": True, "true": True}


class Service(NamedTuple):
    """The facts about a service that its generated client provides."""

    name: str  # FLASHBACK, the prefix of the environment variables
    base_url: str
    user_agent: str
    logger: logging.Logger

    def variable(self, name: str) -> str:
        """Return the value of this service's variable, or an empty string if it is not set."""
        return os.environ.get(f"{self.name}_{name}", "")


class Settings(NamedTuple):
    """Validated settings of one client."""

    service: Service
    allow_http: bool
    headers: Mapping[str, Secret]
    token: Secret | Callable[[], Any] = Secret("")
    base_url: str = ""
    host: str = ""  # as in the Host header
    route: Route = Route(is_tls=True, proxy=None)
    timeout: float = inf
    attempt_timeout: float = inf
    max_retries: int = 0

    @classmethod
    def defaults(cls, service: Service, *, allow_http: bool | None) -> Self:
        """Return those of the environment, else of the contract; `changed` checks them."""
        own = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": service.user_agent,
        }
        return cls(
            service,
            _http_is_allowed(allow_http, service),
            {name: Secret(value) for name, value in own.items()},
            token=Secret(service.variable("TOKEN")),
            base_url=service.variable("BASE_URL") or service.base_url,
        )

    def changed(self, **given: Any) -> Self:
        """Return a copy with the given settings, except UNSET ones; raise ArgumentError."""
        changes = {name: value for name, value in given.items() if value is not UNSET}
        if "token" in changes:
            changes["token"] = checked_token(changes["token"], self.service)
        if "base_url" in changes:
            changes |= _address(changes["base_url"], allow_http=self.allow_http)
        for name in ("timeout", "attempt_timeout"):
            if name in changes:
                changes[name] = _seconds(name, changes[name])
        if "max_retries" in changes:
            _RETRIES.check("max_retries", changes["max_retries"])
        if "headers" in changes:
            changes["headers"] = {**self.headers, **_checked_headers(changes["headers"])}
        return self._replace(**changes)


def checked_token(token: object, service: Service) -> Secret | Callable[[], Any]:
    """Return the token or the function that returns it; raise ArgumentError."""
    if callable(token):
        return cast("Callable[[], Any]", token)
    boxed = box(cast("str", token))
    Rule(str).check("token", boxed)
    if not boxed:
        problem = f"is empty; give token= or set {service.name}_TOKEN"
        raise ArgumentError.about("token", problem)
    if boxed.reveal().lower().startswith("bearer "):
        raise ArgumentError.about("token", "must come without the word Bearer: the client adds it")
    _TOKEN.check("token", boxed)
    return boxed


def _address(value: object, *, allow_http: bool) -> dict[str, Any]:
    """Return the settings that a base URL determines: the URL, its host and its route.

    Errors do not quote it, as it may hold a password.
    """
    _BASE_URL.check("base_url", value)
    try:
        url = httpx.URL(str(value))
        host = url.host
    except (httpx.InvalidURL, ValueError):
        raise ArgumentError.about("base_url", "has a host or port that is not valid") from None
    _HOST.check("base_url", host)
    is_tls = url.scheme == "https"
    port = url.port or (443 if is_tls else 80)
    if not 0 < port < 65536:
        raise ArgumentError.about("base_url", "must have a port from 1 to 65535, if any")
    if not is_tls and not allow_http and not is_loopback(host):
        problem = "is http: the token would be sent in clear text; use https, or allow_http=True"
        raise ArgumentError.about("base_url", problem)
    route = Route(is_tls, proxy_for(url.scheme, host, port))
    return {"base_url": str(url).rstrip("/"), "host": url.netloc.decode(), "route": route}


def _http_is_allowed(given: object, service: Service) -> bool:
    """Return the argument, else the environment's switch."""
    if given is not None:
        Rule(bool).check("allow_http", given)
        return bool(given)
    switch = _SWITCH.get(service.variable("ALLOW_HTTP").strip().lower())
    if switch is None:
        raise ArgumentError.about(f"{service.name}_ALLOW_HTTP", "must be 1 or 0")
    return switch


def _checked_headers(headers: object) -> dict[str, Secret]:
    """Return headers for every request; errors name the header, never its value."""
    Rule(Mapping).check("headers", headers)
    checked: dict[str, Secret] = {}
    for name, value in cast("Mapping[str, str]", headers).items():
        boxed = box(value)
        _HEADER_NAME.check(f"headers[{name!r}]", name)
        _HEADER_VALUE.check(f"headers[{name!r}]", boxed)
        checked[name.lower()] = boxed
    return checked


def _seconds(name: str, value: float | None) -> float:
    """Return the seconds, infinity for None. A limit of 0 or less has passed already."""
    if value is None:
        return inf
    _SECONDS.check(name, value)
    if math.isnan(value):
        raise ArgumentError.about(name, "must be a number, not nan")
    return inf if value > _LONGEST else value
