"""Load contracts from files or from git, validate them, and resolve their references."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scripts.compatibility.text import canonical_json, is_list, is_mapping, mapping_at

ROOT = Path(__file__).resolve().parents[2]
NAME = "openapi.yaml"
DIALECTS = (
    "https://spec.openapis.org/oas/3.1/dialect/base",
    "https://json-schema.org/draft/2020-12/schema",
)
WORDS = {
    *("description", "summary", "title", "example", "examples", "$comment", "externalDocs"),
    *("nullable", "$defs", "definitions"),
}
EXTENSIONS = {"x-max-bytes", "x-left-open"}  # other extensions count as documentation
# The values of these keywords are schemas, lists of schemas, and maps of schemas, respectively.
SCHEMA_KEYWORDS = {
    *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    *("then", "unevaluatedItems", "unevaluatedProperties"),
}
SCHEMA_LIST_KEYWORDS = {"allOf", "anyOf", "oneOf", "prefixItems"}
SCHEMA_MAP_KEYWORDS = {"dependentSchemas", "patternProperties", "properties"}
APPLICATORS = SCHEMA_KEYWORDS | SCHEMA_LIST_KEYWORDS | SCHEMA_MAP_KEYWORDS
# Keywords that can depend on other keywords in the same schema.
DEPENDENT = APPLICATORS | {"minContains", "maxContains"}
# In a schema, only the values of these keywords can contain references.
NESTED = APPLICATORS | {"contentSchema", "discriminator", "xml", "$ref", "x-left-open"}
# In these objects, the keys are names, not keywords.
NAMED = SCHEMA_MAP_KEYWORDS | {
    *("content", "encoding", "headers", "links", "callbacks", "responses", "variables"),
    "webhooks",
}
# For each keyword, the keys that the target of a reference must have.
REQUIRED = {"parameters": {"in", "name"}, "requestBody": {"content"}}
RELEASE = re.compile(r"v\d+\.\d+\.\d+")
VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


class CannotCompareError(Exception):
    """A contract is missing or invalid. The message names the contract, the problem and the fix."""


@dataclass(frozen=True)
class Contract:
    """A parsed contract, its text, and the file or git reference that it was read from."""

    document: dict[str, Any]
    source: str
    text: str

    @property
    def version(self) -> str:
        """Return `info.version`."""
        return str(mapping_at(self.document, "info").get("version"))

    @cached_property
    def api(self) -> dict[str, Any]:
        """Return the document with references inlined, and components and documentation removed."""
        found: dict[str, Any] = self.inlined({**self.document, "components": None})
        return found

    def error(self, what: str) -> CannotCompareError:
        """Return an error whose message starts with this contract's source."""
        return CannotCompareError(f"{self.source}: {what}")

    def resolve(self, reference: object) -> Any:
        """Return the target of a reference; raise CannotCompareError if it does not exist."""
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise self.error(
                f"$ref {reference!r} does not start with '#/'; bundle the contract into one file, "
                "and use references such as '#/components/schemas/Name'"
            )
        found: Any = self.document
        for part in reference[2:].split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if is_list(found) else found[key]
            except (KeyError, TypeError, ValueError, IndexError):
                raise self.error(
                    f"$ref {reference!r} points to nothing; add the target or fix the reference"
                ) from None
        return found

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
            steps = (*inside, name)
            if name in WORDS or (name.startswith("x-") and name not in EXTENSIONS):
                continue
            if name == "security" or ("schema" in inside and name not in NESTED):
                result[name] = inner
            elif name in NAMED and is_mapping(inner):
                result[name] = {key: self.inlined(value, steps) for key, value in inner.items()}
            else:
                result[name] = self.inlined(inner, steps)
        if "discriminator" in result:  # it selects schemas by name, so keep the names
            alternatives = filter(is_mapping, (*part.get("oneOf", ()), *part.get("anyOf", ())))
            names = [alternative.get("$ref") for alternative in alternatives]
            result["discriminator"] = [result["discriminator"], names]
        if "$dynamicRef" in result:  # it might refer to any schema
            targets = [result["$dynamicRef"], self.document.get("components")]
            result["$dynamicRef"] = canonical_json(targets)
        if "$ref" in result:
            return self._with_target(result, inside)
        return result

    def _with_target(self, result: dict[str, Any], inside: tuple[str, ...]) -> Any:
        """Replace the reference in `result`, in which all nested references are inlined."""
        reference = result.pop("$ref")
        if reference in inside:
            cycle = inside[inside.index(reference) :]
            levels = [step for step in cycle if not step.startswith("#")]
            target: Any = {"$ref": f"{len(levels)} up"}
        else:
            target = self.inlined(self.resolve(reference), (*inside, reference))
        is_schema = "schema" in inside
        keyword = inside[-1] if inside else ""
        required = REQUIRED.get(keyword, set())
        if not is_schema and not (is_mapping(target) and required <= target.keys()):
            raise self.error(
                f"$ref {reference!r} points to the wrong kind of object; fix the reference"
            )
        # Keys next to the reference override keys in its target, except in schemas.
        if is_schema and (not is_mapping(target) or result.keys() & (target.keys() | DEPENDENT)):
            return {**result, "allOf": [*result.get("allOf", []), target]}
        return {**target, **result}


