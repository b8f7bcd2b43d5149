"""What every store promises: in memory, in a file and in PostgreSQL."""

import asyncio
import base64
import gc
import os
import re
import signal
import subprocess
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
from tests.mock.stores.conftest import CONTRACT, FIXTURES, MAIN, OWNER, SIBLING, Place, Run, rotate

EXAMPLE = CONTRACT.examples["everything"]
durable = pytest.mark.parametrize("place", ["file", "postgresql"], indirect=True)


def configurations(count: int) -> Fixtures:
    """Return configurations with two credentials each."""
    given = (
        Configuration("", "acme", f"id-{n}", {"key": f"key-{n}", "secret": f"secret-{n}"})
        for n in range(count)
    )
    return Fixtures(configurations=tuple(given))


def test_every_field_is_kept(store: Store, run: Run) -> None:
    """An update stores every field; of a credential the store shows only when it changed."""
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


@pytest.mark.parametrize("value", ["x" * 8192, "\U0001f511" * 8192, "a\0b\r\n'é"])
def test_credentials_are_kept_unchanged(store: Store, run: Run, value: str) -> None:
    """A credential may contain any character, and have any size that the contract allows."""
    run(store.update(OWNER, MAIN, {"secret": value}))
    assert run(store.reveals(MAIN, "secret", value))
    run(store.update(OWNER, MAIN, {"secret": "next"}))  # probably of another size class
    assert run(store.reveals(MAIN, "secret", "next"))


def test_memory_holds_no_plain_credential(run: Run) -> None:
    """Nothing that the store in memory refers to contains a credential as it was sent."""
    store = MemoryStore(CONTRACT.credentials)
    run(store.open(FIXTURES))
    run(store.update(OWNER, MAIN, {"name": "a plain name", "secret": "a new secret"}))
    held = texts_of(store)
    assert "a plain name" in held
    assert not held & {"a new secret", "made-up-access-key", b"a new secret", OWNER}


def texts_of(store: Store) -> set[str | bytes]:
    """Return every string and bytes object that a store's attributes refer to."""
    texts = set[str | bytes]()
    seen = set[int]()
    found: list[Any] = [*vars(store).values()]
    while found:
        held = found.pop()
        if isinstance(held, str | bytes):
            texts.add(held)
        elif not isinstance(held, type) and id(held) not in seen:
            seen.add(id(held))
            found += gc.get_referents(held)
    return texts


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("unknown", MAIN, {"key": "new"}), UnauthorizedError),
        (("expired-token", MAIN, {"key": "new"}), UnauthorizedError),
        (("unknown", "unknown", {}), UnauthorizedError),
        ((OWNER, "unknown", {"key": "new"}), NotFoundError),
        ((OWNER, f"{MAIN}\0", {"key": "new"}), NotFoundError),
        (("reader-token", MAIN, {"key": "new"}), ForbiddenError),
        (("stranger-token", MAIN, {"key": "new"}), ForbiddenError),
        (("reader-token", MAIN, {}), ForbiddenError),
        ((OWNER, MAIN, {}), None),
        (("admin-token", MAIN, {"name": "Anthropic in staging", "key": "new"}), NameTakenError),
    ],
)
def test_refused_or_empty_update_changes_nothing(
    store: Store,
    run: Run,
    arguments: tuple[str, str, dict[str, str]],
    refusal: type[Exception] | None,
) -> None:
    """A refused update raises the error of its reason, names the user, and changes no field."""
    before = run(store.configuration(MAIN))
    with pytest.raises(refusal) if refusal else nullcontext() as refused:
        assert run(store.update(*arguments)) == "owner"
    if refused and isinstance(refused.value, RefusedError):
        assert refused.value.user == arguments[0].removesuffix("-token")
    assert run(store.configuration(MAIN)) == before
    assert run(store.reveals(MAIN, "key", "made-up-access-key"))


def test_names_are_compared_by_code_point(store: Store, run: Run) -> None:
    """Names that differ in case, normal form or trailing blanks are different names."""
    for sibling, main in (("Caf\u00e9", "Cafe\u0301"), ("openai", "OpenAI"), ("a", "a ")):
        run(store.update(OWNER, SIBLING, {"name": sibling}))
        run(store.update(OWNER, MAIN, {"name": main}))
        assert run(store.configuration(MAIN))["name"] == main
    run(store.update(OWNER, MAIN, {"name": "a "}))  # its own name is not taken


def test_concurrent_updates_all_survive(store: Store, run: Run) -> None:
    """Concurrent updates of different fields of one configuration are all kept."""
    fields = ("name", "endpoint", "key", "secret")

    async def update() -> None:
        for number in range(10):
            changes = ({field: f"{field} {number}"} for field in fields)
            await asyncio.gather(*(store.update(OWNER, MAIN, change) for change in changes))

    run(update())
    stored = run(store.configuration(MAIN))
    assert (stored["name"], stored["endpoint"]) == ("name 9", "endpoint 9")
    assert run(store.reveals(MAIN, "key", "key 9"))
    assert run(store.reveals(MAIN, "secret", "secret 9"))


