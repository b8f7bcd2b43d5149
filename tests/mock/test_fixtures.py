"""The file of fixtures: what it may say, and how a mistake in it is told."""

import json
import subprocess
import sys
from pathlib import Path

import flashback_mock
import jsonschema_rs
import pytest
import yaml
from flashback_mock.contract import Contract
from flashback_mock.fixtures import DEFAULT, SCHEMA, Fixtures

CANARY = "canary-7be2"


def read(folder: Path, text: str, name: str = "fixtures.yaml") -> Fixtures:
    """The fixtures of a file with this text."""
    file = folder / name
    file.write_text(text, "utf-8")
    return Fixtures.read(Contract(), file)


# What is changed in the default file, and what is said of it: the line, the place and the cure.
MISTAKES: dict[str, tuple[int, str, str, str]] = {
    "token is missing": (3, "{ token: owner-token }", "{}", "users.owner: has no token; add it"),
    "token is no bearer token": (
        4,
        "{ token: admin-token }",
        f"{{ token: '{CANARY} x' }}",
        "users.admin.token: must be a bearer token: letters, digits and -._~+/",
    ),
    "token is another's": (
        3,
        "{ token: admin-token }",
        "{ token: owner-token }",
        "users.owner.token: is another user's too; give each its own",
    ),
    "token is misspelt": (
        5,
        "{ token: reader-token }",
        f"{{ token: a, tokn: {CANARY} }}",
        "users.reader.tokn: is unknown here; there may be token, expires",
    ),
    "time is none": (
        7,
        "2026-01-01T00:00:00Z",
        "tomorrow",
        "users.expired.expires: must be a time, such as 2026-01-01T00:00:00Z",
    ),
    "time has no zone": (
        7,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "users.expired.expires: must be a time, such as",
    ),
    "time is a leap second": (
        7,
        "2026-01-01T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "users.expired.expires: is no time that Python knows",
    ),
    "access level is unknown": (
        10,
        "owner: WRITE",
        "owner: WRIT",
        "workspaces.acme.members.owner: must be one of READ, WRITE, ADMIN",
    ),
    "member is no user": (
        10,
        "owner: WRITE, ",
        "ownr: WRITE, ",
        "workspaces.acme.members.ownr: is no user; add it under users",
    ),
    "id is missing": (
        28,
        "        id: 7c9e6679-7425-40de-944b-e07fc1f90ae7\n        name: Bedrock of another",
        "        name: Bedrock of another",
        "workspaces.globex.configurations.foreign: has no id; add it",
    ),
    "id is too long": (
        29,
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "x" * 256,
        "workspaces.globex.configurations.foreign.id: must have at most 255 characters",
    ),
    "id is another's": (
        29,
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "550e8400-e29b-41d4-a716-446655440000",
        "workspaces.globex.configurations.foreign.id: is that of another configuration too",
    ),
    "role is another's": (
        28,
        "      foreign:",
        "      main:",
        "workspaces.globex.configurations.main: is that of another configuration too",
    ),
    "name is another's": (
        21,
        "Anthropic in staging",
        "OpenAI in production",
        "workspaces.acme.configurations.sibling.name: is that of another configuration too",
    ),
    "field is unknown": (
        35,
        "made-up-foreign-secret",
        f"a\n        secrt: {CANARY}",
        "workspaces.globex.configurations.foreign.secrt: has an unknown field; the fields are name",
    ),
    "field breaks a rule of the contract": (
        31,
        "aiType: AWS",
        "aiType: aws",
        "workspaces.globex.configurations.foreign.aiType: must be one of OPENAI, GOOGLE",
    ),
    "field is a list": (
        34,
        "made-up-foreign-secret",
        f"[{CANARY}]",
        "workspaces.globex.configurations.foreign.secret: must be of type string",
    ),
    "credential is empty": (
        34,
        "made-up-foreign-secret",
        "",
        "workspaces.globex.configurations.foreign.secret: must have at least 1 character(s)",
    ),
    "group is empty": (
        26,
        "    members: { stranger: ADMIN }",
        "    members:",
        "workspaces.globex.members: must be of type object",
    ),
    "group is unknown": (
        8,
        "workspaces:",
        "workspace:",
        "workspace: is unknown here; there may be $schema, users, workspaces",
    ),
    "key stands twice": (
        34,
        "        key: made-up-foreign-key",
        f"        secret: {CANARY}",
        "workspaces.globex.configurations.foreign.secret: stands here twice; keep one of them",
    ),
    "value begins like an alias": (
        34,
        "made-up-foreign-secret",
        f"*{CANARY}",
        "found undefined alias …; put such a value in quotes",
    ),
    "value begins with a sign": (
        34,
        "made-up-foreign-secret",
        f"@{CANARY}",
        "found character … that cannot start any token; put such a value in quotes",
    ),
    "indentation is wrong": (25, "  globex:", " globex:", "put such a value in quotes"),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
def test_mistake_names_file_line_place_and_cure(
    tmp_path: Path, case: tuple[int, str, str, str]
) -> None:
    """A mistake is told with the file, the line, the place and the cure, without any value."""
    line, old, new, why = case
    text = DEFAULT.read_text("utf-8")
    assert old in text
    with pytest.raises(ValueError, match="fixtures") as refused:
        read(tmp_path, text.replace(old, new, 1))
    said = str(refused.value)
    assert said.startswith(f"{tmp_path / 'fixtures.yaml'}:{line}: "), said
    assert why in said
    for value in (CANARY, "owner-token", "made-up"):
        assert value not in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ":1: the file: must be of type object"),
        ("- a", ":1: the file: must be of type object"),
        ("users: {}", ":1: the file: has no workspaces; add it"),
        ("[" * 1500, ": is not YAML or JSON in UTF-8"),
        ("a: &a [*a]", ": is not YAML or JSON in UTF-8"),
        ('users: "\\ud800"', ": is not YAML or JSON in UTF-8"),
        ("a: 1\n--- \nb: 2", ":2: "),
    ],
)
def test_file_of_another_kind_is_told(tmp_path: Path, text: str, why: str) -> None:
    """A file that holds no fixtures at all is told as that."""
    with pytest.raises(ValueError, match="fixtures") as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'fixtures.yaml'}{why}")