def must_be_valid(contract: Contract) -> None:
    """Raise CannotCompareError if the contract is invalid. The message includes the location."""
    # Imported here because the import takes half a second. The module has no type hints.
    validator: Any = import_module("openapi_spec_validator.schemas").openapi_v31_schema_validator
    for error in validator.iter_errors(contract.document):
        place = "/".join(map(str, error.absolute_path)) or "the document"
        what = error.message.partition("\n")[0][:200]
        raise contract.error(f"{place} is not valid OpenAPI 3.1 ({what}); fix it")


def parse_version(contract: Contract) -> tuple[int, ...]:
    """Return major, minor and patch; raise CannotCompareError if the version has another format."""
    found = VERSION.fullmatch(contract.version)
    if not found:
        raise contract.error(
            f"info.version {contract.version!r} is not supported; use MAJOR.MINOR.PATCH, in quotes"
        )
    return tuple(map(int, found.groups()))


def parse(text: str, source: str) -> Contract:
    """Parse a contract; raise CannotCompareError if it is not an OpenAPI 3.1 document."""
    from ruamel.yaml import YAML  # noqa: PLC0415 # slow to import
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    reader: Any = YAML(typ="safe")
    try:
        document: Any = json.loads(json.dumps(reader.load(text), allow_nan=False, default=str))
        json.dumps(document, ensure_ascii=False).encode()  # fails if there are lone surrogates
    except (YAMLError, TypeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())
        what = ascii(problem[:200])[1:-1]  # escaped, but not in quotes
        raise CannotCompareError(f"{source} is not valid YAML: {where}{what}; fix it") from None
    contract = Contract(document, source, text)
    version = document.get("openapi") if is_mapping(document) else None
    if not str(version).startswith("3.1"):
        raise contract.error(f"expected OpenAPI 3.1, got {version}; convert it to 3.1 first")
    dialect = document.get("jsonSchemaDialect", DIALECTS[0])
    if dialect not in DIALECTS:
        raise contract.error(
            f"jsonSchemaDialect {dialect} is not supported; use JSON Schema 2020-12"
        )
    return contract


def from_file(path: Path) -> Contract:
    """Load a contract; raise CannotCompareError if the file is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotCompareError(f"{path} cannot be read ({error}); check the file") from None
    source = NAME if path == ROOT / NAME else str(path)
    return parse(text, source)


def git(*arguments: str) -> str:
    """Run git in this repository and return its output, which is empty if git fails."""
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return ""  # git is not installed
    return "" if done.returncode else done.stdout.decode("utf-8", "replace")


def find(given: str) -> Contract:
    """Load a contract from a file or a git reference; raise CannotCompareError if that fails."""
    if Path(given).is_file():
        return from_file(Path(given))
    named = given if ":" in given else f"{given}:./{NAME}"
    text = ""
    if given and not given.startswith("-"):
        text = git("show", named)
    if not text:
        raise CannotCompareError(
            f"--base {given} is neither a file nor a git reference that contains {NAME}; specify "
            "an existing file, or fetch the reference with: git fetch --tags"
        )
    return parse(text, named)


def default_base(head: Contract) -> Contract | str:
    """Return the contract to compare with, or the reason why there is none.

    The base is the latest release's contract. If there is no release, it is the contract in the
    newest commit with a different `info.version`.
    """
    if not git("rev-parse", "--git-dir"):
        return "this is not a git checkout, or git cannot read it; to see why, run: git status"
    tags = git("tag", "--merged", "HEAD", "--sort=-version:refname").split()
    releases = list(filter(RELEASE.fullmatch, tags))
    # Only commits that change a line with the word `version` can change info.version.
    commits = git("log", "--format=%p", "-Gversion", "--", NAME).split()
    for name in (*releases, "HEAD", *commits):
        try:
            contract = parse(git("show", f"{name}:./{NAME}"), name)
            must_be_valid(contract)
            parse_version(contract)
        except CannotCompareError:
            continue  # nobody can fix a contract in an old commit
        if name in releases or contract.version != head.version:
            return contract
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        return "this clone is shallow; fetch its history with: git fetch --unshallow --tags"
    return "it is the first version"
