"""Tests for every kind of store: in memory, in a file and in PostgreSQL."""

from contextlib import nullcontext
from datetime import UTC, datetime

import pytest

from flashback_mock.fixtures import Configuration, Fixtures, Member, Token
from flashback_mock.stores.errors import (
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    StoreError,
    UnauthorizedError,
)
from flashback_mock.stores.memory import MemoryStore
from flashback_mock.stores.store import Store
from tests.mock.stores.locations import CONTRACT, FIXTURES, MAIN, OWNER, SIBLING, Run, StoreLocation

EXAMPLE = CONTRACT.examples["everything"]
durable = pytest.mark.parametrize("location", ["file", "postgresql"], indirect=True)


def test_every_field_is_kept(store: Store, run: Run) -> None:
    """An update stores every field.

    For a credential, the store shows only that it is set and when it last changed.
    """
    run(store.update("owner-token", MAIN, EXAMPLE))
    stored = run(store.find(MAIN))
    described = stored.describe()
    for name in CONTRACT.credentials:
        shown = described.pop(name)
        assert shown["set"] is True
        assert shown["changedAt"].endswith("+00:00")
        assert stored.reveals(name, EXAMPLE[name])
        assert not stored.reveals(name, EXAMPLE[name] + "x")
    plain = {name: EXAMPLE[name] for name in EXAMPLE.keys() - CONTRACT.credentials}
    assert described == {"id": MAIN, "workspace": "acme", **plain}


def test_credentials_are_kept_unchanged(store: Store, run: Run) -> None:
    """A credential can contain any character and have any length that the contract allows."""
    for value in ("x" * 8192, "short", "\U0001f511" * 8192, "a\0b\r\n'é", "lone \ud800"):
        run(store.update("owner-token", MAIN, {"secret": value}))
        assert run(store.find(MAIN)).reveals("secret", value)


def test_memory_contains_no_plaintext_credential(run: Run) -> None:
    """The in-memory store keeps no reference to an unencrypted credential or a token."""
    store = MemoryStore(CONTRACT.credentials)
    run(store.open(FIXTURES))
    run(store.update("owner-token", MAIN, {"name": "a plain name", "secret": "a new secret"}))
    state = vars(store)
    content = str([state, *map(vars, state["_tokens"].values())])
    assert "a plain name" in content
    for secret in ("a new secret", "made-up-access-key", OWNER):
        assert secret not in content


def test_rejected_or_empty_update_changes_nothing(store: Store, run: Run) -> None:
    """A rejected or empty update changes nothing. Each kind of rejection has its own error."""
    new = {"key": "new"}
    taken = {"name": "Anthropic in staging", **new}
    before = run(store.find(MAIN)).describe()
    for token, id, changes, refusal in (
        ("expired-token", MAIN, new, UnauthorizedError),
        ("owner-token", "unknown", new, NotFoundError),
        ("owner-token", f"{MAIN}\0", new, NotFoundError),
        ("reader-token", MAIN, new, ForbiddenError),
        ("stranger-token", MAIN, new, ForbiddenError),
        ("reader-token", MAIN, {}, ForbiddenError),
        ("admin-token", MAIN, taken, NameTakenError),
        ("owner-token", MAIN, {}, None),
    ):
        with pytest.raises(refusal) if refusal else nullcontext():
            run(store.update(token, id, changes))
        assert run(store.find(MAIN)).describe() == before
        assert run(store.find(MAIN)).reveals("key", "made-up-access-key")


def test_tokens_identify_users(store: Store, run: Run) -> None:
    """A token is valid until it expires. An expired token can be added again."""
    assert run(store.user_of(OWNER)) == "owner"
    for token in ("unknown", "expired-token"):
        assert run(store.user_of(token)) is None
    run(store.add(Fixtures(tokens=(Token(OWNER, "owner", datetime.now(UTC)),))))
    assert run(store.user_of(OWNER)) is None
    assert run(store.user_of("admin-token")) == "admin"
    run(store.add(Fixtures(tokens=(Token(OWNER, "owner"),))))
    assert run(store.user_of(OWNER)) == "owner"


