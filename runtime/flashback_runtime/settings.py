"""The settings of a client: from arguments, the environment, or the contract, in this order."""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from math import inf
from typing import Any, Final, NamedTuple, Self, cast
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from .errors import ArgumentError
from .fields import Rule, box, plain
from .secrets import Secret
from .transport import Proxy, Route, httpx

_TOKEN: Final = Rule(
    str,
    pattern=r"[!-~]+",
    words="must be visible ASCII without spaces or line breaks, and without the word Bearer",
)
_LABEL: Final = r"[^/?#@\\\s.:%\[\]\x80-\U0010ffff]{1,63}"  # of a host name
_BASE_URL: Final = Rule(
    str,
    pattern=rf"(?ai)https?://(?:(?:{_LABEL}\.)*{_LABEL}\.?|\[[0-9a-f:.]+\])(?::[0-9]{{1,5}})?"
    r"(?:/(?!\.\.?(?:/|$))[^/?#@\\\s]+)*/?",
    words="must be an absolute URL like https://host/path, in ASCII, with no spaces, user, query,"
    " fragment, empty segments or dot segments, and with labels of 1 to 63 characters",
)
_HEADER_NAME: Final = Rule(
    str,
    pattern=r"(?ai)(?!(authorization|content-length|host|transfer-encoding)$)[!#$%&'*+.^_`|~0-9a-z-]+",
    words="cannot be set: the name is reserved or is not a valid header name",
)
_HEADER_VALUE: Final = Rule(
    str, pattern=r"([!-~]([ -~\t]*[!-~])?)?", words="must be visible ASCII on one line"
)
# Everything up to the last @ is the login, since # and / in passwords are often not encoded.
_PROXY: Final = (
    r"(?ais)(?:(?P<scheme>https?|socks5h?)://)?(?!\w+://)(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>[^@/?#:\[\]\s\x80-\U0010ffff]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?/?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LONGEST: Final = 1e9  # seconds; sockets do not accept longer timeouts
_SWITCH: Final = {"": False, "0": False, "false": False, "1": True, "true": True}


class Service(NamedTuple):
    """The facts about a service that its generated client provides."""

    name: str
    """The prefix of the environment variables, such as FLASHBACK."""
    base_url: str
    user_agent: str
    logger: logging.Logger

    def variable(self, name: str) -> str:
        """Return the value of the environment variable, or an empty string if it is not set."""
        return os.environ.get(f"{self.name}_{name}", "")


class Settings(NamedTuple):
    """The validated settings of one client."""

    service: Service
    allow_http: bool
    trust_env: bool
    """Whether the environment may name a proxy."""
    headers: Mapping[str, Secret]
    token: Secret | Callable[[], Any] = Secret("")
    base_url: str = ""
    host: str = ""
    """The value of the Host header."""
    route: Route = Route(is_tls=True, proxy=None)
    timeout: float = inf
    attempt_timeout: float = inf
    max_retries: int = 0

    @classmethod
    def defaults(cls, service: Service, *, allow_http: bool | None, trust_env: bool) -> Self:
        """Return the settings of the environment and the contract, which are not yet validated."""
        own = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": service.user_agent,
        }
        return cls(
            service,
            _http_is_allowed(allow_http, service),
            trust_env,
            {name: Secret(value) for name, value in own.items()},
            token=Secret(service.variable("TOKEN")),
            base_url=service.variable("BASE_URL") or service.base_url,
        )

    def changed(self, **changes: Any) -> Self:
        """Return a copy with these settings, once they are validated; raise ArgumentError."""
        if "token" in changes and not callable(changes["token"]):
            changes["token"] = checked_token(changes["token"], self.service)
        if "base_url" in changes:
            changes |= self._address(changes["base_url"])
        for name in ("timeout", "attempt_timeout"):
            if name in changes:
                changes[name] = _seconds(name, changes[name])
        if "max_retries" in changes:
            Rule(int, minimum=0).check("max_retries", changes["max_retries"])
        if "headers" in changes:
            changes["headers"] = {**self.headers, **_checked_headers(changes["headers"])}
        return self._replace(**changes)

    def _address(self, value: object) -> dict[str, Any]:
        """Return the settings that depend on the base URL: itself, its host and its route.

        Raise ArgumentError, which does not show the URL, since it may contain a password.
        """
        _BASE_URL.check("base_url", value)
        try:
            url = httpx.URL(plain(value))
            host = url.host
        except (httpx.InvalidURL, ValueError):
            raise ArgumentError.about("base_url", "has an invalid host or port") from None
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port < 65536:
            raise ArgumentError.about("base_url", "must have a port from 1 to 65535")
        is_tls = url.scheme == "https"
        if not is_tls and not self.allow_http and not is_loopback(host):
            problem = "is http, which sends the token unencrypted; use https or allow_http=True"
            raise ArgumentError.about("base_url", problem)
        proxy = proxy_for(url.scheme, host, port) if self.trust_env else None
        return {
            "base_url": str(url).rstrip("/"),
            "host": url.netloc.decode(),
            "route": Route(is_tls, proxy),
        }


