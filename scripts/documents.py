"""Load contracts from files or from git, and validate them."""

import json
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scripts.compatibility.values import explain, is_list, is_mapping, mapping_at

ROOT = Path(__file__).resolve().parent.parent
NAME = "openapi.yaml"
DIALECTS = (
    "https://spec.openapis.org/oas/3.1/dialect/base",
    "https://json-schema.org/draft/2020-12/schema",
)
RELEASE = re.compile(r"v\d+\.\d+\.\d+")
VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")


class ContractError(Exception):
    """A file is missing or invalid. The message names the file, the problem and the fix."""


@dataclass
class Contract:
    """A parsed contract, its text, and the file or git reference that it was read from."""

    document: dict[str, Any]
    source: str
    text: str

    @property
    def version(self) -> str:
        """Return `info.version`."""
        return str(mapping_at(self.document, "info").get("version"))

    def error(self, what: str) -> ContractError:
        """Return an error whose message starts with this contract's source."""
        return ContractError(f"{self.source}: {what}")

    def resolve(self, reference: object) -> Any:
        """Return the target of a reference; raise ContractError if it does not exist."""
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


def must_be_valid(contract: Contract) -> None:
    """Raise ContractError if the contract is invalid. The message includes the location."""
    errors = list(openapi_validator().iter_errors(contract.document))
    if errors:  # report the last error, because it names any keys that are not allowed
        error = errors[-1]
        place = "/".join(map(str, error.absolute_path)) or "the document"
        what = error.message.partition("\n")[0][:200]
        raise contract.error(f"{place} is not valid OpenAPI 3.1 ({what}); correct this part")


def must_be_unambiguous(contract: Contract) -> None:
    """Raise ContractError if a YAML 1.1 parser would read a value differently.

    The mock and the contract tests use such a parser, which reads `NO` as false, and `1e3` as a
    string.
    """
    import yaml  # noqa: PLC0415 # scripts/generate --help works without it

    # CSafeLoader is 8 times faster than SafeLoader, but PyYAML can be built without it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        other = json.loads(_dumped(yaml.load(contract.text, loader)))  # noqa: S506 # both are safe
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        problem = _problem(error)
        raise contract.error(f"is not valid YAML 1.1: {problem}; correct the file") from None
    difference = next(explain(contract.document, other), "")
    if difference:
        raise contract.error(
            f"YAML 1.1 parsers read a value differently ({difference}); quote the value or, if it "
            "is a number, write it as a plain decimal"
        )


def openapi_validator() -> Any:
    """Return a validator for OpenAPI 3.1 documents."""
    # Import lazily, because the import takes half a second. The module has no type hints.
    return import_module("openapi_spec_validator.schemas").openapi_v31_schema_validator


@lru_cache(maxsize=8)  # scripts/compat parses each contract more than once
def _as_json(text: str) -> bytes:
    """Return the YAML text as JSON; raise ValueError if a string contains a lone surrogate."""
    from ruamel.yaml import YAML  # noqa: PLC0415 # slow to import

    reader: Any = YAML(typ="safe")
    return _dumped(reader.load(text))


def _dumped(document: Any) -> bytes:
    # `default` turns dates into strings.
    return json.dumps(document, allow_nan=False, ensure_ascii=False, default=str).encode()


def _problem(error: Exception) -> str:
    """Return the line number and message of a parser error."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    what = " ".join(str(getattr(error, "problem", error)).split())
    return f"{where}{what[:200]}"


def parse_version(contract: Contract) -> tuple[int, ...]:
    """Return the version as three numbers; raise ContractError unless it is MAJOR.MINOR.PATCH."""
    found = VERSION.fullmatch(contract.version)
    if not found:
        raise contract.error(
            f"info.version {contract.version!r} is not supported; use MAJOR.MINOR.PATCH in quotes, "
            "such as '1.2.3'"
        )
    return tuple(map(int, found.groups()))


def parse(text: str, source: str) -> Contract:
    """Parse a contract; raise ContractError if it is not an OpenAPI 3.1 document."""
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 # slow to import

    try:
        document: Any = json.loads(_as_json(text))
    except (YAMLError, TypeError, ValueError, RecursionError) as error:
        problem = _problem(error)
        raise ContractError(f"{source} is not valid YAML: {problem}; correct the file") from None
    version = document.get("openapi") if is_mapping(document) else None
    if not str(version).startswith("3.1"):
        raise ContractError(
            f"{source}: expected OpenAPI 3.1, got {version}; convert it to 3.1 first"
        )
    dialect = document.get("jsonSchemaDialect", DIALECTS[0])
    if dialect not in DIALECTS:
        raise ContractError(
            f"{source}: jsonSchemaDialect {dialect} is not supported; use JSON Schema 2020-12"
        )
    return Contract(document, source, text)


def from_file(path: Path) -> Contract:
    """Load a contract; raise ContractError if the file is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path} cannot be read ({error}); check the file") from None
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
    """Load a contract from a file or a git reference; raise ContractError if that fails."""
    if Path(given).exists() and not Path(given).is_dir():  # includes pipes, such as /dev/stdin
        return from_file(Path(given))
    named = given if ":" in given else f"{given}:./{NAME}"
    can_be_reference = given and not given.startswith("-")
    text = git("show", named) if can_be_reference else ""
    if not text:
        raise ContractError(
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
        except ContractError:
            continue  # an invalid contract in an old commit cannot be corrected
        if contract.version != head.version:
            return contract
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        return "this clone is shallow; fetch its history with: git fetch --unshallow --tags"
    return "it is the first version"
