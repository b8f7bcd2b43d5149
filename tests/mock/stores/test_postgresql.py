"""Tests for PostgreSQL stores: concurrency, crashes, timeouts, TLS and connection errors."""

import asyncio
import re
import time
from collections.abc import Coroutine
from contextlib import nullcontext, suppress
from itertools import count
from typing import Any

import asyncpg
import pytest

from flashback_mock.fixtures import Fixtures, Member
from flashback_mock.stores import postgresql
from flashback_mock.stores.errors import NameTakenError, StoreError
from flashback_mock.stores.store import Store
from flashback_mock.stores.vault import SMALLEST, Vault
from tests.mock.stores.cluster import PASSWORD, Cluster
from tests.mock.stores.locations import FIXTURES, MAIN, OWNER, SIBLING, StoreLocation

Operation = Coroutine[Any, Any, Any]
PLAIN_PASSWORD = PASSWORD.replace("%40", "@")
LOCK_ROW = "SELECT FROM flashback_mock_configuration WHERE name = 'OpenAI in production' FOR UPDATE"
LOCK_SECRETS = "SELECT FROM flashback_mock_credential FOR UPDATE"
COUNT_WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE application_name = 'flashback-mock' AND wait_event_type = 'Lock'"
)
pytestmark = pytest.mark.parametrize("location", ["postgresql"], indirect=True)


def test_processes_share_a_store(location: StoreLocation) -> None:
    """Two processes that start at the same time with an empty schema share one new store.

    The URL sets an isolation level under which concurrent updates would fail, but the store
    overrides this setting.
    """
    location.address = f"{location.address}&default_transaction_isolation=serializable"
    one = location.store()
    other = location.store()
    location.concurrently(one.store.open(FIXTURES), other.store.open(FIXTURES))
    assert len(location.sql("SELECT FROM flashback_mock_configuration")) == 3
    one.update(OWNER, MAIN, {"name": "From one"})
    with pytest.raises(NameTakenError):
        other.update(OWNER, SIBLING, {"name": "From one"})
    for _ in range(10):
        name = one.store.update(OWNER, MAIN, {"name": "Both"})
        endpoint = other.store.update(OWNER, MAIN, {"endpoint": "https://both.example"})
        location.concurrently(name, endpoint)
    stored = other.find(MAIN).plain
    assert (stored["name"], stored["endpoint"]) == ("Both", "https://both.example")
    one.close()
    other.close()


def test_null_character_causes_a_clear_error(location: StoreLocation) -> None:
    """The error says that PostgreSQL cannot store U+0000 in the name of a workspace or user."""
    member = Member("acme\0", "owner", "READ")
    with location.opened() as store, pytest.raises(StoreError, match="cannot store"):
        store.add(Fixtures(members=(member,)))


def test_other_encoding_causes_a_clear_error(location: StoreLocation, cluster: Cluster) -> None:
    """In a database that is not encoded in UTF-8, a valid name can fail; the error says why."""
    cluster.sql("DROP DATABASE IF EXISTS latin")
    cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    location.address = cluster.url().replace("/postgres?", "/latin?")
    with location.opened() as store, pytest.raises(StoreError, match="-E UTF8"):
        store.update(OWNER, MAIN, {"name": "€"})


def test_rotation_and_updates_wait_for_each_other(location: StoreLocation) -> None:
    """Concurrent rotations and updates wait for each other and lose no data.

    After the last rotation, every credential is encrypted with the new key, which is the only one
    left.
    """
    with location.opened() as one, location.opened() as other:
        before = other.store.update(OWNER, MAIN, {"secret": "before"})
        run_concurrently(location, LOCK_ROW, before, one.store.rotate())
        assert one.find(MAIN).has("secret", "before")
        after = other.store.update(OWNER, MAIN, {"secret": "after"})
        run_concurrently(location, LOCK_SECRETS, one.store.rotate(), after)
        assert one.find(MAIN).has("secret", "after")
        assert other.find(MAIN).has("key", "made-up-access-key")
        run_concurrently(location, LOCK_SECRETS, one.store.rotate(), other.store.rotate())
        assert len(location.vaults()) == 1
        one.update(OWNER, MAIN, {"key": "after both"})
        assert other.find(MAIN).has("key", "after both")
        assert one.find(MAIN).has("secret", "after")


def run_concurrently(location: StoreLocation, lock: str, *operations: Operation) -> None:
    """Start the operations in order while a lock blocks the first one; then release the lock."""

    async def work() -> None:
        session = await asyncpg.connect(location.address)
        await session.execute(f"BEGIN; {lock}")
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for number, operation in enumerate(operations, 1):
                tasks.create_task(operation)
                while await session.fetchval(COUNT_WAITING) < number:  # noqa: ASYNC110 - polls
                    await asyncio.sleep(0.01)
            await session.close()

    location.runner.run(work())


def test_process_without_the_new_key_changes_nothing(location: StoreLocation) -> None:
    """A process that cannot read the new key rejects updates until the key is readable."""
    with location.opened() as other, location.opened() as rotating:
        old = location.key_file.read_bytes()
        rotating.rotate()
        new = location.key_file.read_bytes()
        location.key_file.write_bytes(old)
        with pytest.raises(StoreError, match="does not contain the store's key"):
            other.update(OWNER, MAIN, {"secret": "new"})
        assert rotating.find(MAIN).has("secret", "made-up-secret-key")
        location.key_file.write_bytes(new)
        other.update(OWNER, MAIN, {"secret": "new"})
        assert rotating.find(MAIN).has("secret", "new")


