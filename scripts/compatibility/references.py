"""Inline the references in a contract, so that its parts can be compared."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from typing import Any, Self

import jsonschema_rs

from scripts.compatibility.schemas import (
    SCHEMA_KEYWORDS,
    SCHEMA_LIST_KEYWORDS,
    SCHEMA_MAP_KEYWORDS,
)
from scripts.compatibility.values import canonical_json, is_list, is_mapping
from scripts.documents import Contract, openapi_validator

WORDS = {
    *("description", "summary", "title", "example", "examples", "$comment", "externalDocs"),
    *("nullable", "$defs", "definitions"),
}
EXTENSIONS = {"x-max-bytes", "x-left-open"}  # other extensions count as documentation
# Keywords that can depend on other keywords in the same schema.
APPLICATORS = {
    *(SCHEMA_KEYWORDS | SCHEMA_LIST_KEYWORDS | SCHEMA_MAP_KEYWORDS),
    *("minContains", "maxContains"),
}
# In a schema, only the values of these keywords can contain references.
NESTED = {
    *(SCHEMA_KEYWORDS | SCHEMA_LIST_KEYWORDS | SCHEMA_MAP_KEYWORDS),
    *("contentSchema", "discriminator", "xml", "$ref", "x-left-open"),
}
SETS = {"enum", "required"}  # the order of items in these lists does not matter
NAMED = {  # objects whose keys are names, not keywords
    *("content", "encoding", "headers", "links", "callbacks", "responses", "variables"),
    *("webhooks", *SCHEMA_MAP_KEYWORDS),
}
# For each keyword, the kind of object to which a reference in its value must lead. All other
# references lead to path items.
KINDS = {
    "callbacks": "callbacks",
    "headers": "header",
    "links": "link",
    "parameters": "parameter",
    "requestBody": "request-body",
    "responses": "response",
    "securitySchemes": "security-scheme",
}
# Schemas that refer to each other can have billions of nested references.
MAX_REFERENCES = 10_000


@dataclass
class InlinedContract(Contract):
    """A contract that returns its parts with references inlined."""

    followed: int = 0  # number of references to components so far

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return an inlined copy of the contract."""
        return cls(contract.document, contract.source, contract.text)

    @cached_property
    def api(self) -> dict[str, Any]:
        """Return the document with references inlined, and components and documentation removed."""
        parts = dict(self.document)
        parts.pop("components", None)
        found: dict[str, Any] = self.inlined(parts)
        return found

    @cached_property
    def _digest(self) -> str:
        text = canonical_json(self.document.get("components"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def inlined(self, part: Any, inside: tuple[str, ...] = ()) -> Any:
        """Return a part of the contract with references inlined and documentation removed.

        `inside` contains the keys and references that lead to the part. A recursive reference
        becomes `N up`, where N is the number of levels to its target.
        """
        if is_list(part):
            return [self.inlined(item, inside) for item in part]
        if not is_mapping(part):
            return part
        result: dict[str, Any] = {}
        for name, inner in part.items():
            if name not in EXTENSIONS and (name in WORDS or name.startswith("x-")):
                continue
            steps = (*inside, name)
            if name == "security" or ("schema" in inside and name not in NESTED):
                is_set = name in SETS and is_list(inner)
                result[name] = sorted(inner, key=canonical_json) if is_set else inner
            elif name in NAMED and is_mapping(inner):
                result[name] = {key: self.inlined(value, steps) for key, value in inner.items()}
            else:
                result[name] = self.inlined(inner, steps)
        return self._resolved(result, part, inside)

    def _resolved(
        self, result: dict[str, Any], part: dict[str, Any], inside: tuple[str, ...]
    ) -> Any:
        """Inline the references at the top level of `result`.

        `result` is a copy of `part` in which all nested references are already inlined.
        """
        if "discriminator" in result:  # a discriminator selects schemas by name, so keep the names
            alternatives = chain(*filter(is_list, (part.get("oneOf"), part.get("anyOf"))))
            names = [alternative.get("$ref") for alternative in filter(is_mapping, alternatives)]
            result["discriminator"] = [result["discriminator"], names]
        if "$dynamicRef" in result:  # a dynamic reference might refer to any schema
            result["$dynamicRef"] = f"{result['$dynamicRef']} in {self._digest}"
        if "$ref" in result:
            reference = result.pop("$ref")
            is_component = "schema" in inside and str(reference).startswith("#/components/")
            self.followed += is_component
            if reference in inside:
                levels = _keys(inside[inside.index(reference) :])
                target: Any = {"$ref": f"{len(levels)} up"}
            elif is_component and self.followed > MAX_REFERENCES:
                target = {"$ref": f"{reference} in {self._digest}"}  # changes become undecided
            else:
                target = self.inlined(self.resolve(reference), (*inside, reference))
            if "schema" not in inside:  # keys next to the reference override keys in its target
                self._check_kind(reference, target, inside)
                return {**target, **result}
            branches = result.setdefault("allOf", [])
            if is_list(branches):
                result["allOf"] = [*branches, target]
        return _simplified(result)

    def _check_kind(self, reference: str, target: Any, inside: tuple[str, ...]) -> None:
        """Raise ContractError if the reference leads to the wrong kind of object."""
        steps = _keys(inside)
        kind = KINDS.get(steps[-1], "path-item")
        is_loop = target == {"$ref": "0 up"}
        if is_loop or not _is_kind(kind)(self.resolve(reference)):
            what = kind.replace("-", " ").removesuffix("s")
            place = "/".join(steps)
            raise self.error(f"{place}: $ref {reference!r} does not lead to a {what}; fix it")


@cache
def _is_kind(kind: str) -> Callable[[Any], bool]:
    """Return a function that checks whether a value is an OpenAPI object of this kind."""
    definitions = openapi_validator().schema["$defs"]
    schema = {"$ref": f"#/$defs/{kind}-or-reference", "$defs": definitions}
    return jsonschema_rs.Draft202012Validator(schema).is_valid


def _keys(steps: tuple[str, ...]) -> list[str]:
    """Return the keys that lead to a part of the contract, without the references."""
    return [step for step in steps if not step.startswith("#")]


def _simplified(schema: dict[str, Any]) -> Any:
    """Return the schema with `allOf` replaced by its only branch, or unchanged if not possible."""
    branches = schema.get("allOf")
    if not is_list(branches) or len(branches) != 1 or not is_mapping(branches[0]):
        return schema
    (branch,) = branches
    others = {keyword: value for keyword, value in schema.items() if keyword != "allOf"}
    if others.keys() & (branch.keys() | APPLICATORS):
        return schema
    return {**branch, **others}
