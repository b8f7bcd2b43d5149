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
from flashback_mock.stores.vault import ID_BYTES
from tests.mock.stores.locations import (
    CONTRACT,
    FIXTURES,
    MAIN,
    OWNER,
    SIBLING,
    BlockingStore,
    StoreLocation,
)

EXAMPLE = CONTRACT.examples["everything"]
durable = pytest.mark.parametrize("location", ["file", "postgresql"], indirect=True)


def test_update_changes_only_the_given_fields(store: BlockingStore) -> None:
    """An update stores the fields that it contains and changes no others.

    For a credential, the store shows only that it is set.
    """
    expected = dict(FIXTURES.configurations[0].fields)
    for name, value in EXAMPLE.items():
        expected[name] = value
        store.update(OWNER, MAIN, {name: value})
        stored = store.find(MAIN)
        described = stored.describe()
        assert (described.pop("id"), described.pop("workspace")) == (MAIN, "acme")
        for credential in CONTRACT.credentials:
            assert described.pop(credential) == {"set": True}
            assert stored.has(credential, expected[credential])
            assert not stored.has(credential, expected[credential] + "x")
        assert described.items() <= expected.items()


def test_credentials_are_kept_unchanged(store: BlockingStore) -> None:
    """A credential can contain any character and have any length that the contract allows."""
    for value in ("x" * 8192, "short", "\U0001f511" * 8192, "a\0b\r\n'é", "lone \ud800"):
        store.update(OWNER, MAIN, {"secret": value})
        assert store.find(MAIN).has("secret", value)


@pytest.mark.parametrize("location", ["memory"], indirect=True)
def test_memory_contains_no_plaintext_credential(store: BlockingStore) -> None:
    """The in-memory store keeps no reference to an unencrypted credential."""
    store.update(OWNER, MAIN, {"name": "a plain name", "secret": "a new secret"})
    content = str(vars(store.store))
    assert "a plain name" in content
    for secret in ("a new secret", "made-up-access-key"):
        assert secret not in content


def test_rejected_or_empty_update_changes_nothing(store: BlockingStore) -> None:
    """A rejected or empty update changes nothing. Each kind of rejection has its own error."""
    new = {"key": "new"}
    taken = {"name": "Anthropic in staging", **new}
    before = store.find(MAIN).describe()
    for token, id, changes, rejection in (
        ("expired-token", MAIN, new, UnauthorizedError),
        (OWNER, "unknown", new, NotFoundError),
        (OWNER, f"{MAIN}\0", new, NotFoundError),
        ("reader-token", MAIN, new, ForbiddenError),
        ("stranger-token", MAIN, new, ForbiddenError),
        ("reader-token", MAIN, {}, ForbiddenError),
        ("admin-token", MAIN, taken, NameTakenError),
        (OWNER, MAIN, {}, None),
    ):
        with pytest.raises(rejection) if rejection else nullcontext():
            store.update(token, id, changes)
        assert store.find(MAIN).describe() == before
        assert store.find(MAIN).has("key", "made-up-access-key")


def test_tokens_identify_users(store: BlockingStore) -> None:
    """A token is valid until it expires. An expired token can be added again."""
    assert store.user_of(OWNER) == "owner"
    for token in ("unknown", "expired-token"):
        assert store.user_of(token) is None
    store.add(Fixtures(tokens=(Token(OWNER, "owner", datetime.now(UTC)),)))
    assert store.user_of(OWNER) is None
    assert store.user_of("admin-token") == "admin"
    store.add(Fixtures(tokens=(Token(OWNER, "owner"),)))
    assert store.user_of(OWNER) == "owner"


def test_names_are_compared_by_code_point(store: BlockingStore) -> None:
    """Names that differ only in case, Unicode normalization or trailing spaces are distinct."""
    for sibling, main in (("Caf\u00e9", "Cafe\u0301"), ("openai", "OpenAI"), ("a", "a ")):
        store.update(OWNER, SIBLING, {"name": sibling})
        store.update(OWNER, MAIN, {"name": main})
        assert store.find(MAIN).describe()["name"] == main
    store.update(OWNER, MAIN, {"name": "a "})  # a configuration can keep its own name


def test_add_keeps_existing_data_except_access_levels(store: BlockingStore) -> None:
    """Existing data is kept, but adding a member again changes the member's access level."""
    added = Configuration("", "acme", "new\0id", {"aiType": "AWS", "secret": "s"})
    members = (Member("acme", "new", "READ"), Member("acme", "reader", "WRITE"))
    store.add(Fixtures((Token("new-token", "new"),), members, (added,)))
    assert store.user_of("new-token") == "new"
    assert store.find(added.id).has("secret", "s")
    assert store.find(added.id).workspace == "acme"
    assert store.find(MAIN)
    store.update("reader-token", MAIN, {"name": "new"})


def test_configuration_with_a_taken_id_or_name_is_not_added(store: BlockingStore) -> None:
    """A configuration is added only if its id is unique and its name is unique in its workspace."""
    before = store.find(MAIN).describe()
    for id, name in ((MAIN, "n"), ("new", "OpenAI in production")):
        taken = Configuration("", "acme", id, {"name": name})
        with pytest.raises(NameTakenError):
            store.add(Fixtures(configurations=(taken,)))
    assert store.find(MAIN).describe() == before
    with pytest.raises(NotFoundError):
        store.find("new")