def test_additions_are_kept(store: Store, run: Run) -> None:
    """Added members, tokens and configurations are stored next to the existing ones."""
    added = Configuration("", "acme", "new\0id", {"aiType": "AWS", "secret": "s"})
    members = (Member("acme", "new", "READ"),)
    run(store.add(Fixtures((Token("new-token", "new"),), members, (added,))))
    assert run(store.user_of("new-token")) == "new"
    assert run(store.reveals(added.id, "secret", "s"))
    assert run(store.configurations())[added.id] == "acme"
    assert MAIN in run(store.configurations())


@pytest.mark.parametrize(
    ("id", "name"),
    [(MAIN, "n"), ("first", "n"), ("new", "OpenAI in production"), ("new", "of the first")],
)
def test_configurations_are_added_all_or_none(store: Store, run: Run, id: str, name: str) -> None:
    """If the id or the name of one configuration is taken, none is added."""
    before = run(store.configurations())
    first = Configuration("", "acme", "first", {"name": "of the first"})
    second = Configuration("", "acme", id, {"name": name})
    with pytest.raises(NameTakenError):
        run(store.add(Fixtures(configurations=(first, second))))
    assert run(store.configurations()) == before


def test_access_level_of_a_member_can_change(store: Store, run: Run) -> None:
    """Adding a member again changes the access level."""
    run(store.add(Fixtures(members=(Member("acme", "reader", "WRITE"),))))
    assert run(store.update("reader-token", MAIN, {"name": "n"})) == "reader"


def test_tokens_can_be_expired_and_revoked(store: Store, run: Run) -> None:
    """An expired and a revoked token authenticate no one; adding a token again restores it."""
    for end in (store.expire_token, store.revoke_token):
        run(store.add(Fixtures(tokens=(Token(OWNER, "owner"),))))
        assert run(store.user_of(OWNER)) == "owner"
        run(end(OWNER))
        assert run(store.user_of(OWNER)) is None
        with pytest.raises(UnauthorizedError):
            run(store.update(OWNER, MAIN, {"name": "n"}))
        with pytest.raises(UnauthorizedError):
            run(end("unknown"))
    assert run(store.user_of("admin-token")) == "admin"


def test_configuration_can_be_deleted(store: Store, run: Run) -> None:
    """A deleted configuration is not found; its id and name can be used again."""
    name = run(store.configuration(MAIN))["name"]
    run(store.delete_configuration(MAIN))
    assert MAIN not in run(store.configurations())
    assert not run(store.reveals(MAIN, "secret", "made-up-secret-key"))
    for work in (store.configuration(MAIN), store.delete_configuration(MAIN)):
        with pytest.raises(NotFoundError):
            run(work)
    with pytest.raises(NotFoundError):
        run(store.update(OWNER, MAIN, {"name": "n"}))
    again = Configuration("", "acme", MAIN, {"name": name, "key": "k"})
    run(store.add(Fixtures(configurations=(again,))))
    assert run(store.configuration(MAIN)).keys() == {"workspace", "name", "key"}
    assert run(store.reveals(MAIN, "key", "k"))


def test_reset_restores_the_fixtures(store: Store, run: Run) -> None:
    """A reset forgets everything but the fixtures."""
    before = run(store.configuration(MAIN))
    run(store.update(OWNER, MAIN, EXAMPLE))
    run(store.delete_configuration(SIBLING))
    run(store.add(Fixtures((Token("new-token", "new"),), (), configurations(3).configurations)))
    run(store.reset(FIXTURES))
    after = run(store.configuration(MAIN))
    for name in ("name", "aiType", "endpoint"):
        assert after[name] == before[name]
    assert run(store.reveals(MAIN, "secret", "made-up-secret-key"))
    assert run(store.user_of("new-token")) is None
    assert run(store.configurations()).keys() == {given.id for given in FIXTURES.configurations}


@durable
def test_reopened_store_keeps_its_state(place: Place, store: Store, run: Run) -> None:
    """A reopened store keeps its state; fixtures do not overwrite it."""
    run(store.update(OWNER, MAIN, EXAMPLE))
    before = run(store.configuration(MAIN))
    run(store.close())
    with place.opened(run) as again:
        assert run(again.configuration(MAIN)) == before
        assert run(again.reveals(MAIN, "secret", EXAMPLE["secret"]))
        assert run(again.user_of(OWNER)) == "owner"


@durable
def test_missing_store_is_not_created_by_accident(place: Place, run: Run) -> None:
    """Without fixtures, opening a store that does not exist fails and creates no keys."""
    with pytest.raises(StoreError):
        run(place.store().open(None))
    assert not place.home.exists()
    with place.opened(run, is_new=True):
        pass


