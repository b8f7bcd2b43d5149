"""Tests for every kind of store: in memory, in a file and in PostgreSQL."""

import gc
from contextlib import nullcontext
from typing import Any

import pytest

from flashback_mock.fixtures import Configuration, Fixtures, Member, Token
from flashback_mock.stores import (
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    RefusedError,
    Store,
    StoreError,
    UnauthorizedError,
)
from flashback_mock.stores.memory import MemoryStore
from tests.mock.stores.locations import CONTRACT, FIXTURES, MAIN, OWNER, SIBLING, Run, StoreLocation

EXAMPLE = CONTRACT.examples["everything"]
durable = pytest.mark.parametrize("location", ["file", "postgresql"], indirect=True)


def test_every_field_is_kept(store: Store, run: Run) -> None:
    """An update stores every field.

    For a credential, the store shows only that it is set and when it last changed.
    """
    assert run(store.update(OWNER, MAIN, EXAMPLE)) == "owner"
    stored = run(store.configuration(MAIN))
    for name in CONTRACT.credentials:
        shown = stored.pop(name)
        assert shown["set"] is True
        assert shown["changedAt"].endswith("+00:00")
        assert run(store.reveals(MAIN, name, EXAMPLE[name]))
        assert not run(store.reveals(MAIN, name, EXAMPLE[name] + "x"))
    plain = {name: EXAMPLE[name] for name in EXAMPLE.keys() - CONTRACT.credentials}
    assert stored == {"workspace": "acme", **plain}


def test_credentials_are_kept_unchanged(store: Store, run: Run) -> None:
    """A credential can contain any character and have any length that the contract allows."""
    for value in ("x" * 8192, "short", "\U0001f511" * 8192, "a\0b\r\n'é", "lone \ud800"):
        run(store.update(OWNER, MAIN, {"secret": value}))
        assert run(store.reveals(MAIN, "secret", value))


def test_memory_contains_no_plaintext_credential(run: Run) -> None:
    """The in-memory store keeps no reference to an unencrypted credential or a token."""
    store = MemoryStore(CONTRACT.credentials)
    run(store.open(FIXTURES))
    run(store.update(OWNER, MAIN, {"name": "a plain name", "secret": "a new secret"}))
    reachable = reachable_strings(store)
    assert "a plain name" in reachable
    assert not reachable & {"a new secret", "made-up-access-key", b"a new secret", OWNER}


def reachable_strings(store: Store) -> set[str | bytes]:
    """Return all strings and bytes objects that are reachable from the store's attributes."""
    texts = set[str | bytes]()
    seen = set[int]()
    found: list[Any] = [*vars(store).values()]
    while found:
        reachable = found.pop()
        if isinstance(reachable, str | bytes):
            texts.add(reachable)
        elif not isinstance(reachable, type) and id(reachable) not in seen:
            seen.add(id(reachable))
            found += gc.get_referents(reachable)
    return texts


def test_rejected_or_empty_update_changes_nothing(store: Store, run: Run) -> None:
    """A rejected or empty update changes no field.

    Each reason for rejection has its own error class, and the error identifies the user.
    """
    new = {"key": "new"}
    taken = {"name": "Anthropic in staging", **new}
    before = run(store.configuration(MAIN))
    for token, id, changes, refusal in (
        ("unknown", MAIN, new, UnauthorizedError),
        ("expired-token", MAIN, new, UnauthorizedError),
        ("unknown", "unknown", {}, UnauthorizedError),
        (OWNER, "unknown", new, NotFoundError),
        (OWNER, f"{MAIN}\0", new, NotFoundError),
        ("reader-token", MAIN, new, ForbiddenError),
        ("stranger-token", MAIN, new, ForbiddenError),
        ("reader-token", MAIN, {}, ForbiddenError),
        ("admin-token", MAIN, taken, NameTakenError),
        (OWNER, MAIN, {}, None),
    ):
        with pytest.raises(refusal) if refusal else nullcontext() as refused:
            assert run(store.update(token, id, changes)) == "owner"
        if refused and isinstance(refused.value, RefusedError):
            assert refused.value.user == token.removesuffix("-token")
        assert run(store.configuration(MAIN)) == before
        assert run(store.reveals(MAIN, "key", "made-up-access-key"))


def test_names_are_compared_by_code_point(store: Store, run: Run) -> None:
    """Names that differ only in case, Unicode normalization or trailing spaces are distinct."""
    for sibling, main in (("Caf\u00e9", "Cafe\u0301"), ("openai", "OpenAI"), ("a", "a ")):
        run(store.update(OWNER, SIBLING, {"name": sibling}))
        run(store.update(OWNER, MAIN, {"name": main}))
        assert run(store.configuration(MAIN))["name"] == main
    run(store.update(OWNER, MAIN, {"name": "a "}))  # a configuration can keep its own name


def test_additions_do_not_replace_anything(store: Store, run: Run) -> None:
    """Added members, tokens and configurations do not replace existing ones."""
    added = Configuration("", "acme", "new\0id", {"aiType": "AWS", "secret": "s"})
    members = (Member("acme", "new", "READ"),)
    run(store.add(Fixtures((Token("new-token", "new"),), members, (added,))))
    assert run(store.user_of("new-token")) == "new"
    assert run(store.reveals(added.id, "secret", "s"))
    assert run(store.configurations())[added.id] == "acme"
    assert MAIN in run(store.configurations())