def test_configuration_can_be_deleted(store: BlockingStore) -> None:
    """A deleted configuration is not found, and its id and name can be reused."""
    name = store.find(MAIN).describe()["name"]
    store.delete_configuration(MAIN)
    for operation in (store.find, store.delete_configuration):
        with pytest.raises(NotFoundError):
            operation(MAIN)
    with pytest.raises(NotFoundError):
        store.update(OWNER, MAIN, {"name": "new"})
    again = Configuration("", "acme", MAIN, {"name": name, "key": "k"})
    store.add(Fixtures(configurations=(again,)))
    assert store.find(MAIN).describe().keys() == {"id", "workspace", "name", "key"}
    assert store.find(MAIN).has("key", "k")


def test_reset_restores_the_fixtures(store: BlockingStore) -> None:
    """After a reset, the store contains exactly the fixtures."""
    before = store.find(MAIN).plain
    store.update(OWNER, MAIN, EXAMPLE)
    store.delete_configuration(SIBLING)
    added = Configuration("", "acme", "new", {"key": "k"})
    store.add(Fixtures((Token("new-token", "new"),), (), (added,)))
    store.reset(FIXTURES)
    with pytest.raises(NotFoundError):
        store.find("new")
    assert store.find(SIBLING)
    after = store.find(MAIN)
    assert after.plain == before
    assert after.has("secret", "made-up-secret-key")
    assert store.user_of("new-token") is None


@durable
def test_bad_key_file_causes_a_clear_error(location: StoreLocation, store: BlockingStore) -> None:
    """A store does not open if its key is missing or if other users can read the key file.

    The error contains the file's name but no key.
    """
    store.close()
    file = location.key_file
    key = file.read_text()
    for content, mode, reason in (
        ("\nA==\n", 0o600, "does not contain the store's key .*; restore the file from a backup"),
        (key, 0o640, "chmod 600"),
        (None, 0o600, "cannot read the store's master keys: No such file"),
    ):
        file.unlink()
        if content is not None:
            file.write_text(content)
            file.chmod(mode)
        with pytest.raises(StoreError, match=f"{file}.*{reason}") as error:
            location.store().open(FIXTURES)
        for secret in (key.strip(), content or key):
            assert secret not in str(error.value)


COPY = """
UPDATE flashback_mock_credential SET sealed = (
    SELECT other.sealed FROM flashback_mock_credential other
    JOIN flashback_mock_configuration ON id = other.configuration
    WHERE name = '{name}' AND other.field = 'key' AND other.in_use
)
WHERE field = 'secret' AND in_use AND configuration = (
    SELECT id FROM flashback_mock_configuration WHERE name = 'OpenAI in production'
)
"""
CANNOT_BE_DECRYPTED = "cannot be decrypted because it was damaged or copied"


@durable
def test_moved_credential_cannot_be_decrypted(
    location: StoreLocation, store: BlockingStore
) -> None:
    """A credential moved to another field, configuration or workspace cannot be decrypted.

    An update can replace the moved credential with a valid one.
    """
    store.close()
    for user, move in (
        (OWNER, COPY.format(name="OpenAI in production")),
        (OWNER, COPY.format(name="Anthropic in staging")),
        ("stranger-token", "UPDATE flashback_mock_configuration SET workspace='globex', name=NULL"),
    ):
        location.sql(move)
        with location.opened() as again:
            with pytest.raises(StoreError, match=CANNOT_BE_DECRYPTED):
                again.find(MAIN).has("secret", "made-up-secret-key")
            again.update(user, MAIN, {"secret": "new", "key": "new"})
            assert again.find(MAIN).has("secret", "new")


@durable
def test_store_without_an_id_is_rejected(location: StoreLocation, store: BlockingStore) -> None:
    """A store cannot be opened if its row in the `flashback_mock_store` table was deleted."""
    store.close()
    location.sql("DELETE FROM flashback_mock_store")
    with pytest.raises(StoreError, match="table flashback_mock_store is empty; restore"):
        location.store().open(FIXTURES)


@durable
def test_failed_rotation_changes_nothing(location: StoreLocation, store: BlockingStore) -> None:
    """If a credential cannot be decrypted, a key rotation does not change any credentials.

    After the damaged credential is replaced, the next rotation succeeds.
    """
    store.update(OWNER, SIBLING, {"secret": "sibling's"})
    before = location.vaults()
    store.close()
    location.sql(COPY.format(name="OpenAI in production"))
    with location.opened() as again:
        with pytest.raises(StoreError, match=CANNOT_BE_DECRYPTED):
            again.rotate()
        assert len(location.vaults()) == 2
        assert again.find(SIBLING).has("secret", "sibling's")
        again.update(OWNER, MAIN, {"secret": "new"})
        rotated = again.rotate()
        assert again.find(MAIN).has("secret", "new")
    (left,) = location.vaults()
    assert left.key_id not in {vault.key_id for vault in before}
    with location.opened() as again:
        assert again.find(SIBLING).has("secret", "sibling's")
    rows = location.sql("SELECT sealed FROM flashback_mock_credential WHERE in_use")
    assert [row[0][:ID_BYTES] for row in rows] == [left.key_id] * rotated
