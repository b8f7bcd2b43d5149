"""The workspaces, members, tokens and configurations that the mock starts with."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import jsonschema_rs
import yaml

from .contract import Contract, rule

HERE = Path(__file__)
DEFAULT = HERE.with_name("fixtures.yaml")
SCHEMA = HERE.with_name("fixtures.schema.json")


@dataclass(frozen=True)
class Token:
    """A bearer token, the user it stands for, and when it ends (None: never)."""

    value: str = field(repr=False)
    user: str
    expires: datetime | None = None


@dataclass(frozen=True)
class Member:
    """A user's access level in a workspace: READ, WRITE or ADMIN."""

    workspace: str
    user: str
    access: str


@dataclass(frozen=True)
class Configuration:
    """A configuration of a workspace; `fields` are the contract's, credentials among them."""

    role: str
    workspace: str
    id: str
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Fixtures:
    """All that the mock knows at start."""

    tokens: tuple[Token, ...] = ()
    members: tuple[Member, ...] = ()
    configurations: tuple[Configuration, ...] = ()

    @classmethod
    def read(cls, contract: Contract, path: Path | None = None) -> Self:
        """The fixtures of a YAML or JSON file, by default those that come with the mock.

        Raises `ValueError` that names file, line, what is wrong there and the cure.
        """
        judge = path is not None  # ours fit our contract, and another one is served with them too
        path = path or DEFAULT
        try:
            text = path.read_text("utf-8")
            document, nodes = yaml.load(text, _Strings), yaml.compose(text)  # noqa: S506 - is safe
        except OSError as error:
            raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise ValueError(f"{path}:{mark and mark.line + 1}: {error.problem}") from None
        except (ValueError, RecursionError, yaml.YAMLError):
            raise ValueError(f"{path}: is not YAML or JSON in UTF-8") from None
        for where, why in _mistakes(document, contract) if judge else ():
            place = ".".join(map(str, where)) or "the file"
            raise ValueError(f"{path}:{_line(nodes, where)}: {place}: {why}")
        return cls._of(document)

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        workspaces: dict[str, Any] = document["workspaces"]
        return cls(
            tuple(
                Token(user["token"], name, _time(user.get("expires")))
                for name, user in document["users"].items()
            ),
            tuple(
                Member(workspace, user, access)
                for workspace, its in workspaces.items()
                for user, access in its.get("members", {}).items()
            ),
            tuple(
                Configuration(role, workspace, given.pop("id"), given)
                for workspace, its in workspaces.items()
                for role, given in its.get("configurations", {}).items()
            ),
        )


class _Strings(yaml.SafeLoader):
    """Reads times as the strings that they are in JSON."""


_Strings.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

Place = Sequence[str | int]


def _mistakes(document: Any, contract: Contract) -> Iterable[tuple[Place, str]]:
    """Where the document is wrong and why, the schema's findings first; no value of a secret."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    for error in jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(document):
        yield error.instance_path, rule(error, _rule_of(schema, error.schema_path))
    if isinstance(document, dict):
        yield from _contradictions(document, contract)


def _contradictions(document: dict[str, Any], contract: Contract) -> Iterable[tuple[Place, str]]:
    tokens, ids, roles = set[str](), set[str](), set[str]()
    for name, user in document["users"].items():
        if user["token"] in tokens:
            yield ("users", name, "token"), "is another user's too; give each its own"
        tokens.add(user["token"])
    for workspace, its in document["workspaces"].items():
        for user in its.get("members", {}).keys() - document["users"].keys():
            yield ("workspaces", workspace, "members", user), "is no user; add it under users"
        names = set[str]()
        for role, given in its.get("configurations", {}).items():
            where = ("workspaces", workspace, "configurations", role)
            fields = {key: value for key, value in given.items() if key != "id"}
            if why := contract.why_not_id(given["id"]) or contract.why_not_body(fields):
                yield where, why
            if role in roles or given["id"] in ids or fields.get("name", ids) in names:
                yield where, "has the role, the id or the name of another; give it its own"
            roles.add(role)
            ids.add(given["id"])
            names.add(fields.get("name", ""))


def _rule_of(schema: Any, path: Place) -> str:
    for part in path[:-1]:
        schema = schema[part]
    return str(schema.get("x-rule", "")) if isinstance(schema, dict) else ""


def _line(node: yaml.Node | None, where: Place) -> int:
    """The line of the place, or of the nearest that the file has."""
    line = 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == str(part)]
        else:
            found = []
        if not found:
            break
        key, node = found[0]
        line = key.start_mark.line + 1
    return line


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
