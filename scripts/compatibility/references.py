"""Inline the references in a contract, so that its parts can be compared."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.compatibility.schemas import APPLICATORS, SCHEMA_MAP_KEYWORDS
from scripts.compatibility.values import canonical_json, is_list, is_mapping
from scripts.documents import Contract

WORDS = {
    *("description", "summary", "title", "example", "examples", "$comment", "externalDocs"),
    *("nullable", "$defs", "definitions"),
}
EXTENSIONS = {"x-max-bytes", "x-left-open"}  # other extensions count as documentation
# Keywords that can depend on other keywords in the same schema.
DEPENDENT = {*APPLICATORS, "minContains", "maxContains"}
# In a schema, only the values of these keywords can contain references.
NESTED = {*APPLICATORS, "contentSchema", "discriminator", "xml", "$ref", "x-left-open"}
NAMED = {  # objects whose keys are names, not keywords
    *("content", "encoding", "headers", "links", "callbacks", "variables", "webhooks"),
    *SCHEMA_MAP_KEYWORDS,
}
# Without this limit, following references between schemas could take billions of steps.
MAX_REFERENCES = 10_000


@dataclass
class InlinedContract(Contract):
    """A contract that returns its parts with references inlined."""

    followed: int = 0  # number of references to components so far

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
                result[name] = inner
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
            alternatives = (part.get("oneOf"), part.get("anyOf"))
            result["discriminator"] = [result["discriminator"], *alternatives]
        if "$dynamicRef" in result:  # a dynamic reference might refer to any schema
            result["$dynamicRef"] = f"{result['$dynamicRef']} in {self._digest}"
        if "$ref" not in result:
            return _simplified(result)
        reference = result.pop("$ref")
        target = self._target(reference, inside)
        if "schema" in inside:
            branches = result.setdefault("allOf", [])
            if is_list(branches):
                result["allOf"] = [*branches, target]
            return _simplified(result)
        is_loop = target == {"$ref": "0 up"}
        if is_loop or str(reference).startswith("#/components/schemas/"):
            place = "/".join(step for step in inside if not step.startswith("#"))
            problem = f"$ref {reference!r} resolves to itself or to a schema"
            raise self.error(f"{place}: {problem}; correct the reference")
        return {**target, **result}  # keys next to the reference override keys in its target

    def _target(self, reference: Any, inside: tuple[str, ...]) -> Any:
        """Return the target of the reference, with the references in the target inlined."""
        is_component = "schema" in inside and str(reference).startswith("#/components/")
        if is_component:
            self.followed += 1
        if reference in inside:
            steps = inside[inside.index(reference) :]
            levels = sum(not step.startswith("#") for step in steps)
            return {"$ref": f"{levels} up"}
        if is_component and self.followed > MAX_REFERENCES:
            return {"$ref": f"{reference} in {self._digest}"}  # changes become undecided
        return self.inlined(self.resolve(reference), (*inside, reference))


def _simplified(schema: dict[str, Any]) -> Any:
    """Return the schema, with `allOf` replaced by its only branch if that is possible."""
    others = dict(schema)
    branches = others.pop("allOf", None)
    has_one_branch = is_list(branches) and len(branches) == 1
    if not has_one_branch or not is_mapping(branches[0]):
        return schema
    branch = branches[0]
    conflicting = branch.keys() | DEPENDENT
    if others.keys() & conflicting:
        return schema
    return {**branch, **others}