def test_server_crash_loses_no_update(location: StoreLocation, cluster: Cluster) -> None:
    """Acknowledged updates survive a server crash, even if the URL enables asynchronous commits.

    While the server is down, updates fail and the error gives the reason. After a restart, updates
    succeed again.
    """
    cluster.sql("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    location.address = f"{location.address}&synchronous_commit=off"
    with location.opened() as store:
        failed = location.runner.run(update_during_crash(store.store, cluster))
        with pytest.raises(StoreError, match=r"cannot connect .* is the server running, and"):
            store.update(OWNER, MAIN, {"name": "lost"})
        cluster.start()
        assert int(store.find(MAIN).plain["name"]) in (failed - 1, failed)
        store.update(OWNER, MAIN, {"name": "found"})
    cluster.sql("ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")


async def update_during_crash(store: Store, cluster: Cluster) -> int:
    """Stop the server during numbered updates; return the number of the first update that fails."""
    with suppress(StoreError):
        for number in count(1):
            await store.update(OWNER, MAIN, {"name": str(number)})
            if number == 5:
                crash = asyncio.create_task(asyncio.to_thread(cluster.stop))
    await crash
    return number


def test_restart_between_updates_is_transparent(location: StoreLocation, cluster: Cluster) -> None:
    """The store replaces connections that the server has closed since the last update."""
    with location.opened() as store:
        store.update(OWNER, MAIN, {"name": "before"})
        with cluster.stopped():
            pass
        # Let the event loop notice that the connection is closed.
        location.runner.run(asyncio.sleep(0.1))
        store.update(OWNER, MAIN, {"name": "after"})


def test_update_times_out(
    location: StoreLocation, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update fails within seconds if a row is locked or if the server does not respond."""
    monkeypatch.setattr(postgresql, "SECONDS", 1)
    with location.opened() as store:
        session = location.runner.run(asyncpg.connect(location.address))
        location.runner.run(session.execute(f"BEGIN; {LOCK_ROW}"))
        for cause, reason in (
            (nullcontext(), "another session held a lock for too long"),
            (cluster.suspended(), "the server did not respond in time"),
        ):
            started = time.monotonic()
            with cause, pytest.raises(StoreError, match=reason):
                store.update(OWNER, MAIN, {"name": "in vain"})
            assert time.monotonic() - started < 6
        location.runner.run(session.close())
        store.update(OWNER, MAIN, {"name": "after"})


def test_store_closes_even_if_the_server_does_not_respond(
    location: StoreLocation, cluster: Cluster
) -> None:
    """The mock promptly closes all of its connections even if the server does not respond."""
    store = location.store()
    store.open(FIXTURES)
    users = location.concurrently(*[store.store.user_of(OWNER) for _ in range(8)])
    assert set(users) == {"owner"}
    with cluster.suspended():
        started = time.monotonic()
        store.close()
        assert time.monotonic() - started < 4


def test_rotation_makes_replaced_credentials_unreadable(
    location: StoreLocation, cluster: Cluster
) -> None:
    """Replaced credentials stay in the server's files, but a key rotation makes them unreadable."""
    replaced = {f"replaced-{number}" for number in range(5)}
    with location.opened() as store:
        for secret in (*replaced, "live"):
            store.update(OWNER, MAIN, {"secret": secret})
    with cluster.stopped():
        assert recover_secrets(cluster, location.vaults()) >= {"live", *replaced}
    with location.opened() as store:
        store.rotate()
    with cluster.stopped():
        assert recover_secrets(cluster, location.vaults()) == {"live"}


def recover_secrets(cluster: Cluster, vaults: list[Vault]) -> set[str]:
    """Return the secrets that the vaults can decrypt from the server's files."""
    found = set[str]()
    for file in (path for path in cluster.folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for vault in vaults:
            for match in re.finditer(re.escape(vault.key_id), content):
                sealed = content[match.start() : match.start() + SMALLEST]
                with suppress(StoreError, ValueError):  # `sealed` is not a complete credential
                    found.add(vault.open(sealed, "acme", MAIN, "secret"))
    return found


def test_malformed_url_is_rejected(location: StoreLocation) -> None:
    """A malformed URL is rejected, and the error does not contain the URL's password."""
    urls = ("postgresql+asyncpg://u:hush@h/d", "Postgresql:/u:hush@h/d", "postgresql:u:hush@h/d")
    for url in urls:
        location.address = url
        with pytest.raises(ValueError, match="postgresql://user@host:port/") as error:
            location.store()
        assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://hush:hush@127.0.0.1:{port}/postgres", "the server rejected the password"),
        ("postgresql://guest:hush@127.0.0.1:{port}/postgres", "GRANT CREATE, USAGE ON SCHEMA"),
        ("{good}none", "the database does not exist; create it with createdb"),
        ("{good}?search_path=nowhere", "the schema does not exist; run CREATE SCHEMA"),
        ("postgresql://u:hush@127.0.0.1:1/d", "cannot connect to the server: "),
        ("postgresql://u:hush/hush@127.0.0.1/d", "the URL cannot be used; expected postgresql://"),
        ("{good}?sslmode=verify-full", "sslmode=verify-full also requires sslrootcert=FILE"),
        ("{good}?sslmode=require", "does it support the URL's sslmode?"),
    ],
)
def test_connection_error_states_the_reason_and_the_remedy(
    location: StoreLocation, cluster: Cluster, url: str, reason: str
) -> None:
    """A connection error gives the reason and the remedy but does not contain the password."""
    cluster.sql("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'hush'")
    location.address = url.format(port=cluster.port, good=cluster.url().rstrip("?"))
    store = location.store()
    with pytest.raises(StoreError, match=re.escape(reason)) as error:
        store.open(FIXTURES)
    for text in (str(error.value), repr(store.store), store.store.location):
        assert not any(secret in text for secret in ("hush", PASSWORD, PLAIN_PASSWORD))