def checked_token(token: object, service: Service) -> Secret:
    """Return the token in a box; raise ArgumentError."""
    boxed = box(cast("str", token))
    Rule(str).check("token", boxed)
    if not boxed:
        problem = f"is empty; pass token= or set {service.name}_TOKEN"
        raise ArgumentError.about("token", problem)
    _TOKEN.check("token", boxed)
    return boxed


def _http_is_allowed(given: object, service: Service) -> bool:
    """Return the argument, or the value of the environment variable if the argument is None."""
    if given is not None:
        Rule(bool).check("allow_http", given)
        return bool(given)
    switch = _SWITCH.get(service.variable("ALLOW_HTTP").strip().lower())
    if switch is None:
        raise ArgumentError.about(f"{service.name}_ALLOW_HTTP", "must be 1 or 0")
    return switch


def _checked_headers(headers: object) -> dict[str, Secret]:
    Rule(Mapping).check("headers", headers)
    checked: dict[str, Secret] = {}
    for name, value in cast("Mapping[str, str]", headers).items():
        boxed = box(value)
        _HEADER_NAME.check(f"headers[{name!r}]", name)
        _HEADER_VALUE.check(f"headers[{name!r}]", boxed)
        checked[name.lower()] = boxed
    return checked


def _seconds(name: str, value: float | None) -> float:
    if value is None:
        return inf
    Rule(float).check(name, value)
    if value > _LONGEST:
        return inf
    if math.isnan(value):
        raise ArgumentError.about(name, "must be a number, not nan")
    if name == "attempt_timeout" and value <= 0:  # a `timeout` of 0 is a deadline that has passed
        raise ArgumentError.about(name, "must be greater than 0")
    return value


def is_loopback(host: str) -> bool:
    """Return whether the host is a loopback address or `localhost`."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy that the environment names for this address; raise ArgumentError."""
    named = {name: Secret(text.strip()) for name, text in getproxies().items() if text}
    variable = scheme if scheme in named else "all"
    if variable not in named or is_loopback(host):
        return None
    if _bypasses_proxy(named.get("no", Secret("")).reveal(), scheme, host.rstrip("."), port):
        return None
    name = f"{variable}_proxy".upper()
    proxy = _parse_proxy(named[variable])
    if proxy is None:
        raise ArgumentError.about(name, "is not a proxy URL; expected http://host:port")
    if proxy.url.startswith("socks") and PathFinder.find_spec("socksio") is None:
        problem = "is a SOCKS proxy, which needs a package: pip install 'httpx[socks]'"
        raise ArgumentError.about(name, problem)
    return proxy


def _parse_proxy(url: Secret) -> Proxy | None:
    # The frame of this function holds the password, so it returns None for an invalid URL.
    found = re.fullmatch(_PROXY, url.reveal())
    if found is None:
        return None
    scheme = (found["scheme"] or "http").lower()
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port < 65536:
        return None
    login = None
    if found["user"] is not None:
        login = (Secret(unquote(found["user"])), Secret(unquote(found["password"] or "")))
    return Proxy(f"{scheme}://{found['host']}:{port}", login)


def _bypasses_proxy(no_proxy: str, scheme: str, host: str, port: int) -> bool:
    """Return whether NO_PROXY has an entry for this address, as curl and httpx read it."""
    shown = f"[{host}]" if ":" in host else host.lower()
    name = f".{shown}"
    for entry in no_proxy.lower().split(","):
        plain = entry.strip().removeprefix(f"{scheme}://").rstrip("/.")
        if plain == "*":
            return True
        suffix = "." + plain.lstrip("*.")
        if suffix != "." and (name.endswith(suffix) or f"{name}:{port}".endswith(suffix)):
            return True
    return bool(proxy_bypass(host))