def test_names_are_compared_by_code_point(store: Store, run: Run) -> None:
    """Names that differ only in case, Unicode normalization or trailing spaces are distinct."""
    for sibling, main in (("Caf\u00e9", "Cafe\u0301"), ("openai", "OpenAI"), ("a", "a ")):
        run(store.update("owner-token", SIBLING, {"name": sibling}))
        run(store.update("owner-token", MAIN, {"name": main}))
        assert run(store.find(MAIN)).describe()["name"] == main
    run(store.update("owner-token", MAIN, {"name": "a "}))  # a configuration can keep its own name


def test_additions_replace_only_the_same_member(store: Store, run: Run) -> None:
    """Additions keep existing data, but adding a member again changes the member's access level."""
    added = Configuration("", "acme", "new\0id", {"aiType": "AWS", "secret": "s"})
    members = (Member("acme", "new", "READ"), Member("acme", "reader", "WRITE"))
    run(store.add(Fixtures((Token("new-token", "new"),), members, (added,))))
    assert run(store.user_of("new-token")) == "new"
    assert run(store.find(added.id)).reveals("secret", "s")
    assert run(store.configurations())[added.id] == "acme"
    assert MAIN in run(store.configurations())
    run(store.update("reader-token", MAIN, {"name": "new"}))


def test_adding_configurations_is_atomic(store: Store, run: Run) -> None:
    """If any configuration's id or name is taken, no configuration is added."""
    before = run(store.configurations())
    first = Configuration("", "acme", "first", {"name": "of the first"})
    for id, name in (
        (MAIN, "n"),
        ("first", "n"),
        ("new", "OpenAI in production"),
        ("new", "of the first"),
    ):
        second = Configuration("", "acme", id, {"name": name})
        with pytest.raises(NameTakenError):
            run(store.add(Fixtures(configurations=(first, second))))
        assert run(store.configurations()) == before


def test_configuration_can_be_deleted(store: Store, run: Run) -> None:
    """A deleted configuration is not found, and its id and name can be reused."""
    name = run(store.find(MAIN)).describe()["name"]
    run(store.delete_configuration(MAIN))
    assert MAIN not in run(store.configurations())
    for operation in (
        store.find(MAIN),
        store.delete_configuration(MAIN),
        store.update("owner-token", MAIN, {"name": "new"}),
    ):
        with pytest.raises(NotFoundError):
            run(operation)
    again = Configuration("", "acme", MAIN, {"name": name, "key": "k"})
    run(store.add(Fixtures(configurations=(again,))))
    assert run(store.find(MAIN)).describe().keys() == {"id", "workspace", "name", "key"}
    assert run(store.find(MAIN)).reveals("key", "k")


def test_reset_restores_the_fixtures(store: Store, run: Run) -> None:
    """After a reset, the store contains exactly the fixtures."""
    before = run(store.find(MAIN)).plain
    run(store.update("owner-token", MAIN, EXAMPLE))
    run(store.delete_configuration(SIBLING))
    added = Configuration("", "acme", "new", {"key": "k"})
    run(store.add(Fixtures((Token("new-token", "new"),), (), (added,))))
    run(store.reset(FIXTURES))
    after = run(store.find(MAIN))
    assert after.plain == before
    assert after.reveals("secret", "made-up-secret-key")
    assert run(store.user_of("new-token")) is None
    assert run(store.configurations()).keys() == {given.id for given in FIXTURES.configurations}


@durable
def test_key_file_can_contain_spaces_and_empty_lines(
    location: StoreLocation, store: Store, run: Run
) -> None:
    """A store opens even if the key in its key file has spaces or empty lines around it."""
    run(store.close())
    location.key_file.write_text(f"\n  {location.key_file.read_text().strip()} \r\n")
    reopened = location.store()
    assert run(reopened.open(FIXTURES)) is False
    run(reopened.close())