def test_adding_configurations_is_atomic(store: Store, run: Run) -> None:
    """If one configuration's id or name is already taken, none of the configurations is added."""
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


def test_access_level_can_be_changed(store: Store, run: Run) -> None:
    """Adding an existing member again changes the member's access level."""
    run(store.add(Fixtures(members=(Member("acme", "reader", "WRITE"),))))
    assert run(store.update("reader-token", MAIN, {"name": "n"})) == "reader"


def test_token_can_be_revoked(store: Store, run: Run) -> None:
    """A revoked token is invalid until it is added again."""
    run(store.revoke_token(OWNER))
    assert run(store.user_of(OWNER)) is None
    for operation in (store.update(OWNER, MAIN, {"name": "n"}), store.revoke_token(OWNER)):
        with pytest.raises(UnauthorizedError):
            run(operation)
    assert run(store.user_of("admin-token")) == "admin"
    run(store.add(Fixtures(tokens=(Token(OWNER, "owner"),))))
    assert run(store.user_of(OWNER)) == "owner"


def test_configuration_can_be_deleted(store: Store, run: Run) -> None:
    """A deleted configuration is not found, and its id and name can be reused."""
    name = run(store.configuration(MAIN))["name"]
    run(store.delete_configuration(MAIN))
    assert MAIN not in run(store.configurations())
    for operation in (
        store.configuration(MAIN),
        store.reveals(MAIN, "key", "k"),
        store.delete_configuration(MAIN),
        store.update(OWNER, MAIN, {"name": "n"}),
    ):
        with pytest.raises(NotFoundError):
            run(operation)
    again = Configuration("", "acme", MAIN, {"name": name, "key": "k"})
    run(store.add(Fixtures(configurations=(again,))))
    assert run(store.configuration(MAIN)).keys() == {"workspace", "name", "key"}
    assert run(store.reveals(MAIN, "key", "k"))


def test_reset_restores_the_fixtures(store: Store, run: Run) -> None:
    """After a reset, the store contains exactly the fixtures."""
    before = run(store.configuration(MAIN))
    run(store.update(OWNER, MAIN, EXAMPLE))
    run(store.delete_configuration(SIBLING))
    added = Configuration("", "acme", "new", {"key": "k"})
    run(store.add(Fixtures((Token("new-token", "new"),), (), (added,))))
    run(store.reset(FIXTURES))
    after = run(store.configuration(MAIN))
    for name in ("name", "aiType", "endpoint"):
        assert after[name] == before[name]
    assert run(store.reveals(MAIN, "secret", "made-up-secret-key"))
    assert run(store.user_of("new-token")) is None
    assert run(store.configurations()).keys() == {given.id for given in FIXTURES.configurations}


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
        ("", 0o600, "does not contain the store's key"),
        ("not a key", 0o600, "does not contain the store's key"),
        (f"{'A' * 43}=", 0o600, "does not contain the store's key"),
        (key, 0o640, "chmod 600"),
        (None, 0o600, "cannot read the store's master keys: No such file"),
    ):
        file.unlink()
        if content is not None:
            file.write_text(content)
            file.chmod(mode)
        with pytest.raises(StoreError, match=f"{file}: .*{reason}") as error:
            run(location.store().open(FIXTURES))
        for secret in (key.strip(), content or key):
            assert secret not in str(error.value)


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
CANNOT_BE_DECRYPTED = "cannot be decrypted, because it was damaged or moved"


@durable
def test_moved_credential_cannot_be_decrypted(
    location: StoreLocation, store: Store, run: Run
) -> None:
    """A credential moved to another field, configuration or workspace cannot be decrypted.

    An update replaces it with a valid one.
    """
    run(store.close())
    for token, move in (
        (OWNER, COPY.format(name="OpenAI in production")),
        (OWNER, COPY.format(name="Anthropic in staging")),
        ("stranger-token", "UPDATE flashback_mock_configuration SET workspace='globex', name=NULL"),
    ):
        location.sql(move)
        with location.opened(run) as again:
            with pytest.raises(StoreError, match=CANNOT_BE_DECRYPTED):
                run(again.reveals(MAIN, "secret", "made-up-secret-key"))
            run(again.update(token, MAIN, {"secret": "new", "key": "new"}))
            assert run(again.reveals(MAIN, "secret", "new"))


@durable
def test_failed_rotation_changes_nothing(location: StoreLocation, store: Store, run: Run) -> None:
    """If one credential cannot be decrypted, a key rotation does not re-encrypt any credential.

    After the damaged credential is replaced, the next rotation succeeds.
    """
    run(store.update(OWNER, SIBLING, {"secret": "sibling's"}))
    before = location.vaults()
    run(store.close())
    location.sql(COPY.format(name="OpenAI in production"))
    with location.opened(run) as again:
        with pytest.raises(StoreError, match=CANNOT_BE_DECRYPTED):
            run(again.rotate())
        assert len(location.vaults()) == 2
        assert run(again.reveals(SIBLING, "secret", "sibling's"))
        run(again.update(OWNER, MAIN, {"secret": "new"}))
        rotated = run(again.rotate())
        assert run(again.reveals(MAIN, "secret", "new"))
    (left,) = location.vaults()
    assert left.key_id not in {vault.key_id for vault in before}
    with location.opened(run) as again:
        assert run(again.reveals(SIBLING, "secret", "sibling's"))
    rows = location.sql("SELECT sealed FROM flashback_mock_credential WHERE changed IS NOT NULL")
    assert [row[0][:4] for row in rows] == [left.key_id] * rotated
