"""Settings of a client: arguments first, then the environment, then the contract's defaults."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from attrs import frozen

from .errors import ArgumentError, ArgumentTypeError
from .http import httpx
from .proxies import Proxy, is_loopback, proxy_for
from .secrets import Secret, box, box_values

_BASE_URL: Final = re.compile(
    r"https?://[^/?#@\\\s]+(/(?!\.\.?(/|$))[^/?#@\\\s]+)*/?", re.IGNORECASE
)
_HOST: Final = re.compile(r"(?:[^.:%]{1,63}\.)*[^.:%]{1,63}\.?|[0-9a-f:.]+", re.IGNORECASE)
_RESERVED: Final = frozenset({"authorization", "content-length", "host", "transfer-encoding"})
_SWITCH: Final = {"": False, "0": False, "false": False, "1": True, "true": True}


class Service(NamedTuple):
    """What a generated client says of its service."""

    name: str  # FLASHBACK, the prefix of the environment variables
    base_url: str
    user_agent: str
    logger: logging.Logger


class Route(NamedTuple):
    """What decides which pool of connections a request uses."""

    is_tls: bool
    proxy: Proxy | None


@frozen
class Settings:
    """Validated settings of one client; `attrs.evolve` makes those of a derived client."""

    service: Service
    token: Secret | Callable[[], Any]
    base_url: str
    allow_http: bool
    route: Route
    timeout: float
    attempt_timeout: float
    max_retries: int
    headers: Mapping[str, Secret]


def token_from(value: object, service: Service) -> Secret | Callable[[], Any]:
    """Return the token, the function that returns it, or that of the environment."""
    if callable(value):
        return cast("Callable[[], Any]", value)
    if value is None:
        return checked_token(Secret(os.environ.get(f"{service.name}_TOKEN", "")), service)
    return checked_token(box(cast("str", value)), service)


def checked_token(token: Secret, service: Service) -> Secret:
    """Return the token; raise ArgumentError when it cannot be one, without showing it."""
    where = f"give token= or set {service.name}_TOKEN"
    kind = type(cast("object", token.reveal()))
    if kind is not str:
        raise ArgumentTypeError.about("token", f"must be text, not {kind.__name__}; {where}")
    if not token:
        raise ArgumentError.about("token", f"is empty; {where}")
    if token.reveal().lower().startswith("bearer "):
        raise ArgumentError.about("token", "must come without the word Bearer: the client adds it")
    if not re.fullmatch(r"[!-~]+", token.reveal()):
        problem = "must be visible ASCII characters only: no space, line break or padding"
        raise ArgumentError.about("token", problem)
    return token


def base_url_from(value: object, given: str | None, service: Service) -> object:
    """Return the argument, else what an httpx client was given, else that of the environment."""
    if value is not None:
        return value
    return given or os.environ.get(f"{service.name}_BASE_URL") or service.base_url


def checked_base_url(value: object, *, allow_http: bool) -> str:
    """Return the base URL without its last slash; errors do not quote it or its password."""
    if not isinstance(value, str) or not value.isascii() or not _BASE_URL.fullmatch(value):
        problem = (
            "must be like https://host/path: absolute, in ASCII, with no spaces, user, query,"
            " fragment, empty or dot segments"
        )
        raise ArgumentError.about("base_url", problem)
    try:
        url = httpx.URL(value)
        host = url.host
    except (httpx.InvalidURL, ValueError):
        raise ArgumentError.about("base_url", "has a host or port that is not valid") from None
    if not _HOST.fullmatch(host) or len(host) > 254 or not 0 < (url.port or 1) < 65536:
        problem = "must name a host with labels of 1 to 63 characters, and a port from 1 to 65535"
        raise ArgumentError.about("base_url", problem)
    if url.scheme == "http" and not allow_http and not is_loopback(host):
        problem = "is http: the token would travel in clear; use https, or allow_http=True"
        raise ArgumentError.about("base_url", problem)
    return str(url).rstrip("/")


def route_to(base_url: str) -> Route:
    """Return the route to this base URL: its scheme, and the environment's proxy."""
    url = httpx.URL(base_url)
    is_tls = url.scheme == "https"
    port = url.port or (443 if is_tls else 80)
    return Route(is_tls, proxy_for(url.scheme, url.host, port))


def checked_allow_http(value: object, service: Service) -> bool:
    """Return the argument, else the environment's switch."""
    if isinstance(value, bool):
        return value
    variable = f"{service.name}_ALLOW_HTTP"
    switch = _SWITCH.get(os.environ.get(variable, "").strip().lower())
    if value is not None:
        raise ArgumentTypeError.about("allow_http", "must be True, False or None")
    if switch is None:
        raise ArgumentError.about(variable, "must be 1 or 0")
    return switch


def boxed_headers(headers: Mapping[str, str | Secret]) -> Mapping[str, Secret]:
    """Return the headers with their values in boxes; anything else as it is, to be refused."""
    if not isinstance(cast("object", headers), Mapping):
        return cast("Mapping[str, Secret]", headers)
    return box_values(headers)


def checked_headers(given: object) -> dict[str, Secret]:
    """Return headers for every request; errors name the header, never its value."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentTypeError.about("headers", "must be a mapping of names to texts")
    boxed: dict[str, Secret] = {}
    for name, value in cast("Mapping[object, str]", given).items():
        boxed[_checked_name(name)] = _checked_value(name, box(value))
    return boxed


def _checked_name(name: object) -> str:
    is_name = isinstance(name, str) and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
    if not is_name or str(name).lower() in _RESERVED:
        raise ArgumentError.about("headers", f"cannot set {name!r}: reserved, or not a header name")
    return str(name).lower()


def _checked_value(name: object, value: Secret) -> Secret:
    kind = type(cast("object", value.reveal()))
    if kind is not str:
        raise ArgumentTypeError.about("headers", f"must be text: {name} is {kind.__name__}")
    if not re.fullmatch(r"(?:[!-~](?:[ -~\t]*[!-~])?)?", value.reveal()):
        raise ArgumentError.about("headers", f"must be visible ASCII on one line: {name} is not")
    return value


def checked_seconds(name: str, value: object) -> float:
    """Return the seconds, infinity for None. A limit of 0 or less has passed already."""
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        problem = f"must be a number of seconds or None, not {type(value).__name__}"
        raise ArgumentTypeError.about(name, problem)
    if math.isnan(value):
        raise ArgumentError.about(name, "must be a number of seconds or None, not NaN")
    return float(value)


def checked_retries(value: object) -> int:
    """Return the number of retries."""
    if isinstance(value, bool) or not isinstance(value, int):
        problem = f"must be a whole number, not {type(value).__name__}"
        raise ArgumentTypeError.about("max_retries", problem)
    if value < 0:
        raise ArgumentError.about("max_retries", "must be 0 or more")
    return value