def test_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    """A file that is not there, or no text, is one line on the command's standard error."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, why in (("missing", "cannot be read: No such file"), ("binary", "is not YAML")):
        command = [sys.executable, "-m", "flashback_mock", "--fixtures", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"flashback_mock: cannot start: {tmp_path / name}: {why}")
        assert done.stderr.count("\n") == 1


def test_unquoted_values_are_what_they_look_like(tmp_path: Path) -> None:
    """`no`, 007, 1e3 and a date need no quotes: every value of the file is text."""
    fixtures = read(
        tmp_path,
        "users: {no: {token: 007}}\n"
        "workspaces: {2026-01-01: {members: {no: READ}, configurations: "
        "{on: {id: 1e3, name: 123, secret: null, key: 0x10}}}}",
    )
    assert (fixtures.tokens[0].user, fixtures.tokens[0].value) == ("no", "007")
    assert fixtures.first_workspace == "2026-01-01"
    (given,) = fixtures.configurations
    assert (given.role, given.id) == ("on", "1e3")
    assert given.fields == {"name": "123", "secret": "null", "key": "0x10"}


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_read_as_well(tmp_path: Path, indent: int | str | None) -> None:
    """A JSON file is a file of fixtures, with escapes and tabs, and mistakes name their lines."""
    document = yaml.load(DEFAULT.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - it is the safest
    assert Fixtures.read(Contract()) == read(
        tmp_path, json.dumps(document, indent=indent), "f.json"
    )
    main = document["workspaces"]["acme"]["configurations"]["main"]
    main["name"] = "Prod \U0001f600 \\ /"
    main["aiType"] = "OTHER"
    main["key"] = "tab\tand \u2028"
    fixtures = read(tmp_path, json.dumps(document, indent=indent), "f.json")
    assert fixtures.configurations[0].fields["key"] == "tab\tand \u2028"
    main["aiType"] = "openai"
    with pytest.raises(ValueError, match=r"aiType: must be one of") as refused:
        read(tmp_path, json.dumps(document, indent=indent), "f.json")
    line = (
        1
        if indent is None
        else json.dumps(document, indent=indent).split('"openai"')[0].count("\n") + 1
    )
    assert f"f.json:{line}: " in str(refused.value)


def test_printed_fixtures_are_accepted(tmp_path: Path) -> None:
    """What --print-fixtures prints can be given to --fixtures, and names its schema for editors."""
    command = [sys.executable, "-m", "flashback_mock", "--print-fixtures"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert read(tmp_path, printed) == Fixtures.read(Contract())
    assert printed.startswith(f"# yaml-language-server: $schema={SCHEMA.as_uri()}\n")
    with flashback_mock.running(fixtures=tmp_path / "fixtures.yaml") as mock:
        assert mock.reveals(mock.ids["main"], key="made-up-access-key")


def test_schema_describes_the_default_file() -> None:
    """The schema is one, and accepts the default file."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema_rs.meta.validate(schema)
    document = yaml.load(DEFAULT.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - it is the safest
    jsonschema_rs.validate(schema, document, validate_formats=True)


def test_tokens_are_told_in_words(tmp_path: Path) -> None:
    """A token is told with every workspace that it opens, and with its end before and after it."""
    users = "{many: {token: a}, none: {token: b}, later: {token: c, expires: 2999-01-01T00:00:00Z}}"
    members = "x: {members: {many: READ, later: ADMIN}}, y: {members: {many: WRITE}}"
    fixtures = read(tmp_path, f"users: {users}\nworkspaces: {{{members}}}")
    assert [fixtures.told(token) for token in fixtures.tokens] == [
        "READ in x, WRITE in y",
        "no workspace",
        "ADMIN in x, until 2999-01-01",
    ]


def test_fixtures_of_a_file_are_served(tmp_path: Path) -> None:
    """The mock starts with the file's users and configurations, and with no others."""
    text = "users: {me: {token: my-token}}\nworkspaces: {w: {configurations: {one: {id: a}}}}"
    read(tmp_path, text)
    with flashback_mock.running(fixtures=tmp_path / "fixtures.yaml") as mock:
        assert (mock.tokens, mock.ids) == ({"me": "my-token"}, {"one": "a"})
        with pytest.raises(ValueError, match="workspace: name it"):
            mock.add_configuration(name="x")
        mock.add_member("me", workspace="w")
        assert mock.add_configuration(name="x", workspace="w")
