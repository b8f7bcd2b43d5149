"""Load contracts from files or from git, validate them, and resolve their references."""

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scripts.compatibility.values import canonical_json, explain, is_list, is_mapping, mapping_at

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
# For each keyword, the section of `components` to which a reference in its value can lead. All
# other references lead to path items.
SECTIONS = {
    "callbacks": "callbacks",
    "headers": "headers",
    "links": "links",
    "parameters": "parameters",
    "requestBody": "requestBodies",
    "responses": "responses",
    "securitySchemes": "securitySchemes",
}
# Schemas that refer to each other can have billions of nested references.
MAX_REFERENCES = 10_000
RELEASE = re.compile(r"v\d+\.\d+\.\d+")
VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


class CannotCompareError(Exception):
    """A contract is missing or invalid. The message names the contract, the problem and the fix."""


@dataclass
class Contract:
    """A parsed contract, its text, and the file or git reference that it was read from."""

    document: dict[str, Any]
    source: str
    text: str
    followed: int = field(default=0, compare=False)  # number of references to components so far

    @property
    def version(self) -> str:
        """Return `info.version`."""
        return str(mapping_at(self.document, "info").get("version"))

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
                self._check_section(reference, target, inside)
                return {**target, **result}
            branches = result.setdefault("allOf", [])
            if is_list(branches):
                result["allOf"] = [*branches, target]
        return _simplified(result)

    def _check_section(self, reference: str, target: Any, inside: tuple[str, ...]) -> None:
        """Raise CannotCompareError if the reference leads to the wrong kind of component."""
        steps = _keys(inside)
        section = f"#/components/{SECTIONS.get(steps[-1], 'pathItems')}/"
        is_loop = target == {"$ref": "0 up"}
        is_elsewhere = reference.startswith("#/components/") and not reference.startswith(section)
        if is_loop or is_elsewhere or not is_mapping(target):
            place = "/".join(steps)
            raise self.error(f"{place}: $ref {reference!r} does not lead into {section}; fix it")


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


def must_be_valid(contract: Contract) -> None:
    """Raise CannotCompareError if the contract is invalid. The message includes the location."""
    # The import takes half a second. The module has no type hints.
    validator: Any = import_module("openapi_spec_validator.schemas").openapi_v31_schema_validator
    errors = list(validator.iter_errors(contract.document))
    if errors:  # the last of several errors in an object names the keys that are not allowed
        place = "/".join(map(str, errors[-1].absolute_path)) or "the document"
        what = errors[-1].message.partition("\n")[0][:200]
        raise contract.error(f"{place} is not valid OpenAPI 3.1 ({what}); fix it")


@lru_cache(maxsize=8)  # comparing two clients reads both contracts again
def _as_json(text: str) -> bytes:
    """Return the YAML text as JSON; raise ValueError if a string contains a lone surrogate."""
    from ruamel.yaml import YAML  # noqa: PLC0415 # slow to import

    reader: Any = YAML(typ="safe")
    return _dumped(reader.load(text))


@lru_cache(maxsize=8)
def _ambiguity(text: str) -> str:
    """Return the first value that PyYAML, a YAML 1.1 parser, reads differently, or an empty text.

    The mock and the contract tests use PyYAML, in which `NO` is false and `1e3` is a string.
    """
    import yaml  # noqa: PLC0415 # see parse()

    document = json.loads(_as_json(text))
    differences = explain(document, json.loads(_dumped(yaml.safe_load(text))))
    return next(differences, "")


def _dumped(document: Any) -> bytes:
    # `default` turns dates into strings.
    return json.dumps(document, allow_nan=False, ensure_ascii=False, default=str).encode()


def parse_version(contract: Contract) -> tuple[int, ...]:
    """Return major, minor and patch; raise CannotCompareError for a version in any other format."""
    found = VERSION.fullmatch(contract.version)
    if not found:
        raise contract.error(
            f"info.version {contract.version!r} is not supported; use MAJOR.MINOR.PATCH, in quotes"
        )
    return tuple(map(int, found.groups()))


def parse(text: str, source: str) -> Contract:
    """Parse a contract; raise CannotCompareError if it is not an OpenAPI 3.1 document."""
    import yaml  # noqa: PLC0415 # scripts/generate --help works without it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 # slow to import

    try:
        document: Any = json.loads(_as_json(text))
        ambiguity = _ambiguity(text)
    except (YAMLError, yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = " ".join(str(getattr(error, "problem", error)).split())[:200]
        raise CannotCompareError(f"{source} is not valid YAML: {where}{what}; fix it") from None
    if ambiguity:
        raise CannotCompareError(
            f"{source}: YAML 1.1 parsers read a value differently ({ambiguity}); put it in quotes "
            "or, if it is a number, write it as a plain decimal"
        )
    version = document.get("openapi") if is_mapping(document) else None
    if not str(version).startswith("3.1"):
        raise CannotCompareError(
            f"{source}: expected OpenAPI 3.1, got {version}; convert it to 3.1 first"
        )
    dialect = document.get("jsonSchemaDialect", DIALECTS[0])
    if dialect not in DIALECTS:
        raise CannotCompareError(
            f"{source}: jsonSchemaDialect {dialect} is not supported; use JSON Schema 2020-12"
        )
    return Contract(document, source, text)


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
    text = "" if not given or given.startswith("-") else git("show", named)
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
    for tag in git("tag", "--merged", "HEAD", "--sort=-version:refname").split():
        text = git("show", f"{tag}:./{NAME}")
        if RELEASE.fullmatch(tag) and text:
            return parse(text, tag)
    # Only commits that change a line with the word `version` can change info.version.
    changes = git("log", "--format=%p", "-Gversion", "--", NAME).split()
    for commit in ("HEAD", *changes):
        text = git("show", f"{commit}:./{NAME}")
        try:
            contract = parse(text, f"commit {commit}")
            must_be_valid(contract)
            parse_version(contract)
        except CannotCompareError:
            continue  # nobody can fix a contract in an old commit
        if contract.version != head.version:
            return contract
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        return "this clone is shallow; fetch its history with: git fetch --unshallow --tags"
    return "it is the first version"
