"""The proxy that the environment names for an address: HTTPS_PROXY, ALL_PROXY, NO_PROXY, …."""

from __future__ import annotations

import ipaddress
import re
from importlib.util import find_spec
from typing import Final, NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

from .errors import ArgumentError
from .secrets import Secret, box

# Everything up to the last @ is the login, since passwords with # or / are often not encoded.
_PROXY: Final = re.compile(
    r"(?:(?P<scheme>https?|socks5h?)://)?(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?"
    r"(?P<host>[^@/?#:\[\]\s]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?/?",
    re.IGNORECASE | re.DOTALL,
)
_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Proxy(NamedTuple):
    """Where a proxy is, and its login if it needs one."""

    scheme: str
    host: str
    port: int
    user: Secret | None
    password: Secret | None


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy for this address; never one for loopback. Raise ArgumentError."""
    named = {name: box(text.strip()) for name, text in getproxies().items() if text}
    variable = scheme if scheme in named else "all"
    if variable not in named or is_loopback(host):
        return None
    if proxy_bypass(host) or _listed(named.get("no", Secret("")).reveal(), scheme, host, port):
        return None
    proxy = _parsed(named[variable])
    name = f"{variable}_proxy".upper()
    if proxy is None:
        raise ArgumentError.about(name, "is not a proxy URL; expected http://host:port")
    if proxy.scheme.startswith("socks") and find_spec("socksio") is None:
        problem = "is a SOCKS proxy, which needs a package: pip install 'httpx[socks]'"
        raise ArgumentError.about(name, problem)
    return proxy


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, by its name or address."""
    if host.rstrip(".").lower() == "localhost":
        return True
    address = _address(host)
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped is not None and mapped.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _parsed(text: Secret) -> Proxy | None:
    found = _PROXY.fullmatch(text.reveal())
    if found is None:
        return None
    scheme = (found["scheme"] or "http").lower()
    port = int(found["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        return None
    user = None if found["user"] is None else Secret(unquote(found["user"]))
    password = None if user is None else Secret(unquote(found["password"] or ""))
    return Proxy(scheme, found["host"].strip("[]"), port, user, password)


def _listed(no_proxy: str, scheme: str, host: str, port: int) -> bool:
    """Return whether NO_PROXY has an entry for the address, as curl and httpx read it."""
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    return any(_covers(entry, scheme, host.lower(), port) for entry in entries if entry)


def _covers(entry: str, scheme: str, host: str, port: int) -> bool:
    wanted_scheme, _, rest = entry.rpartition("://")
    if rest == "*":
        return True
    if wanted_scheme not in {"", scheme}:
        return False
    if "/" in rest.rstrip("/"):
        return _in_network(rest, host)
    found = re.fullmatch(r"(\[[^]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?/?", rest)
    if found is None or found[2] not in {None, str(port)}:
        return False
    name = found[1].strip("[]").removeprefix("*").strip(".")
    host = host.strip("[]").rstrip(".")
    is_address = _address(host) is not None
    return host == name or (not is_address and host.endswith(f".{name}"))


def _in_network(network: str, host: str) -> bool:
    address = _address(host)
    try:
        return address is not None and address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