@durable
def test_unusable_key_file_is_a_clear_error(
    location: StoreLocation, store: Store, run: Run
) -> None:
    """A store does not open if its key is missing or if other users can read the key file.

    The error contains the file's name but no key.
    """
    run(store.close())
    file = location.key_file
    key = file.read_text()
    for content, mode, reason in (
        ("\nA==\n", 0o600, "does not contain the store's key .*; restore the file from a backup"),
        (f"{'A' * 43}=", 0o600, "does not contain the store's key"),
        (key, 0o640, "chmod 600"),
        (None, 0o600, "cannot read the store's master keys: No such file"),
    ):
        file.unlink()
        if content is not None:
            file.write_text(content)
            file.chmod(mode)
        with pytest.raises(StoreError, match=f"{file}.*{reason}") as error:
            run(location.store().open(FIXTURES))
        for secret in (key.strip(), content or key):
            assert secret not in str(error.value)
    file.mkdir()
    with pytest.raises(StoreError, match="cannot read the store's master keys: Is a directory"):
        run(location.store().open(FIXTURES))


COPY = """
UPDATE flashback_mock_credential SET sealed = (
    SELECT other.sealed FROM flashback_mock_credential other
    JOIN flashback_mock_configuration ON id = other.configuration
    WHERE name = '{name}' AND other.field = 'key' AND other.changed IS NOT NULL
)
WHERE field = 'secret' AND changed IS NOT NULL AND configuration = (
    SELECT id FROM flashback_mock_configuration WHERE name = 'OpenAI in production'
)
"""
CANNOT_BE_DECRYPTED = "cannot be decrypted because it was damaged or moved"


@durable
def test_moved_credential_cannot_be_decrypted(
    location: StoreLocation, store: Store, run: Run
) -> None:
    """A credential moved to another field, configuration or workspace cannot be decrypted.

    An update can replace the moved credential with a valid one.
    """
    run(store.close())
    for user, move in (
        ("owner-token", COPY.format(name="OpenAI in production")),
        ("owner-token", COPY.format(name="Anthropic in staging")),
        ("stranger-token", "UPDATE flashback_mock_configuration SET workspace='globex', name=NULL"),
    ):
        location.sql(move)
        with location.opened(run) as again:
            with pytest.raises(StoreError, match=CANNOT_BE_DECRYPTED):
                run(again.find(MAIN)).reveals("secret", "made-up-secret-key")
            run(again.update(user, MAIN, {"secret": "new", "key": "new"}))
            assert run(again.find(MAIN)).reveals("secret", "new")


@durable
def test_failed_rotation_changes_nothing(location: StoreLocation, store: Store, run: Run) -> None:
    """If one credential cannot be decrypted, a key rotation does not re-encrypt any credential.

    After the damaged credential is replaced, the next rotation succeeds.
    """
    run(store.update("owner-token", SIBLING, {"secret": "sibling's"}))
    before = location.vaults()
    run(store.close())
    location.sql(COPY.format(name="OpenAI in production"))
    with location.opened(run) as again:
        with pytest.raises(StoreError, match=CANNOT_BE_DECRYPTED):
            run(again.rotate())
        assert len(location.vaults()) == 2
        assert run(again.find(SIBLING)).reveals("secret", "sibling's")
        run(again.update("owner-token", MAIN, {"secret": "new"}))
        rotated = run(again.rotate())
        assert run(again.find(MAIN)).reveals("secret", "new")
    (left,) = location.vaults()
    assert left.key_id not in {vault.key_id for vault in before}
    with location.opened(run) as again:
        assert run(again.find(SIBLING)).reveals("secret", "sibling's")
    rows = location.sql("SELECT sealed FROM flashback_mock_credential WHERE changed IS NOT NULL")
    assert [row[0][:4] for row in rows] == [left.key_id] * rotated
