"""Client settings. Arguments override environment variables, which override the contract."""

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
from .fields import Rule, as_secret, plain
from .secrets import Secret
from .transport import Proxy, Route, httpx

_TOKEN: Final = Rule(
    str,
    pattern=r"[!-~]+",
    message="must be visible ASCII characters without spaces, line breaks or the prefix Bearer",
)
_LABEL: Final = r"[^/?#@\\\s.:%\[\]\x80-\U0010ffff]{1,63}"  # one label of a host name
_BASE_URL: Final = Rule(
    str,
    pattern=rf"(?ai)https?://(?:(?:{_LABEL}\.)*{_LABEL}\.?|\[[0-9a-f:.]+\])(?::[0-9]{{1,5}})?"
    r"(?:/(?!\.\.?(?:/|$))[^/?#@\\\s]+)*/?",
    message="must be an absolute ASCII URL like https://host/path, without spaces, a user, a query,"
    " a fragment, empty segments or dot segments; host labels must have 1 to 63 characters",
)
_HEADER_NAME: Final = Rule(
    str,
    pattern=r"(?ai)(?!(authorization|content-length|host|transfer-encoding)$)[!#$%&'*+.^_`|~0-9a-z-]+",
    message="cannot be set: the name is reserved, or it is not a valid header name",
)
_HEADER_VALUE: Final = Rule(
    str, pattern=r"([!-~]([ -~\t]*[!-~])?)?", message="must be visible ASCII on one line"
)
# Treat everything up to the last @ as the login, because @ and / in it are often not encoded.
_PROXY: Final = (
    r"(?ais)(?:(?P<scheme>https?|socks5h?)://)?(?!\w+://)(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>[^@/?#:\[\]\s\x80-\U0010ffff]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?/?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
# The maximum timeout in seconds. Longer ones count as unlimited, because sockets reject them.
_MAX_TIMEOUT: Final = 1e9
_BOOLEANS: Final = {"": False, "0": False, "false": False, "1": True, "true": True}


class Service(NamedTuple):
    """The service's properties, as defined by the generated client."""

    name: str
    """The prefix for environment variables, such as FLASHBACK."""
    base_url: str
    user_agent: str
    logger: logging.Logger

    def variable(self, name: str) -> str:
        """Return the value of the environment variable, or an empty string if it is unset."""
        return os.environ.get(f"{self.name}_{name}", "")


class Settings(NamedTuple):
    """A client's validated settings."""

    service: Service
    allow_http: bool
    trust_env: bool
    """Whether to use the proxies from the environment variables."""
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
        """Return the unvalidated defaults from the environment and the contract."""
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
        """Validate the changes and return the updated settings, or raise ArgumentError."""
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
        """Return the settings that depend on the base URL: `base_url`, `host` and `route`.

        Raise ArgumentError if the URL is invalid. The error does not show the URL, because it
        might contain a password.
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
            problem = "must use https, because http sends the token unencrypted; to allow http,"
            problem += " set allow_http=True"
            raise ArgumentError.about("base_url", problem)
        proxy = proxy_for(url.scheme, host, port) if self.trust_env else None
        return {
            "base_url": str(url).rstrip("/"),
            "host": url.netloc.decode(),
            "route": Route(is_tls, proxy),
        }


def checked_token(token: object, service: Service) -> Secret:
    """Validate the token and return it as a Secret, or raise ArgumentError."""
    secret = as_secret(cast("str", token))
    Rule(str).check("token", secret)
    if not secret:
        problem = f"is empty; pass token= or set {service.name}_TOKEN"
        raise ArgumentError.about("token", problem)
    _TOKEN.check("token", secret)
    return secret


def _http_is_allowed(given: object, service: Service) -> bool:
    """Return the argument, or the environment variable's value if the argument is None."""
    if given is not None:
        Rule(bool).check("allow_http", given)
        return bool(given)
    allowed = _BOOLEANS.get(service.variable("ALLOW_HTTP").strip().lower())
    if allowed is None:
        raise ArgumentError.about(f"{service.name}_ALLOW_HTTP", "must be 1 or 0")
    return allowed


def _checked_headers(headers: object) -> dict[str, Secret]:
    Rule(Mapping).check("headers", headers)
    checked: dict[str, Secret] = {}
    for name, value in cast("Mapping[str, str]", headers).items():
        secret = as_secret(value)
        _HEADER_NAME.check(f"headers[{name!r}]", name)
        _HEADER_VALUE.check(f"headers[{name!r}]", secret)
        checked[name.lower()] = secret
    return checked


def _seconds(name: str, value: float | None) -> float:
    if value is None:
        return inf
    Rule(float).check(name, value)
    if value > _MAX_TIMEOUT:
        return inf
    if math.isnan(value):
        raise ArgumentError.about(name, "must be a number, not nan")
    # A `timeout` of 0 is valid: it means that the deadline has already passed.
    if name == "attempt_timeout" and value <= 0:
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
    """Return the proxy that the environment variables specify for this address, if any.

    Raise ArgumentError if the proxy URL is invalid.
    """
    proxies = {name: Secret(text.strip()) for name, text in getproxies().items() if text}
    variable = scheme if scheme in proxies else "all"
    if variable not in proxies or is_loopback(host):
        return None
    no_proxy = proxies.get("no", Secret("")).reveal()
    if _bypasses_proxy(no_proxy, scheme, host.rstrip("."), port):
        return None
    name = f"{variable}_proxy".upper()
    proxy = _parse_proxy(proxies[variable])
    if proxy is None:
        raise ArgumentError.about(name, "is not a proxy URL; expected http://host:port")
    if proxy.url.startswith("socks") and PathFinder.find_spec("socksio") is None:
        problem = "is a SOCKS proxy, which requires the package: pip install 'httpx[socks]'"
        raise ArgumentError.about(name, problem)
    return proxy


def _parse_proxy(url: Secret) -> Proxy | None:
    # This frame holds the password in plain text, so return None instead of raising an exception.
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
    """Return whether NO_PROXY covers this address. The rules are the same as in curl and httpx."""
    shown = f"[{host}]" if ":" in host else host.lower()
    name = f".{shown}"
    for entry in no_proxy.lower().split(","):
        pattern = entry.strip().removeprefix(f"{scheme}://").rstrip("/.")
        if pattern == "*":
            return True
        suffix = "." + pattern.lstrip("*.")
        if suffix != "." and (name.endswith(suffix) or f"{name}:{port}".endswith(suffix)):
            return True
    return bool(proxy_bypass(host))
