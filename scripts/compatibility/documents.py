"""Where two contracts come from: files, git references, or what is newest in the history."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.compatibility.shapes import is_mapping
from scripts.generate import GenerationError, read

ROOT = Path(__file__).resolve().parents[2]
NAME = "openapi.yaml"
DIALECTS = (
    "https://spec.openapis.org/oas/3.1/dialect/base",
    "https://json-schema.org/draft/2020-12/schema",
)
RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


class CannotCompareError(Exception):
    """A contract cannot be had or read; the text names it, what is wrong, and the cure."""


@dataclass(frozen=True)
class Contract:
    """One contract, as data, and where it is from."""

    document: dict[str, Any]
    source: str
    text: str
    released: bool = True  # False: a commit that nobody named a release

    @property
    def version(self) -> str:
        """`info.version`, as it stands there."""
        return str(self.document["info"]["version"])


def git(*arguments: str) -> str | None:
    """What git says in this repository; None where it refuses, or where there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 # the git that the user uses
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
    except OSError:
        return None
    return None if done.returncode else done.stdout.decode("utf-8", "replace")


def find(given: str) -> Contract:
    """The contract at a path, else at a git reference; raises CannotCompareError."""
    path = Path(given)
    if path.is_file():
        return from_file(path)
    named = given if ":" in given else f"{given}:{NAME}"
    text = git("show", named)
    if text is not None:
        return parse(text, named)
    if given.startswith("-") or git("rev-parse", "--verify", "--quiet", f"{given}^{{}}") is None:
        raise CannotCompareError(
            f"{given} is neither a file nor a reference that git knows here; give a path, or get "
            "the reference with: git fetch --tags"
        )
    raise CannotCompareError(f"{given} has no {NAME}; give a later reference, or a file")


def from_file(path: Path) -> Contract:
    """The contract in that file; raises CannotCompareError."""
    try:
        name = NAME if path == ROOT / NAME else str(path)
        return parse(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise CannotCompareError(f"{path} cannot be read ({error}); restore it") from None


def parse(text: str, source: str, *, released: bool = True) -> Contract:
    """The contract that text is; raises CannotCompareError where it is no OpenAPI 3.1."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "contract"
        copied.write_text(text, encoding="utf-8")
        try:
            document = read(copied)
        except GenerationError as error:
            raise CannotCompareError(str(error).replace(copied.name, source, 1)) from None
    try:
        plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
    except (ValueError, RecursionError):
        raise CannotCompareError(f"{source} holds itself by a YAML alias; use $ref") from None
    _must_be_comparable(plain, source)
    return Contract(plain, source, text, released)


def _must_be_comparable(document: dict[str, Any], source: str) -> None:
    stated = str(document["openapi"])
    if not stated.startswith("3.1"):
        raise CannotCompareError(f"{source} is OpenAPI {stated}; convert it to 3.1 first")
    info = document.get("info")
    if not is_mapping(info) or not isinstance(info.get("version"), str | int | float):
        raise CannotCompareError(f"{source} has no info.version; say which version it is")
    dialect = document.get("jsonSchemaDialect", DIALECTS[0])
    if dialect not in DIALECTS:
        raise CannotCompareError(
            f"{source} has schemas of the dialect {dialect}; only JSON Schema 2020-12 is understood"
        )
    for key in ("paths", "components", "webhooks"):
        if not is_mapping(document.get(key, {})):
            raise CannotCompareError(f"{source}: {key} is no mapping; mend it")


def default_base() -> Contract | str:
    """The newest release, else the version before this one; a sentence where there is neither."""
    return newest_release() or previous_version()


def newest_release() -> Contract | None:
    """The contract of the newest release tag in this history, if there is one."""
    tags = (git("tag", "--merged", "HEAD") or "").split()
    releases = [
        (tuple(map(int, found.groups())), found[0])
        for found in map(RELEASE.fullmatch, tags)
        if found
    ]
    for _, tag in sorted(releases, reverse=True):
        text = git("show", f"{tag}:{NAME}")
        if text is not None:
            return parse(text, tag)
    return None


def previous_version() -> Contract | str:
    """The contract before the last change of it, which may be in the working tree only."""
    if git("rev-parse", "--git-dir") is None:
        return "this is no git checkout"
    changed = git("diff", "--quiet", "HEAD", "--", NAME) is None
    last = "HEAD" if changed else (git("log", "-1", "--format=%h", "--", NAME) or "").strip() + "^"
    text = git("show", f"{last}:{NAME}")
    if text is not None:
        commit = (git("rev-parse", "--short", last) or last).strip()
        return parse(text, f"commit {commit}", released=False)
    if (git("rev-parse", "--is-shallow-repository") or "").strip() == "true":
        return "this clone is shallow; to compare: git fetch --unshallow --tags"
    return "it is the first version"
