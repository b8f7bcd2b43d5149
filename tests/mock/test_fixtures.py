"""The file of fixtures: its content, and the errors for mistakes in it."""

import json
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

import flashback_mock
from flashback_mock.__main__ import main
from flashback_mock.contract import Contract
from flashback_mock.fixtures import DEFAULT, SCHEMA, Fixtures

CANARY = "canary-7be2"
MAIN = "550e8400-e29b-41d4-a716-446655440000"
FOREIGN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SECRET = "made-up-foreign-secret"
KEY = "made-up-foreign-key"


def read(folder: Path, text: str, name: str = "fixtures.yaml") -> Fixtures:
    """Return the fixtures of a file with this text."""
    file = folder / name
    file.write_text(text, "utf-8")
    return Fixtures.read(Contract(), file)


# A text of the default file, the text that replaces it, and the message.
MISTAKES: list[tuple[str, str, str]] = [
    ("{ token: owner-token }", "{}", "users.owner: missing required field token"),
    ("admin-token", f"'{CANARY} x'", "users.admin.token: must be a bearer token: letters"),
    ("admin-token", "owner-token", "users.admin.token: is used twice; it must be unique"),
    ("reader-token", f"a, tokn: {CANARY}", "users.reader.tokn: unknown field; expected one"),
    ("2026-01-01T00:00:00Z", "tomorrow", "users.expired.expires: must be a time, such as 2026"),
    ("00:00:00Z", "00:00:00", "users.expired.expires: must be a time, such as"),
    ("2026-01-01T00:00:00Z", "2016-12-31T23:59:60Z", "users.expired.expires: is not a time"),
    ("owner: WRITE", "owner: WRIT", "workspaces.acme.members.owner: must be one of READ"),
    ("owner: WRITE, ", "ownr: WRITE, ", "workspaces.acme.members.ownr: is not a user; add it"),
    (f"        id: {FOREIGN}\n", "", "configurations.foreign: missing required field id"),
    (FOREIGN, "x" * 256, "configurations.foreign.id: must have at most 255 characters"),
    (FOREIGN, MAIN, "configurations.foreign.id: is used twice"),
    ("      foreign:", "      main:", "configurations.main: is used twice"),
    ("Anthropic in staging", "OpenAI in production", "sibling.name: is used twice"),
    (SECRET, f"a\n        secrt: {CANARY}", "foreign.secrt: has an unknown field; the fields"),
    ("aiType: AWS", "aiType: aws", "foreign.aiType: must be one of OPENAI, GOOGLE"),
    (SECRET, f"[{CANARY}]", "configurations.foreign.secret: must be of type string"),
    (SECRET, "", "configurations.foreign.secret: must have at least 1 character(s)"),
    ("members: { stranger: ADMIN }", "members:", "globex.members: must be of type object"),
    ("workspaces:", "workspace:", "workspace: unknown field; expected one of $schema, users"),
    (f"key: {KEY}", f"secret: {CANARY}", "secret: appears twice; remove one"),
    ("token: owner-token", f"token:{CANARY}", "token: add a space after the colon"),
    ("token: owner-token", f"'token:{CANARY}': a", "users.owner.token: unknown field; expected"),
    (SECRET, f"*{CANARY}", "found undefined alias …; quote the value"),
    (SECRET, f"@{CANARY}", "found character … that cannot start any token; quote the value"),
    ("  globex:", " globex:", "quote the value or fix the indentation"),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: f"{case[1][:20]}: {case[2][:30]}")
def test_mistake_names_file_place_and_remedy(tmp_path: Path, case: tuple[str, str, str]) -> None:
    """A mistake is reported with file, place and remedy, without any value."""
    old, new, message = case
    text = DEFAULT.read_text("utf-8")
    assert old in text
    with pytest.raises(ValueError, match="fixtures") as refused:
        read(tmp_path, text.replace(old, new, 1))
    said = str(refused.value)
    assert said.startswith(f"{tmp_path / 'fixtures.yaml'}:"), said
    assert message in said
    for value in (CANARY, "owner-token", "made-up"):
        assert value not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file: must be of type object"),
        ("- a", ": the file: must be of type object"),
        ("users: {}", ": the file: missing required field workspaces"),
        ("[" * 500, ": is not valid YAML or JSON in UTF-8"),
        ("a: &a [*a]", ":1: found unconstructable recursive node"),
        ("a: 1\n--- \nb: 2", ":2: but found another document"),
        ("? [a]\n: b", ": is not valid YAML or JSON in UTF-8"),
    ],
)
def test_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A file that lacks a part is refused, and the error names the part."""
    with pytest.raises(ValueError, match="fixtures") as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'fixtures.yaml'}{message}")


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a binary file or a folder is refused, and the error names the cause."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    causes = {"missing": "cannot be read: No such file", "folder": "cannot be read: Is a directory"}
    for name, why in {**causes, "binary": "is not valid YAML"}.items():
        with pytest.raises(ValueError, match=why) as refused:
            Fixtures.read(Contract(), tmp_path / name)
        assert str(refused.value).startswith(f"{tmp_path / name}: {why}")


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


def test_json_is_read_as_well(tmp_path: Path) -> None:
    """A JSON file works too, with escapes and tabs, and its mistakes are reported."""
    document = yaml.load(DEFAULT.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - it is the safest
    main = document["workspaces"]["acme"]["configurations"]["main"]
    main["key"] = "tab\tand \u2028 \U0001f600"
    fixtures = read(tmp_path, json.dumps(document, indent="\t"), "f.json")
    assert fixtures.configurations[0].fields == {name: main[name] for name in main if name != "id"}
    with pytest.raises(ValueError, match="users: appears twice"):
        read(tmp_path, '{"users": {}, "users": {}}', "f.json")


def test_printed_fixtures_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output of --print-fixtures is valid for --fixtures, and names the schema for editors."""
    monkeypatch.setattr(sys, "argv", ["flashback_mock", "--print-fixtures"])
    assert main() == 0
    printed = capsys.readouterr().out
    assert read(tmp_path, printed) == Fixtures.read(Contract())
    assert printed.startswith(f"# yaml-language-server: $schema={SCHEMA.as_uri()}\n")


def test_schema_describes_the_default_file() -> None:
    """The schema is valid, and accepts the default file."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema_rs.meta.validate(schema)
    document = yaml.load(DEFAULT.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - it is the safest
    jsonschema_rs.validate(schema, document, validate_formats=True)


def test_tokens_are_described(tmp_path: Path) -> None:
    """A token is described with its access to every workspace and its expiry."""
    users = "{many: {token: a}, none: {token: b}, later: {token: c, expires: 2999-01-01T00:00:00Z}}"
    members = "x: {members: {many: READ, later: ADMIN}}, y: {members: {many: WRITE}}"
    fixtures = read(tmp_path, f"users: {users}\nworkspaces: {{{members}}}")
    assert [fixtures.describe(token) for token in fixtures.tokens] == [
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
        with pytest.raises(ValueError, match="workspace: is required"):
            mock.add_configuration(name="x")
        mock.add_member("me", workspace="w")
        assert mock.add_configuration(name="x", workspace="w")