@durable
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read the master keys of the store: No such file"),
        (b"", "contains no key"),
        (b"\xff\xfe\n", "key 1 is not 32 bytes in Base64"),
        (base64.b64encode(bytes(range(32))), "contains the keys of another store"),
    ],
)
def test_wrong_keys_are_a_clear_error(
    place: Place, store: Store, run: Run, content: bytes | None, reason: str
) -> None:
    """Without its keys, or if others can read them, a store does not open.

    The error names their file and quotes no key.
    """
    run(store.close())
    file = place.key_file
    right = file.read_text().strip()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(StoreError, match=re.escape(reason)) as error:
        run(place.store().open(FIXTURES))
    assert str(file) in str(error.value)
    assert right not in str(error.value)
    assert not content or content.decode("latin-1").strip() not in str(error.value)
    if content:
        file.chmod(0o640)
        with pytest.raises(StoreError, match="chmod 600"):
            run(place.store().open(FIXTURES))


COPY = """
UPDATE flashback_mock_credential SET sealed = (
    SELECT other.sealed FROM flashback_mock_credential other
    JOIN flashback_mock_configuration ON id = other.configuration
    WHERE name = '{name}' AND other.field = 'key'
)
WHERE field = 'secret' AND configuration = (
    SELECT id FROM flashback_mock_configuration WHERE name = 'OpenAI in production'
)
"""


@durable
@pytest.mark.parametrize(
    ("move", "token"),
    [
        (COPY.format(name="OpenAI in production"), OWNER),
        (COPY.format(name="Anthropic in staging"), OWNER),
        ("UPDATE flashback_mock_configuration SET workspace='globex', name=NULL", "stranger-token"),
    ],
    ids=["from another field", "from another configuration", "to another workspace"],
)
def test_moved_credential_does_not_open(
    place: Place, store: Store, run: Run, move: str, token: str
) -> None:
    """A sealed credential that is moved in the database does not open at its new place."""
    run(store.close())
    place.sql(move)
    with place.opened(run) as again:
        with pytest.raises(StoreError, match="cannot be decrypted: it was damaged or moved"):
            run(again.reveals(MAIN, "secret", "made-up-secret-key"))
        run(again.update(token, MAIN, {"secret": "new"}))
        assert run(again.reveals(MAIN, "secret", "new"))


@durable
def test_other_schema_version_is_refused(place: Place, store: Store, run: Run) -> None:
    """A store of another version of the mock is refused."""
    run(store.close())
    place.sql("UPDATE flashback_mock_store SET version = 9")
    with pytest.raises(StoreError, match=r"another version of the mock \(schema 9, expected 1\)"):
        run(place.store().open(FIXTURES))
    assert place.sql("SELECT version FROM flashback_mock_store") == [(9,)]


@durable
def test_keys_in_the_environment_rotate(place: Place, run: Run) -> None:
    """With the new key first in the environment, a rotation makes the old one unnecessary."""
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    with (
        place.opened(run, is_new=True, FLASHBACK_MOCK_KEYS=old) as first,
        pytest.raises(StoreError, match="put the new key before the one that it replaces"),
    ):
        run(rotate(first))
    with place.opened(run, FLASHBACK_MOCK_KEYS=f"{new},{old}") as both:
        assert run(rotate(both))[-1] == (5, 5)
    with place.opened(run, FLASHBACK_MOCK_KEYS=new) as again:
        assert run(again.reveals(MAIN, "secret", "made-up-secret-key"))
    with pytest.raises(StoreError, match=r"\$FLASHBACK_MOCK_KEYS: contains the keys of another"):
        run(place.store(FLASHBACK_MOCK_KEYS=old).open(FIXTURES))


@durable
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted_rotation_resumes(
    place: Place, store: Store, run: Run, end: signal.Signals
) -> None:
    """A rotation that is stopped or killed leaves a store that works; run again, it resumes."""
    run(store.add(configurations(1500)))
    run(store.close())
    old = place.keys()
    with place.command("rotate-keys", stderr=subprocess.PIPE) as process:
        assert process.stdout
        while "200 of 3005" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(end)
        output, errors = process.communicate(timeout=20)
    assert errors == ""
    assert end == signal.SIGKILL or (process.returncode == 1 and "same command" in output)
    assert len(place.keys()) == 2
    with place.opened(run) as between:
        for number in (0, 1499):
            assert run(between.reveals(f"id-{number}", "key", f"key-{number}"))
        run(between.update(OWNER, "id-1499", {"key": "between"}))
    with place.command("rotate-keys") as process:
        output, _ = process.communicate(timeout=60)
    done, total = re.findall(r"(\d+) of (\d+)", output)[-1]
    assert done == total
    assert int(total) < 3005
    assert len(place.keys()) == 1
    assert place.keys() != old
    with place.opened(run) as after:
        for number in range(0, 1499, 100):
            assert run(after.reveals(f"id-{number}", "key", f"key-{number}"))
        assert run(after.reveals("id-1499", "key", "between"))
