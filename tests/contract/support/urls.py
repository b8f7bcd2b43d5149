"""URL validation according to RFC 3986 and the WHATWG URL Standard."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import ada_url
import jsonschema_rs

_RFC3986 = jsonschema_rs.Draft202012Validator({"format": "uri"}, validate_formats=True)
WEB = ("http", "https")


def rfc3986_accepts(value: str) -> bool:
    """Return whether the value is an absolute http or https URI with a host, per RFC 3986."""
    if not _RFC3986.is_valid(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme.lower() in WEB and bool(parts.hostname)


def whatwg_accepts(value: str) -> bool:
    """Return whether the value is an http or https URL, per the WHATWG URL Standard."""
    return ada_url.check_url(value) and ada_url.URL(value).protocol.rstrip(":") in WEB


def has_userinfo(value: str) -> bool:
    """Return whether the value contains a user name or password according to either standard."""
    if whatwg_accepts(value):
        url = ada_url.URL(value)
        if url.username or url.password:
            return True
    authority = re.split("[/?#]", value.partition("//")[2])[0]
    return "@" in authority


def may_be_rejected(value: str) -> bool:
    """Return whether a backend may reject the host because it cannot be a public DNS name."""
    if not whatwg_accepts(value):
        return True
    # This parser normalizes hosts such as `127.1` to 127.0.0.1.
    host = ada_url.URL(value).hostname.strip("[]").rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        labels = host.split(".")
        is_in_dns = len(host) < 254 and all(0 < len(label) < 64 for label in labels)
        return len(labels) < 2 or not is_in_dns
    return True
