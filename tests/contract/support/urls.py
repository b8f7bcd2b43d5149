"""Whether the two definitions of a URL accept an endpoint: RFC 3986, and WHATWG's URL Standard."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import ada_url
import jsonschema_rs

_RFC3986 = jsonschema_rs.Draft202012Validator({"format": "uri"}, validate_formats=True)
WEB = ("http", "https")


def rfc3986_accepts(value: str) -> bool:
    """Return whether the value is an absolute http or https URI with a host, by RFC 3986."""
    if not _RFC3986.is_valid(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme.lower() in WEB and bool(parts.hostname)


def whatwg_accepts(value: str) -> bool:
    """Return whether a browser's `new URL(value)` is an http or https URL."""
    return ada_url.check_url(value) and ada_url.URL(value).protocol.rstrip(":") in WEB


def standards_that_accept(value: str) -> list[str]:
    """Return the names of the standards by which the value is an http or https URL."""
    accepts = {"RFC 3986": rfc3986_accepts, "WHATWG": whatwg_accepts}
    return [name for name, accept in accepts.items() if accept(value)]


def has_userinfo(value: str) -> bool:
    """Return whether either definition sees a user name or a password in the value."""
    if whatwg_accepts(value):
        url = ada_url.URL(value)
        if url.username or url.password:
            return True
    authority = value.partition("//")[2].replace("?", "/").replace("#", "/").partition("/")[0]
    return "@" in authority


def may_be_refused(value: str) -> bool:
    """Return whether a backend may refuse the URL for its host: private, local, or not in DNS."""
    host = (urlsplit(value).hostname or "").rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        labels = host.split(".")
        return len(labels) < 2 or len(host) > 253 or any(len(label) > 63 for label in labels)
    return True
