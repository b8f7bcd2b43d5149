"""Read a contract's operations as slots, including what the path and the contract define for them.

A slot is a part of a request or response that can be missing or required, and have a schema.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from scripts.compatibility.findings import BODY
from scripts.compatibility.text import canonical_json, mapping_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.documents import Contract

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
VARIABLE = re.compile(r"\{([^}]*)\}")
# Percent-encoded characters that mean the same without encoding (RFC 3986, section 6.2.2.2).
UNRESERVED = re.compile("%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
IGNORED_HEADERS = {"accept", "content-type", "authorization"}  # OpenAPI ignores them
LIMIT = "x-max-bytes"
# For each kind of object, the keys that have their own comparison rules.
OPERATION = {"parameters", "requestBody", "responses", "servers", "security", *METHODS}
PARAMETER = {"name", "in", "required", "schema", "content", "style", "explode"}
DEFAULT_PORTS = {"https": ":443", "http": ":80"}
Part = dict[str, Any]
Key = tuple[str, str]  # a slot's location and name, such as ("query", "limit")


@dataclass(frozen=True)
class Slot:
    """A part of a request or response, with all references inlined."""

    kind: str  # selects the rules for slots that are added or removed
    label: str  # such as `query parameter limit`
    part: Part  # the object that defines the slot
    other: Part  # the keys of this object without comparison rules
    schema: Any = True  # None: not compared
    slots: dict[Key, Slot] = field(default_factory=dict[Key, "Slot"])


class Credential(NamedTuple):
    """A credential that a request must contain."""

    kind: str  # the scheme and one scope, such as `oauth2 read`
    issuer: str  # how a client can get a token


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation: one HTTP method on one path."""

    name: str  # such as `PUT /ai/llm/{id}`
    key: tuple[str, str]  # the normalized path without parameter names, and the method
    addresses: dict[str, str]  # the method and full URLs, each with its server URL
    has_own_servers: bool
    security: dict[str, list[Credential]]  # the alternatives, keyed by description
    slot: Slot


def operations(contract: Contract) -> Iterator[Operation]:
    """Yield a contract's operations."""
    for path, item in mapping_at(contract.api, "paths").items():
        for method in METHODS:
            if method in item:
                yield _operation(contract, path, item, method)


def _operation(contract: Contract, path: str, item: Part, method: str) -> Operation:
    operation = item[method]
    decoded = UNRESERVED.sub(lambda found: unquote(found[0]), path)
    key = VARIABLE.sub("{}", decoded)
    # An empty list of servers counts as missing.
    own_servers = operation.get("servers") or item.get("servers")
    servers = own_servers or contract.api.get("servers") or [{"url": "/"}]
    return Operation(
        name=f"{method.upper()} {path}",
        key=(key, method),
        addresses={f"{method} {url}{key}": url for url in _servers(servers)},
        has_own_servers=bool(own_servers),
        security=_security({**contract.api, **operation}, contract),
        slot=_operation_slot(path, item, operation),
    )


def _servers(servers: list[Part]) -> Iterator[str]:
    """Yield the normalized base URLs, each with its variables."""
    for server in servers:
        url = server["url"].rstrip("/")
        with suppress(ValueError):  # raised if, for example, the host is `[{variable}]`
            parts = urlsplit(url)
            host = parts.netloc.lower().removesuffix(DEFAULT_PORTS.get(parts.scheme, "/"))
            url = urlunsplit(parts._replace(netloc=host))
        variables = mapping_at(server, "variables")
        if variables:
            url += f" {canonical_json(variables)}"
        yield url


def _security(holder: Part, contract: Contract) -> dict[str, list[Credential]]:
    """Return the alternatives, keyed by descriptions such as `OAuth (oauth2, read)`."""
    result: dict[str, list[Credential]] = {}
    for schemes in holder.get("security") or [{}]:
        labels: list[str] = []
        credentials: set[Credential] = set()
        for name, scopes in sorted(schemes.items()):
            kind, issuer = _scheme(contract, name)
            details = ", ".join([kind, *sorted(scopes)])
            labels.append(f"{name} ({details})")
            credentials |= {Credential(f"{kind} {scope}", issuer) for scope in ("", *scopes)}
        result[" and ".join(labels) or "no credential"] = sorted(credentials)
    return result


