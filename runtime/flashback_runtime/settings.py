"""Client settings. Arguments override environment variables, which override the contract."""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
import re
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple, Self, cast
from urllib.request import getproxies, proxy_bypass

from .errors import ArgumentError
from .fields import Rule
from .secrets import Secret
from .transport import httpx

_TOKEN = Rule(
    Secret,
    pattern=r"^[!-~]+$",
    message="must contain only visible ASCII characters, with no spaces, line breaks or Bearer"
    " prefix",
)
_BASE_URL = Rule(
    str,
    pattern=r"(?i)^https?://[^/?#@\\\s]+(/[^/?#@\\\s]+)*/?$",
    message="must be an absolute URL like https://host/path, with no spaces, user, query, fragment"
    " or empty path segments",
)
_HEADER_NAME = Rule(
    str,
    pattern=r"(?i)^(?!(authorization|content-length|host|transfer-encoding)$)[!#$%&'*+.^_`|~0-9a-z-]+$",
    message="cannot be set: the name is reserved or is not a valid header name",
)
_HEADER_VALUE = Rule(
    Secret,
    pattern=r"^([!-~]([ -~\t]*[!-~])?)?$",
    message="must be one line of visible ASCII characters",
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# The maximum timeout in seconds. Longer timeouts, which sockets reject, are treated as unlimited.
_MAX_TIMEOUT = 1e9


class Service(NamedTuple):
    """The service's properties, as defined by the generated client."""

    name: str
    """The prefix for environment variables, such as FLASHBACK."""
    base_url: str
    user_agent: str
    logger: logging.Logger

    def variable(self, name: str) -> str:
        """Return the value of the environment variable, or an empty string if it is unset.

        Raise ArgumentError if the variable is set but empty, which is usually a mistake: with an
        empty base URL, the token would be sent to the contract's server.
        """
        variable = f"{self.name}_{name}"
        value = os.environ.get(variable)
        if value == "":
            raise ArgumentError.about(variable, "is empty; set a value, or unset the variable")
        return value or ""


class Settings(NamedTuple):
    """A client's validated settings."""

    service: Service
    allow_http: bool
    trust_env: bool
    """Whether to use the proxy settings in environment variables."""
    headers: Mapping[str, Secret] = {}
    token: Secret | Callable[[], Any] = Secret("")
    base_url: str = ""
    host: str = ""
    """The value of the Host header."""
    proxy: Secret | None = None
    """The proxy's URL."""
    timeout: float = inf
    attempt_timeout: float = inf
    max_retries: int = 0

    def changed(self, **changes: Any) -> Self:
        """Return the updated settings; raise ArgumentError if a change is invalid."""
        if "token" in changes and not callable(changes["token"]):
            check_token(changes["token"], self.service)
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
        _BASE_URL.check("base_url", value)
        url = _parse_url(cast("str", value))
        if url is None:
            raise ArgumentError.about("base_url", "has an invalid host or port")
        if url.scheme == "http" and not self.allow_http and not is_loopback(url.host):
            problem = (
                "must use https, because http sends the token unencrypted; to allow http, pass "
                f"allow_http=True or set {self.service.name}_ALLOW_HTTP=1"
            )
            raise ArgumentError.about("base_url", problem)
        return {
            "base_url": str(url).rstrip("/"),
            "host": url.netloc.decode(),
            "proxy": proxy_for(url) if self.trust_env else None,
        }


def check_token(token: Secret, service: Service) -> None:
    """Raise ArgumentError if the token is invalid."""
    if token == Secret(""):
        problem = f"is missing or empty; pass token= or set {service.name}_TOKEN"
        raise ArgumentError.about("token", problem)
    _TOKEN.check("token", token)


def _checked_headers(headers: Mapping[str, Secret]) -> dict[str, Secret]:
    Rule(Mapping).check("headers", headers)
    for name, value in headers.items():
        _HEADER_NAME.check(f"headers[{name!r}]", name)
        _HEADER_VALUE.check(f"headers[{name!r}]", value)
    return {name.lower(): value for name, value in headers.items()}


def _seconds(name: str, value: float | None) -> float:
    if value is None or value == inf:
        return inf
    Rule(float).check(name, value)
    if name == "attempt_timeout" and value <= 0:
        raise ArgumentError.about(name, "must be greater than 0")
    return inf if value > _MAX_TIMEOUT else max(value, 0)


def is_loopback(host: str) -> bool:
    """Return whether the host is a loopback address or `localhost`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def proxy_for(url: httpx.URL) -> Secret | None:
    """Return the URL of the proxy that the environment variables specify for this URL, if any.

    Raise ArgumentError if the proxy's URL is invalid.
    """
    variable = url.scheme
    proxy = _proxy_variable(variable)
    if not proxy:
        variable = "all"
        proxy = _proxy_variable(variable)
    if not proxy or is_loopback(url.host) or _bypasses_proxy(url):
        return None
    parsed = _parse_url(proxy.reveal())  # the repr of httpx.URL hides the password
    if parsed is None or parsed.scheme not in {"http", "https", "socks5", "socks5h"}:
        problem = "is not a proxy URL like http://host:port; percent-encode any password in it"
        raise ArgumentError.about(f"{variable}_proxy".upper(), problem)
    return proxy


def _proxy_variable(name: str) -> Secret:
    text = getproxies().get(name, "").strip()
    if text and "://" not in text:
        text = f"http://{text}"
    return Secret(text)


def proxy_credentials(proxy: Secret) -> list[Secret]:
    """Return the proxy's password or API key, and the Base64 form that the proxy receives."""
    url = httpx.URL(proxy.reveal())
    encoded = base64.b64encode(f"{url.username}:{url.password}".encode())
    return [Secret(url.password or url.username), Secret(encoded.decode())]


def _bypasses_proxy(url: httpx.URL) -> bool:
    """Return whether NO_PROXY exempts this URL, following the same rules as curl and httpx."""
    host = url.host.rstrip(".")
    name = f".[{host}]" if ":" in host else f".{host}"
    port = url.port or _DEFAULT_PORTS[url.scheme]
    for entry in getproxies().get("no", "").lower().split(","):
        pattern = entry.strip().removeprefix(f"{url.scheme}://").rstrip("/.")
        if pattern == "*":
            return True
        suffix = "." + pattern.lstrip("*.")
        if suffix != "." and (name.endswith(suffix) or f"{name}:{port}".endswith(suffix)):
            return True
    return bool(proxy_bypass(host))


def _parse_url(text: str) -> httpx.URL | None:
    """Parse the URL. Return None if it is invalid, because an exception could reveal a password."""
    try:
        url = httpx.URL(text)
        host = url.host  # decodes punycode, which might be invalid
    except (httpx.InvalidURL, ValueError):
        return None
    has_valid_labels = re.fullmatch(rb"([^.]{1,63}\.)*[^.]{1,63}\.?", url.raw_host)
    has_valid_port = url.port is None or 0 < url.port < 65536
    return url if host and has_valid_labels and has_valid_port else None
