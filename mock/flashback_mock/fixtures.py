"""Fixtures: the tokens, workspace members and configurations that the mock starts with."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml

from .contract import Contract, violation
from .tracebacks import without_frames

DEFAULT = Path(__file__).with_name("fixtures.yaml")
SCHEMA = Path(__file__).with_name("fixtures.schema.json")
BEARER_TOKEN = re.compile("[0-9A-Za-z._~+/-]+=*")  # RFC 6750, section 2.1


@dataclass(frozen=True)
class Token:
    """A user's bearer token. If `expires` is None, the token never expires."""

    value: str = field(repr=False)
    user: str
    expires: datetime | None = None

    @property
    def expired(self) -> bool:
        """Return whether the token has expired."""
        return self.expires is not None and self.expires <= datetime.now(UTC)


@dataclass(frozen=True)
class Member:
    """A user's access level in a workspace: READ, WRITE or ADMIN."""

    workspace: str
    user: str
    access: str


@dataclass(frozen=True)
class Configuration:
    """A configuration in a workspace. `fields` includes the credentials."""

    role: str
    workspace: str
    id: str
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Fixtures:
    """The initial state of a mock, or state that is added to a mock later."""

    tokens: tuple[Token, ...] = ()
    members: tuple[Member, ...] = ()
    configurations: tuple[Configuration, ...] = ()

    @classmethod
    @without_frames
    def read(cls, contract: Contract, path: Path | str | None = None) -> Self:
        """Read fixtures from a YAML or JSON file, or read the default fixtures if no path is given.

        If the file is invalid, raise a `ValueError` that says where the error is and how to fix it.
        """
        if not path:
            # Do not check the default fixtures, because a custom contract could reject them.
            return cls._of(_parse(DEFAULT))
        document = _parse(Path(path))
        try:
            _check_schema(document, contract)
            return cls._of(document)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        """Return the fixtures in a parsed file.

        Raise `ValueError` if a member is not a user or if a token, id or name is not unique.
        """
        tokens: list[Token] = []
        members: list[Member] = []
        configurations: list[Configuration] = []
        used: set[tuple[str, ...]] = set()

        def check_unique(place: str, *key: str) -> None:
            if key in used:
                raise ValueError(f"{place}: is used twice; it must be unique")
            used.add(key)

        for name, user in document["users"].items():
            check_unique(f"users.{name}.token", "token", user["token"])
            expires = None
            if "expires" in user:
                expires = datetime.fromisoformat(user["expires"].upper())  # also accept `z`
            tokens.append(Token(user["token"], name, expires))
        for workspace, content in document["workspaces"].items():
            for user, access in content.get("members", {}).items():
                if user not in document["users"]:
                    place = f"workspaces.{workspace}.members.{user}"
                    raise ValueError(f"{place}: no such user; add it under users")
                members.append(Member(workspace, user, access))
            for role, configuration in content.get("configurations", {}).items():
                place = f"workspaces.{workspace}.configurations.{role}"
                fields = dict(configuration)
                id = fields.pop("id")
                check_unique(place, "role", role)
                check_unique(f"{place}.id", "id", id)
                if "name" in fields:
                    check_unique(f"{place}.name", "name", workspace, fields["name"])
                configurations.append(Configuration(role, workspace, id, fields))
        return cls(tuple(tokens), tuple(members), tuple(configurations))

    def access(self) -> dict[str, str]:
        """Return each user's access levels, and whether the user's token has expired, as text."""
        parts = defaultdict[str, list[str]](list)
        for member in self.members:
            parts[member.user].append(f"{member.access} in {member.workspace}")
        for token in self.tokens:
            own = parts[token.user]
            if not own:
                own.append("no workspace")
            if token.expired:
                own.append("expired")
        return {user: ", ".join(own) for user, own in parts.items()}

    @property
    def first_workspace(self) -> str:
        """Return the first workspace that has a member. Raise `ValueError` if there is none."""
        for member in self.members:
            return member.workspace
        raise ValueError("workspace: is required, because no workspace in the fixtures has members")


def _parse(path: Path) -> Any:
    """Parse a YAML or JSON file. Raise `ValueError` if it cannot be read or is not valid."""
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix == ".json":
            document = json.loads(text, object_pairs_hook=_unique_keys)
        else:
            document = yaml.load(text, _Loader)  # noqa: S506 - creates only text and containers
        json.dumps(document, ensure_ascii=False).encode()  # rejects lone surrogates
    except OSError as error:
        problem = f": cannot be read: {error.strerror}"
    except yaml.MarkedYAMLError as error:  # the error's text could quote a credential
        mark = error.problem_mark or error.context_mark
        line = mark and mark.line + 1
        problem = f":{line}: is not valid YAML; quote the value or fix the indentation"
    except json.JSONDecodeError as error:
        problem = f":{error.lineno}: is not valid JSON"
    except KeyError as error:
        problem = f":{error.args[0]}: is used twice; remove one"
    except (TypeError, ValueError, RecursionError, yaml.YAMLError):
        problem = ": is not valid UTF-8-encoded YAML or JSON"
    else:
        return document
    raise ValueError(f"{path}{problem}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary. Raise `KeyError` with the name of a duplicate key."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise KeyError(f" {key.partition(':')[0]}")  # the rest of the key could be a credential
        content[key] = value
    return content


class _Loader(yaml.BaseLoader):
    """A YAML loader that reads all values as text, so `no` and `007` need no quotes.

    If a key appears twice, the loader raises `KeyError` with the line number and the key.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        used = set[str]()
        for key, _ in node.value:
            if key.value in used:
                line = key.start_mark.line + 1
                name = key.value.partition(":")[0]  # the part after the colon could be a credential
                raise KeyError(f"{line}: {name}")
            used.add(key.value)
        return super().construct_mapping(node, deep)


def _check_schema(document: Any, contract: Contract) -> None:
    """Raise `ValueError` for the first schema violation. The error message quotes no values."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    workspace = schema["properties"]["workspaces"]["additionalProperties"]
    configuration = workspace["properties"]["configurations"]["additionalProperties"]
    configuration["properties"] |= contract.fields
    configuration["additionalProperties"] = False
    errors = contract.validator(schema).iter_errors(document)
    # Report unknown fields first, because a field that seems to be missing could be misspelled.
    for error in sorted(errors, key=lambda error: error.kind.name != "additionalProperties"):
        place = list(map(str, error.instance_path))
        broken = schema
        for part in error.schema_path[:-1]:
            broken = broken[str(part)]
        if error.kind.name == "additionalProperties":
            place.append(error.kind.value[0])
            message = f"unknown field; the known fields are {', '.join(broken['properties'])}"
        else:
            message = violation(error, broken.get("x-rule", ""))
        # If the space after a colon is missing, the part after the colon could be a credential.
        names = ".".join(name.partition(":")[0] for name in place)
        raise ValueError(f"{names or 'the file'}: {message}")