def _scheme(contract: Contract, name: str) -> Credential:
    """Return the scheme's credential, without a scope."""
    schemes = mapping_at(contract.document.get("components"), "securitySchemes")
    if name not in schemes:
        raise contract.error(f"security scheme {name!r} is missing from components; add it")
    scheme = contract.inlined(schemes[name])
    field = scheme.get("name", "")
    if scheme.get("in") == "header":
        field = field.lower()
    flows = mapping_at(scheme, "flows")
    urls = {flow: _without(flows[flow], {"scopes"}) for flow in flows}
    words = (scheme["type"], scheme.get("scheme", "").lower(), scheme.get("in"), field)
    kind = " ".join(filter(None, words))
    return Credential(kind, canonical_json([scheme.get("openIdConnectUrl"), urls]))


def _operation_slot(path: str, item: Part, operation: Part) -> Slot:
    """Return the operation with its parameters, its request body and its responses as slots."""
    slots = _parameters(path, item.get("parameters", []) + operation.get("parameters", []))
    if "requestBody" in operation:
        slots["request", BODY] = _request_body(operation["requestBody"])
    for status, response in mapping_at(operation, "responses").items():
        slots["response", status] = _response(response)
    return Slot("sent", "", operation, _without({**item, **operation}, OPERATION), slots=slots)


def _parameters(path: str, parameters: list[Part]) -> dict[Key, Slot]:
    """Return the operation's and the path's parameters.

    A path parameter's position serves as its name. An undeclared path parameter is treated as a
    string. Header names are in lower case.
    """
    variables = VARIABLE.findall(path)
    undeclared: Part = {"in": "path", "required": True, "schema": {"type": "string"}}
    result: dict[Key, Slot] = {}
    defaults = [{**undeclared, "name": name} for name in variables]
    for parameter in defaults + parameters:
        location = parameter["in"]
        name = parameter["name"]
        slot = _text_slot("sent", f"{location} parameter {name}", location, parameter)
        if location == "path" and name in variables:
            name = str(variables.index(name))
        if location == "header":
            name = name.lower()
        if location != "header" or name not in IGNORED_HEADERS:
            result[location, name] = slot
    return result


def _without(part: Part, keys: set[str]) -> Part:
    return {key: value for key, value in part.items() if key not in keys}


def _text_slot(kind: str, label: str, location: str, part: Part) -> Slot:
    """Return the slot for a parameter or header. Only schemas in the default style are compared."""
    style = "form" if location in {"query", "cookie"} else "simple"
    stated = (part.get("style", style), part.get("explode", style == "form"))
    if stated != (style, style == "form") or part.get("content"):
        return Slot(kind, label, part, {"serialization": _without(part, {"required"})}, None)
    return Slot(kind, label, part, _without(part, PARAMETER), part.get("schema", True))


def _request_body(body: Part) -> Slot:
    size = {"maximum": body[LIMIT]} if LIMIT in body else True
    slots = _contents("sent content", body)
    slots[BODY, LIMIT] = Slot("sent", f"size in bytes ({LIMIT})", {}, {}, size)
    return Slot("sent", BODY, body, _without(body, {"required", "content", LIMIT}), slots=slots)


def _response(response: Part) -> Slot:
    slots = _contents("content", response)
    for name, header in mapping_at(response, "headers").items():
        lower = name.lower()
        if lower not in IGNORED_HEADERS:
            slots["header", lower] = _text_slot("header", f"header {lower}", "header", header)
    return Slot("status", "", response, _without(response, {"headers", "content"}), slots=slots)


def _contents(kind: str, holder: Part) -> dict[Key, Slot]:
    """Return a slot for each media type. Only the schemas of JSON bodies are compared."""
    result: dict[Key, Slot] = {}
    for name, content in mapping_at(holder, "content").items():
        media_type = _normalized(name)
        slot = Slot(kind, BODY, content, content)
        if _is_json(media_type):
            other = _without(content, {"schema", "encoding"})
            slot = replace(slot, other=other, schema=content.get("schema", True))
        first = result.setdefault(("media type", media_type), slot)
        if first != slot:  # a second, different schema makes changes undecided
            result["media type", media_type] = replace(first, other={name: content})
    return result


def _normalized(media_type: str) -> str:
    """Return the media type in lower case with sorted parameters.

    Omit `charset=utf-8` from JSON media types, because JSON is always UTF-8 (RFC 8259).
    """
    kind, *parameters = map(str.strip, media_type.replace('"', "").split(";"))
    kept: set[str] = set()
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name = name.lower()
        if name == "charset":
            value = value.lower()
        is_default = name == "charset" and value == "utf-8" and _is_json(kind)
        if parameter and not is_default:
            kept.add(f"{name}={value}")
    return ";".join([kind.lower(), *sorted(kept)])


def _is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0].lower()
    return kind in {"application/json", "text/json"} or kind.endswith("+json")
