"""Tests for the fixtures file: its content and the errors for invalid files."""

import json
from pathlib import Path

import pytest
import yaml

import flashback_mock
from flashback_mock.contract import Contract
from flashback_mock.fixtures import DEFAULT, Fixtures
from tests.mock.wire import MAIN

CANARY = "canary-7be2"
FOREIGN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SECRET = "made-up-foreign-secret"


def read(folder: Path, text: str, name: str = "fixtures.yaml") -> Fixtures:
    """Write the text to a fixtures file, and return the fixtures read from it."""
    file = folder / name
    file.write_text(text, "utf-8")
    return Fixtures.read(Contract(), file)


# Each case consists of text in the default file, its replacement, and the expected error.
MISTAKES: list[tuple[str, str, str]] = [
    ("admin-token", f"'{CANARY} x'", "users.admin.token: must be a bearer token: letters"),
    ("2000-01-01T00:00:00Z", "tomorrow", "users.expired.expires: must be a time, such as 2026"),
    ("00:00:00Z", "23:59:60Z", "users.expired.expires: must be a time, such as 2026"),
    ("owner: WRITE, ", "ownr: WRITE, ", "workspaces.acme.members.ownr: no such user; add it"),
    (f"        id: {FOREIGN}\n", "", "configurations.foreign: missing required field id"),
    (FOREIGN, MAIN, "configurations.foreign.id: is used twice"),
    ("      foreign:", "      main:", "configurations.main: is used twice"),
    ("      sibling:", "      main:", "fixtures.yaml:19: main: is used twice; remove one"),
    ("Anthropic in staging", "OpenAI in production", "sibling.name: is used twice"),
    (
        SECRET,
        f"a\n        secrt: {CANARY}",
        "foreign.secrt: unknown field; the known fields are id, name",
    ),
    (SECRET, f"[{CANARY}]", "configurations.foreign.secret: must be of type string"),
    (SECRET, "", "configurations.foreign.secret: must have at least 1 character(s)"),
    ("workspaces:", "workspace:", "workspace: unknown field; the known fields are $schema, users"),
    (
        "token: owner-token",
        f"token:{CANARY}",
        "users.owner.token: unknown field; the known fields are",
    ),
    ("owner: { token: owner-token }", f'"me:{CANARY}":', "users.me: must be of type object"),
    (SECRET, f"*{CANARY}", ":34: is not valid YAML; quote the value or fix the indentation"),
    (SECRET, f'"{CANARY}\\uD800"', "is not valid UTF-8-encoded YAML or JSON"),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: f"{case[1][:20]}: {case[2][:30]}")
def test_error_message_contains_location_and_remedy(
    tmp_path: Path, case: tuple[str, str, str]
) -> None:
    """An error message gives the file name, location and remedy, but no values from the file."""
    old, new, message = case
    text = DEFAULT.read_text("utf-8")
    assert old in text
    with pytest.raises(ValueError, match="fixtures") as rejected:
        read(tmp_path, text.replace(old, new, 1))
    error_text = str(rejected.value)
    assert error_text.startswith(f"{tmp_path / 'fixtures.yaml'}:"), error_text
    assert message in error_text
    for value in (CANARY, "owner-token", "made-up"):
        assert value not in error_text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file: must be of type object"),
        (b"[" * 500, ": is not valid UTF-8-encoded YAML or JSON"),
        (b"a: &a [*a]", ":1: is not valid YAML"),
        (b"\xff\xfe\x00", ": is not valid UTF-8-encoded YAML or JSON"),
        (None, ": cannot be read: No such file or directory"),
    ],
)
def test_file_without_fixtures_is_rejected(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    """If a file does not contain fixtures, the error describes the problem."""
    file = tmp_path / "fixtures.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match="fixtures") as rejected:
        Fixtures.read(Contract(), file)
    assert str(rejected.value).startswith(f"{file}{message}")


def test_values_need_no_quotes(tmp_path: Path) -> None:
    """Values such as `no`, 007 and dates can be unquoted, because every value is read as text."""
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


def test_json_file_is_accepted(tmp_path: Path) -> None:
    """A fixtures file can be JSON with a byte order mark. Mistakes in the JSON are reported."""
    document = yaml.load(DEFAULT.read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - BaseLoader is safe
    main = document["workspaces"]["acme"]["configurations"]["main"]
    main["key"] = "tab\tand \u2028 \U0001f600"
    fixtures = read(tmp_path, "\ufeff" + json.dumps(document, indent="\t"), "f.json")
    assert fixtures.configurations[0].fields == {name: main[name] for name in main if name != "id"}
    with pytest.raises(ValueError, match=":2: is not valid JSON"):
        read(tmp_path, '{"users":\n}', "f.json")
    with pytest.raises(ValueError, match=r"f\.json: a: is used twice; remove one"):
        read(tmp_path, '{"users": {"a": {"a": 1}, "b": 2, "a": {}}}', "f.json")
    with pytest.raises(ValueError, match=r"f\.json: token: is used twice; remove one"):
        read(tmp_path, '{"token:abc": 1, "token:abc": 2}', "f.json")  # `abc` could be a token


def test_fixtures_from_a_file_are_used(tmp_path: Path) -> None:
    """With a fixtures file, the mock contains only the users and configurations from that file."""
    users = "users: {me: {token: my-token, expires: 2999-01-01t00:00:00z}}"
    read(tmp_path, users + "\nworkspaces: {w: {configurations: {one: {id: a}}}}")
    with flashback_mock.running(fixtures=tmp_path / "fixtures.yaml") as mock:
        assert (mock.tokens, mock.ids) == ({"me": "my-token"}, {"one": "a"})
        with pytest.raises(ValueError, match="workspace: is required"):
            mock.add_configuration(name="new")
        mock.add_member("me", workspace="w")
        assert mock.add_configuration(name="new", workspace="w")
