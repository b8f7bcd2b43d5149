"""A contract's operations, with the settings that they inherit from the path and the contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scripts.compatibility import documents
from scripts.compatibility.findings import Change
from scripts.compatibility.values import canonical_json, mapping_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.containment import Prover
    from scripts.compatibility.documents import Contract
    from scripts.compatibility.findings import Findings

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
VARIABLE = re.compile(r"\{([^}]*)\}")
# OpenAPI ignores header parameters with these names.
IGNORED_HEADERS = {"accept", "content-type", "authorization"}
# Changes to these keys do not affect requests or responses.
WORDS = documents.WORDS | {"tags", "operationId", "externalDocs", "deprecated"}
Part = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """An operation: one HTTP method on one path."""

    contract: Contract
    path: str
    method: str
    item: Part
    raw: Part

    @property
    def name(self) -> str:
        """Return a name such as `PUT /ai/llm/{id}`."""
        return f"{self.method.upper()} {self.path}"

    @property
    def key(self) -> tuple[str, str]:
        """Return the path without its parameter names, and the method."""
        return VARIABLE.sub("{}", self.path), self.method

    @cached_property
    def parameters(self) -> dict[tuple[str, str], Part]:
        """Return the parameters of the operation and its path, by location and name.

        Path parameters are identified by their position, and header names are in lower case.
        """
        variables = VARIABLE.findall(self.path)
        result: dict[tuple[str, str], Part] = {}
        for holder in (self.item, self.raw):
            for parameter in map(self.contract.follow, holder.get("parameters", [])):
                where = str(parameter.get("in"))
                name = str(parameter.get("name"))
                if where == "path" and name in variables:
                    name = str(variables.index(name))
                if where == "header":
                    name = name.lower()
                if where != "header" or name not in IGNORED_HEADERS:
                    result[where, name] = parameter
        return result

    @property
    def body(self) -> Part | None:
        """Return the request body, or None."""
        return self.contract.follow(self.raw.get("requestBody")) or None

    @property
    def responses(self) -> dict[str, Part]:
        """Return the responses by status, such as `404`, `4XX` or `default`."""
        result: dict[str, Part] = {}
        for status, response in self.contract.follow(self.raw.get("responses")).items():
            if not str(status).startswith("x-"):
                name = status if status == "default" else str(status).upper()
                result[name] = self.contract.follow(response)
        return result

    @property
    def servers(self) -> list[Part]:
        """Return the operation's servers, falling back to its path's and then the contract's."""
        for holder in (self.raw, self.item, self.contract.document):
            if holder.get("servers"):
                found: list[Part] = holder["servers"]
                return found
        return [{"url": "/"}]

    @property
    def security(self) -> list[Part]:
        """Return the alternative security requirements. Each one maps schemes to scopes."""
        stated = self.raw.get("security", self.contract.document.get("security"))
        return stated or [{}]

    def scheme(self, name: str) -> Part:
        """Return a security scheme; raise CannotCompareError if it does not exist."""
        schemes = mapping_at(self.contract.document.get("components"), "securitySchemes")
        if name not in schemes:
            raise self.contract.error(
                f"security scheme {name!r} of {self.name} is missing from components; add it"
            )
        return self.contract.follow(schemes[name])


@dataclass
class Pair:
    """The old and new versions of an operation, and the findings about it."""

    base: Operation
    head: Operation
    findings: Findings
    prover: Prover

    def place(self, part: str) -> str:
        """Return the name of a part of the operation, prefixed with the operation's name."""
        return f"{self.base.name}, {part}"

    def add_undecided(self, place: str, what: str, old: Any, new: Any, key: str = "") -> None:
        """Add an undecided finding if the part changed. An empty part counts as missing."""
        before = self.base.contract.inlined(old, key) or None
        after = self.head.contract.inlined(new, key) or None
        if canonical_json(before) != canonical_json(after):
            self.findings.add(Change.UNDECIDED, place, what, before, after)

    def add_other_keys(self, place: str, compared: set[str], old: Part, new: Part) -> None:
        """Add a finding for each changed key that no specific rule compares."""
        if new.get("deprecated") and not old.get("deprecated"):
            self.findings.add(Change.ADDITION, place, "is deprecated now", old, new)
        for key in sorted((old.keys() | new.keys()) - compared - WORDS):
            if not key.startswith("x-"):
                what = f"{key} changed, but this key is not compared"
                self.add_undecided(place, what, old.get(key), new.get(key), key)

    def shown(self, *lines: str) -> tuple[str, ...]:
        """Return lines that describe a request that is no longer valid."""
        old, new = self.versions
        return (f"Valid in {old}, refused in {new}:", *lines)

    def shown_response(self, status: str, *lines: str) -> tuple[str, ...]:
        """Return lines that describe a response that was not documented before."""
        old, new = self.versions
        first = f"Possible in {new}, not documented in {old}:"
        return (first, f"{self.base.name} → {status}", *lines)

    @property
    def versions(self) -> tuple[str, str]:
        """Return both contract versions. If they are equal, the second one is marked as new."""
        old = self.base.contract.version
        new = self.head.contract.version
        return old, new if new != old else f"the new {new}"


def operations(contract: Contract) -> Iterator[Operation]:
    """Yield a contract's operations."""
    for path, item in contract.follow(contract.document.get("paths")).items():
        if path.startswith("x-"):
            continue
        known = contract.follow(item)
        for method in METHODS:
            if method in known:
                yield Operation(contract, path, method, known, contract.follow(known[method]))


def status_pairs(old: Part, new: Part) -> dict[tuple[Any, Any, bool], str]:
    """Map each (old entry, new entry, is success) to a status that both entries cover.

    An entry is a status, a range or `default`. In each range, one status represents all statuses
    that neither contract lists.
    """
    statuses = {status for status in (*old, *new) if status.isdigit()}
    for first in "12345":
        codes = (f"{first}{i:02}" for i in range(99, -1, -1))
        statuses.add(next((code for code in codes if code not in statuses), f"{first}99"))
    pairs: dict[tuple[Any, Any, bool], str] = {}
    for status in sorted(statuses):
        entries = (_best(old, status), _best(new, status))
        if any(entries):
            pairs.setdefault((*entries, status.startswith("2")), status)
    return pairs


def _best(responses: Part, status: str) -> str | None:
    names = (status, f"{status[0]}XX", "default")
    return next((name for name in names if name in responses), None)
