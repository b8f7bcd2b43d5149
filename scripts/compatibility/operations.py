"""Read a contract's operations, including what they inherit from the path and the contract."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self
from urllib.parse import unquote

from scripts.compatibility.containment import Prover
from scripts.compatibility.findings import Finding, Severity
from scripts.compatibility.references import InlinedContract
from scripts.compatibility.values import BODY, canonical_json, mapping_at

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
VARIABLE = re.compile(r"\{([^}]*)\}")
# Percent-encoded characters that have the same meaning when decoded (RFC 3986, section 6.2.2.2).
UNRESERVED = re.compile("%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
# OpenAPI ignores these parameters.
IGNORED = {("header", "accept"), ("header", "content-type"), ("header", "authorization")}
# These keys do not affect requests or responses.
WORDS = {"tags", "operationId", "deprecated"}
NO_CONTENT = "204"  # a response with this status never has a body
Part = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """An operation (one HTTP method on one path), with all references inlined."""

    contract: InlinedContract
    path: str
    method: str
    item: Part  # the path item
    parts: Part  # the operation object

    @property
    def name(self) -> str:
        """Return a name such as `PUT /ai/llm/{id}`."""
        return f"{self.method.upper()} {self.path}"

    @property
    def key(self) -> tuple[str, str]:
        """Return the normalized path, without its parameter names, and the method."""
        return VARIABLE.sub("{}", decoded(self.path)), self.method

    @cached_property
    def parameters(self) -> dict[tuple[str, str], Part]:
        """Return the operation's and the path's parameters, keyed by location and name.

        A path parameter's position serves as its name. An undeclared path parameter is treated as a
        string. Header names are in lower case.
        """
        variables = VARIABLE.findall(self.path)
        result: dict[tuple[str, str], Part] = {}
        for index, name in enumerate(variables):
            undeclared = {"in": "path", "name": name, "required": True}
            result["path", str(index)] = {**undeclared, "schema": {"type": "string"}}
        inherited = self.item.get("parameters", [])
        for parameter in inherited + self.parts.get("parameters", []):
            location = parameter["in"]
            name = parameter["name"]
            if location == "path" and name in variables:
                name = str(variables.index(name))
            if location == "header":
                name = name.lower()
            if (location, name) not in IGNORED:
                result[location, name] = parameter
        return result

    @property
    def security(self) -> list[dict[str, list[str]]]:
        """Return the operation's security requirements, or else the contract's."""
        holder = self.parts if "security" in self.parts else self.contract.api
        return holder.get("security") or [{}]

    @property
    def own_servers(self) -> list[Part]:
        """Return the operation's servers, or else the path's. An empty list counts as missing."""
        return self.parts.get("servers") or self.item.get("servers") or []

    def scheme(self, name: str) -> Part:
        """Return the security scheme; raise ContractError if it does not exist."""
        schemes = mapping_at(self.contract.document.get("components"), "securitySchemes")
        if name not in schemes:
            raise self.contract.error(
                f"security scheme {name!r} of {self.name} is missing from components; add it"
            )
        scheme: Part = self.contract.inlined(schemes[name], ("securitySchemes",))
        return scheme


@dataclass(frozen=True)
class Pair:
    """The old and new versions of an operation, or of one of its parts, such as the body."""

    base: Operation
    head: Operation
    findings: list[Finding]
    prover: Prover
    place: str  # such as `PUT /ai/llm/{id}, body`
    status: str = ""  # such as `404`, `4XX` or `default`; empty for requests
    location: str = BODY  # where the part is sent: body, query, path, header or cookie
    label: str = "body"  # the part's name in the evidence

    def at(self, part: str, **changes: Any) -> Self:
        """Return a copy of this pair that stands for one of its parts, such as `body`."""
        return replace(self, place=f"{self.place}, {part}", **changes)

    @property
    def side(self) -> str:
        """Return `response` if a response contains the part, and `request` otherwise."""
        return "response" if self.status else "request"

    def add(
        self,
        severity: Severity,
        what: str,
        old: Any = None,
        new: Any = None,
        evidence: str = "",
        **details: Any,
    ) -> None:
        """Add a finding. `details` contains values for other fields of Finding.

        `evidence` describes an example of a breaking change: a response if the pair has a status,
        and a request otherwise.
        """
        title = "Valid before, but rejected now:"
        message = self.base.name
        if self.status:
            title = "Not documented before, but possible now:"
            message += f" → {self.status}"
        if severity == Severity.BREAKING:
            details["shown"] = tuple(filter(None, (title, message, evidence)))
        self.findings.append(Finding(severity, self.place, what, sides=(old, new), **details))

    def add_undecided(self, what: str, old: Any, new: Any) -> None:
        """Add an undecided finding if `old` and `new` differ. Empty values count as missing."""
        if canonical_json(old or None) != canonical_json(new or None):
            self.add(Severity.UNDECIDED, what, old or None, new or None)

    def add_other_keys(self, compared: set[str], old: Part, new: Part) -> None:
        """Add an undecided finding for each changed key that is not in `compared`."""
        if new.get("deprecated") and not old.get("deprecated"):
            self.add(Severity.ADDITION, "is now deprecated", old, new)
        for key in sorted((old | new).keys() - compared - WORDS):
            what = f"{key} changed, but this key is not compared"
            self.add_undecided(what, old.get(key), new.get(key))


def decoded(url: str) -> str:
    """Decode percent-encoded characters if that does not change the meaning of the URL."""
    return UNRESERVED.sub(lambda found: unquote(found[0]), url)


def operations(contract: InlinedContract) -> Iterator[Operation]:
    """Yield a contract's operations."""
    for path, item in mapping_at(contract.api, "paths").items():
        for method in METHODS:
            if method in item:
                yield Operation(contract, path, method, item, item[method])


def status_pairs(old: Part, new: Part) -> list[tuple[Any, Any, bool]]:
    """For each status, return its old and new entries, and whether the status is 2xx.

    An entry is a status, a range such as `4XX`, or `default`; a missing entry is None. Duplicates
    are omitted.
    """
    pairs: dict[tuple[Any, Any, bool], None] = {}
    for status in map(str, range(100, 600)):
        entries = (_best(old, status), _best(new, status))
        if any(entries):
            pairs[*entries, status.startswith("2")] = None
    return list(pairs)


def _best(responses: Part, status: str) -> str | None:
    for entry in (status, f"{status[0]}XX", "default"):
        if entry in responses:
            return entry
    return None
