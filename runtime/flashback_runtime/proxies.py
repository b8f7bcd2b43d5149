"""The proxy that the environment names for an address: HTTPS_PROXY, ALL_PROXY, NO_PROXY, …."""

from __future__ import annotations

import ipaddress
import re
from importlib.machinery import PathFinder
from typing import Final, NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from .errors import ArgumentError
from .fields import box
from .secrets import Secret

# Everything up to the last @ is the login, since passwords with # or / are often not encoded.
_PROXY: Final = (
    r"(?ais)(?:(?P<scheme>https?|socks5h?)://)?(?!\w+://)(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>[^@/?#:\[\]\s\x80-\U0010ffff]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?/?"
)
_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Proxy(NamedTuple):
    """Where a proxy is, and its login if it needs one."""

    scheme: str
    host: str
    port: int
    user: Secret | None
    password: Secret | None


class Route(NamedTuple):
    """The key of a connection pool: requests with the same route share connections."""

    is_tls: bool
    proxy: Proxy | None


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy for this address, or None, as for loopback. Raise ArgumentError."""
    named = {name: box(text.strip()) for name, text in getproxies().items() if text}
    variable = scheme if scheme in named else "all"
    if variable not in named or is_loopback(host):
        return None
    if _is_exempt(named.get("no", Secret("")).reveal(), scheme, host.rstrip("."), port):
        return None
    proxy = _parsed(named[variable])
    name = f"{variable}_proxy".upper()
    if proxy is None:
        raise ArgumentError.about(name, "is not a proxy URL; expected http://host:port")
    if proxy.scheme.startswith("socks") and PathFinder.find_spec("socksio") is None:
        problem = "is a SOCKS proxy, which needs a package: pip install 'httpx[socks]'"
        raise ArgumentError.about(name, problem)
    return proxy


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, by its name or address."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _parsed(text: Secret) -> Proxy | None:
    found = re.fullmatch(_PROXY, text.reveal())
    if found is None:
        return None
    scheme = (found["scheme"] or "http").lower()
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        return None
    user = None if found["user"] is None else Secret(unquote(found["user"]))
    password = None if user is None else Secret(unquote(found["password"] or ""))
    return Proxy(scheme, found["host"].strip("[]"), port, user, password)


def _is_exempt(no_proxy: str, scheme: str, host: str, port: int) -> bool:
    """Return whether NO_PROXY has an entry for the address, as curl and httpx read it."""
    shown = f"[{host}]" if ":" in host else host.lower()
    names = (f".{shown}", f".{shown}:{port}")
    for entry in no_proxy.lower().split(","):
        plain = entry.strip().removeprefix(f"{scheme}://").rstrip("/.")
        suffix = plain.lstrip("*.")
        if plain == "*" or (suffix and any(name.endswith(f".{suffix}") for name in names)):
            return True
    return bool(proxy_bypass(host))
