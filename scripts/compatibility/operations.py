"""The operations of a contract, each with all that applies to it and all references followed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scripts.compatibility import media
from scripts.compatibility.references import References
from scripts.compatibility.shapes import is_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.documents import Contract

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
VARIABLE = re.compile(r"\{([^}]*)\}")
# Headers that OpenAPI says are not described as parameters.
ELSEWHERE = {"accept", "content-type", "authorization"}


@dataclass(frozen=True)
class Operation:
    """One method on one path."""

    references: References
    path: str
    method: str
    item: dict[str, Any]
    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """As in `PUT /ai/llm/{id}`."""
        return f"{self.method.upper()} {self.path}"

    @property
    def document(self) -> dict[str, Any]:
        """The whole contract."""
        return self.references.contract.document

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others on the wire: names of path parameters do not count."""
        return shape(self.path), self.method

    def many(self, value: Any, what: str) -> list[Any]:
        """The list that stands there; raises CannotCompareError where it is none."""
        if is_list(value):
            return value
        if value is not None:
            raise self.references.wrong(f"{what} of {self.name} is no list; mend it")
        return []

    def mapping(self, value: Any) -> dict[str, Any]:
        """The mapping that stands there, references followed."""
        return {} if value is None else self.references.follow(value)

    @cached_property
    def parameters(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By place and name (of path parameters: by position); the path's own ones included."""
        variables = VARIABLE.findall(self.path)
        made: dict[tuple[str, str], dict[str, Any]] = {}
        for each in (*self.many(self.item.get("parameters"), "parameters"), *self.own):
            parameter = self.mapping(each)
            where, name = str(parameter.get("in")), str(parameter.get("name"))
            if where == "path":
                name = str(variables.index(name)) if name in variables else name
            if where == "header":
                name = name.lower()
            if where != "header" or name not in ELSEWHERE:
                made[where, name] = parameter
        return made

    @property
    def own(self) -> list[Any]:
        """The parameters that stand at the operation itself."""
        return self.many(self.raw.get("parameters"), "parameters")

    @property
    def body(self) -> dict[str, Any] | None:
        """The request body, if one is told of."""
        return self.mapping(self.raw["requestBody"]) if self.raw.get("requestBody") else None

    @property
    def responses(self) -> dict[str, dict[str, Any]]:
        """The answers by status, range or `default`."""
        told = self.mapping(self.raw.get("responses"))
        return {
            str(status).upper() if status != "default" else "default": self.mapping(each)
            for status, each in told.items()
            if not str(status).startswith("x-")
        }

    @property
    def servers(self) -> list[dict[str, Any]]:
        """Where it is served."""
        for holder in (self.raw, self.item, self.document):
            if holder.get("servers"):
                return [self.mapping(each) for each in self.many(holder["servers"], "servers")]
        return [{"url": "/"}]

    @property
    def security(self) -> list[dict[str, Any]]:
        """The alternatives, each a mapping of schemes to scopes; none means nothing is needed."""
        told = self.raw.get("security", self.document.get("security"))
        return [self.mapping(each) for each in self.many(told, "security")] or [{}]

    @property
    def schemes(self) -> dict[str, Any]:
        """The security schemes of the contract."""
        components = self.mapping(self.document.get("components"))
        return self.mapping(components.get("securitySchemes"))


def parameter_schema(parameter: dict[str, Any]) -> Any:
    """The parameter's schema; an empty value that is allowed is one of its values."""
    content = media.contents(parameter.get("content"))
    schema = next(iter(content.values()), parameter).get("schema", True)
    return {"anyOf": [schema, {"const": ""}]} if parameter.get("allowEmptyValue") else schema


def shape(path: str) -> str:
    """The path with its parameters' names left out."""
    return VARIABLE.sub("{}", path)


def operations(contract: Contract) -> dict[tuple[str, str], Operation]:
    """All of them, by what tells them apart on the wire."""
    references = References(contract)
    found = _each(references, references.follow(contract.document.get("paths") or {}))
    return {each.key: each for each in found}


def _each(references: References, paths: dict[str, Any]) -> Iterator[Operation]:
    for path, item in paths.items():
        if path.startswith("x-"):
            continue
        known = references.follow(item or {})
        for method in METHODS:
            if method in known:
                yield Operation(references, path, method, known, references.follow(known[method]))
