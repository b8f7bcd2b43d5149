"""The workspaces, members, tokens and configurations that the mock starts with."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast

import jsonschema_rs
import yaml

from .contract import Contract, rule
from .tracebacks import without_frames

HERE = Path(__file__)
DEFAULT = HERE.with_name("fixtures.yaml")
SCHEMA = HERE.with_name("fixtures.schema.json")
BEARER_TOKEN = re.compile("[0-9A-Za-z._~+/-]+=*")  # RFC 6750, section 2.1


@dataclass(frozen=True)
class Token:
    """A bearer token, the user it stands for, and when it ends (None: never)."""

    value: str = field(repr=False)
    user: str
    expires: datetime | None = None

    @property
    def expired(self) -> bool:
        """Whether it has ended by now."""
        return self.expires is not None and self.expires <= datetime.now(UTC)


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
    @without_frames
    def read(cls, contract: Contract, path: Path | None = None) -> Self:
        """The fixtures of a YAML or JSON file, by default those that come with the mock.

        Raises `ValueError` that names file, line, what is wrong there and the cure.
        """
        judge = path is not None  # ours fit our contract, and another one is served with them too
        path, lines = path or DEFAULT, dict[Place, int]()
        document = _parsed(path, lines)
        for where, why in _mistakes(document, contract) if judge else ():
            line = next(lines[where[:n]] for n in range(len(where), -1, -1) if where[:n] in lines)
            raise ValueError(f"{path}:{line}: {'.'.join(where) or 'the file'}: {why}")
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
                Configuration(role, workspace, given["id"], _fields(given))
                for workspace, its in workspaces.items()
                for role, given in its.get("configurations", {}).items()
            ),
        )

    def describe(self, token: Token) -> str:
        """Return which access a token's user has, and until when, for people."""
        parts = [
            f"{member.access} in {member.workspace}"
            for member in self.members
            if member.user == token.user
        ]
        parts = parts or ["no workspace"]
        if token.expired:
            parts.append("expired")
        elif token.expires:
            parts.append(f"until {token.expires:%Y-%m-%d}")
        return ", ".join(parts)

    @property
    def first_workspace(self) -> str:
        """The workspace that the file names first; raises `ValueError` if it has no member."""
        for member in self.members:
            return member.workspace
        raise ValueError("workspace: name it, since no workspace of the fixtures has a member")


def is_bearer_token(text: str) -> bool:
    """Return whether a text can be sent as a bearer token."""
    return BEARER_TOKEN.fullmatch(text) is not None


Place = tuple[str, ...]


def _parsed(path: Path, lines: dict[Place, int]) -> Any:
    """What a file says, and in which line it says what; raises `ValueError`."""
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            text = text.replace("\t", " ")  # which indents there, and is no part of a value
        return _plain(yaml.compose(text, yaml.BaseLoader), (), lines)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = re.sub("'.*'", "…", error.problem or "")  # it quotes what could be a credential
        cure = "" if ";" in why else "; put such a value in quotes, or mend the indentation"
        raise ValueError(f"{path}:{mark and mark.line + 1}: {why}{cure}") from None
    except (ValueError, RecursionError, yaml.YAMLError):
        raise ValueError(f"{path}: is not YAML or JSON in UTF-8") from None


def _plain(node: yaml.Node | None, place: Place, lines: dict[Place, int]) -> Any:
    """What a node says, all of it text: `no` and 007 are what they look like."""
    lines.setdefault(place, node.start_mark.line + 1 if node else 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, place, lines) for item in cast("list[yaml.Node]", node.value)]
    if not isinstance(node, yaml.MappingNode):
        # JSON writes what is beyond 16 bits as two escapes.
        return node and str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    found: dict[str, Any] = {}
    for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
        name = str(key.value)
        if name in found:
            why = f"{'.'.join((*place, name))}: stands here twice; keep one of them"
            raise yaml.MarkedYAMLError(problem=why, problem_mark=key.start_mark)
        lines[*place, name] = key.start_mark.line + 1
        found[name] = _plain(value, (*place, name), lines)
    return found


def _mistakes(document: Any, contract: Contract) -> Iterator[tuple[Place, str]]:
    """Where the document is wrong and why, the schema's findings first; no value of a secret."""
    yield from _mistakes_of_form(document)
    for name, user in document["users"].items():
        yield from _mistakes_of_user(("users", name), user, document["users"])
    yield from _mistakes_of_configurations(document["workspaces"], contract)
    for workspace, its in document["workspaces"].items():
        for user in its.get("members", {}).keys() - document["users"].keys():
            yield ("workspaces", workspace, "members", user), "is no user; add it under users"


def _mistakes_of_form(document: Any) -> Iterator[tuple[Place, str]]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    errors = jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(document)
    # First what is unknown, since what is missing may only be misspelt.
    for error in sorted(errors, key=lambda error: error.kind.name != "additionalProperties"):
        place, broken = tuple(map(str, error.instance_path)), schema
        for part in error.schema_path[:-1]:
            broken = broken[str(part)]
        if error.kind.name == "additionalProperties":
            known = ", ".join(broken["properties"])
            yield (*place, error.kind.value[0]), f"is unknown here; there may be {known}"
        elif error.kind.name == "required":
            yield place, f"has no {error.kind.value}; add it"
        else:
            yield place, rule(error, broken.get("x-rule", ""))


def _mistakes_of_user(
    place: Place, user: dict[str, str], users: dict[str, dict[str, str]]
) -> Iterator[tuple[Place, str]]:
    if [other["token"] for other in users.values()].count(user["token"]) > 1:
        yield (*place, "token"), "is another user's too; give each its own"
    try:
        _time(user.get("expires"))
    except ValueError:  # such as a leap second, which is a time elsewhere
        yield (*place, "expires"), "is no time that Python knows"


def _mistakes_of_configurations(
    workspaces: dict[str, Any], contract: Contract
) -> Iterator[tuple[Place, str]]:
    taken = set[tuple[str, str, str]]()
    for workspace, its in workspaces.items():
        for role, given in its.get("configurations", {}).items():
            place, fields = ("workspaces", workspace, "configurations", role), _fields(given)
            if why := contract.id_error(given["id"]):
                yield (*place, "id"), why.removeprefix("id: ")
            unknown = next((key for key in fields if key not in contract.fields), "")
            for key, why in contract.body_errors(fields).items():
                yield (*place, unknown if key == "body" else key), why
            # What has to be unique: roles and ids in the file, names in their workspace.
            own = {place: ("role", "", role), (*place, "id"): ("id", "", given["id"])}
            if "name" in fields:
                own[*place, "name"] = ("name", workspace, fields["name"])
            for where, value in own.items():
                if value in taken:
                    yield where, "is that of another configuration too; give it its own"
                taken.add(value)


def _fields(given: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in given.items() if key != "id"}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
