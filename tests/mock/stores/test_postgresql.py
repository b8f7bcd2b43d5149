"""Tests for PostgreSQL stores: concurrency, crashes, timeouts, TLS and connection errors."""

import asyncio
import re
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from flashback_mock.stores import postgresql, store_at
from flashback_mock.stores.errors import StoreError
from flashback_mock.stores.vault import SMALLEST, Vault
from tests.certificates import self_signed
from tests.mock.stores.cluster import PASSWORD, Cluster
from tests.mock.stores.locations import CONTRACT, FIXTURES, MAIN, SIBLING, Run, StoreLocation
from tests.mock.stores.processes import running_mocks, updating

PLAIN_PASSWORD = PASSWORD.replace("%40", "@")
LOCK_ROW = "SELECT FROM flashback_mock_configuration WHERE name = 'OpenAI in production' FOR UPDATE"
LOCK_SECRETS = "SELECT FROM flashback_mock_credential FOR UPDATE"
COUNT_WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE application_name = 'flashback-mock' AND wait_event_type = 'Lock'"
)


@pytest.fixture
def location(cluster: Cluster, key_folder: Path) -> StoreLocation:
    """A location for a new store in PostgreSQL."""
    return StoreLocation(cluster.schema(), key_folder)


def test_processes_share_a_store(location: StoreLocation, run: Run) -> None:
    """Two processes that start at the same time with an empty schema share one new store.

    Updates from both processes succeed during key rotations, and every secret can be decrypted
    afterwards. The URL sets an isolation level that would hide new keys, but the store overrides
    it.
    """
    location.address = f"{location.address}&default_transaction_isolation=serializable"
    with running_mocks(location, 2) as (one, other):
        assert location.sql("SELECT count(*) FROM flashback_mock_configuration")[0][0] == 3
        assert one.put(MAIN, name="From one") == 200
        assert other.put(SIBLING, name="From one") == 400
        with ThreadPoolExecutor(2) as threads:
            for _ in range(10):
                name = threads.submit(one.put, MAIN, name="Both")
                endpoint = threads.submit(other.put, MAIN, endpoint="https://both.example")
                assert (name.result(), endpoint.result()) == (200, 200)
        stored = one.http.get(f"/__admin/configurations/{MAIN}").json()
        assert (stored["name"], stored["endpoint"]) == ("Both", "https://both.example")
        before = location.key_file.read_bytes()
        with location.opened(run) as store, updating([one, other], MAIN, SIBLING) as updates:
            for rotation in range(1, 4):
                for update in updates:
                    update.wait_for(200, 5 * rotation)
                run(store.rotate())
        assert {status for update in updates for status in update.statuses} == {200}
    assert len(location.vaults()) == 1
    assert location.key_file.read_bytes() != before
    with location.opened(run) as store:
        for update in updates:
            run(update.assert_stored(store))


def test_rotation_and_updates_wait_for_each_other(location: StoreLocation, run: Run) -> None:
    """Concurrent rotations and updates wait for each other and lose no data.

    After the last rotation, every credential is encrypted with the new key, the only one left.
    """
    with location.opened(run, is_new=True) as one, location.opened(run) as other:
        before = other.update("owner-token", MAIN, {"secret": "before"})
        run(run_concurrently(location, LOCK_ROW, before, one.rotate()))
        assert run(one.find(MAIN)).reveals("secret", "before")
        after = other.update("owner-token", MAIN, {"secret": "after"})
        run(run_concurrently(location, LOCK_SECRETS, one.rotate(), after))
        assert run(one.find(MAIN)).reveals("secret", "after")
        assert run(other.find(MAIN)).reveals("key", "made-up-access-key")
        run(run_concurrently(location, LOCK_SECRETS, one.rotate(), other.rotate()))
        assert len(location.vaults()) == 1
        run(one.update("owner-token", MAIN, {"key": "after both"}))
        assert run(other.find(MAIN)).reveals("key", "after both")
        assert run(one.find(MAIN)).reveals("secret", "after")


async def run_concurrently(
    location: StoreLocation, lock: str, *operations: Coroutine[Any, Any, Any]
) -> None:
    """Start the operations in order while a lock blocks the first one; then release the lock."""
    session = await asyncpg.connect(location.address)
    await session.execute(f"BEGIN; {lock}")
    tasks = list[asyncio.Task[Any]]()
    for operation in operations:
        tasks.append(asyncio.create_task(operation))
        for _ in range(400):
            if await session.fetchval(COUNT_WAITING) == len(tasks):
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail(f"expected {len(tasks)} sessions to wait for a lock")
    await session.close()
    await asyncio.gather(*tasks)


def test_process_without_the_new_key_changes_nothing(location: StoreLocation, run: Run) -> None:
    """A process that cannot read the new key rejects updates until the key is readable."""
    with location.opened(run, is_new=True) as other, location.opened(run) as rotating:
        old = location.key_file.read_bytes()
        run(rotating.rotate())
        new = location.key_file.read_bytes()
        location.key_file.write_bytes(old)
        with pytest.raises(StoreError, match="does not contain the store's key"):
            run(other.update("owner-token", MAIN, {"secret": "new"}))
        assert run(rotating.find(MAIN)).reveals("secret", "made-up-secret-key")
        location.key_file.write_bytes(new)
        run(other.update("owner-token", MAIN, {"secret": "new"}))
        assert run(rotating.find(MAIN)).reveals("secret", "new")


def test_server_crash_loses_no_update(location: StoreLocation, cluster: Cluster, run: Run) -> None:
    """Acknowledged updates survive a server crash, even if the URL enables asynchronous commits.

    While the server is down, updates return 500 and the log gives the reason. After a restart,
    updates succeed again.
    """
    cluster.sql("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    location.address = f"{location.address}&synchronous_commit=off"
    with running_mocks(location) as (mock,):
        with updating([mock], MAIN, SIBLING) as updates:
            for update in updates:
                update.wait_for(200, 5)
            with cluster.stopped("immediate"):
                for update in updates:
                    update.wait_for(500, 2)
                answer = mock.http.put(f"/ai/llm/{MAIN}", json={"secret": "lost"})
                for update in updates:
                    update.stopped.set()
        with location.opened(run) as store:
            for update in updates:
                run(update.assert_stored(store))
        assert mock.put(MAIN, secret="found") == 200
    cluster.sql("ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")
    assert answer.json() == {"success": False, "message": CONTRACT.message(500)}
    assert {status for update in updates for status in update.statuses} == {200, 500}
    log = location.log.read_text()
    assert "cannot connect to the server" in log
    assert "is the server running?" in log
    assert PASSWORD not in log
    assert PLAIN_PASSWORD not in log


def test_restart_between_updates_is_transparent(
    location: StoreLocation, cluster: Cluster, run: Run
) -> None:
    """The store replaces connections that the server has closed since the last update."""
    with location.opened(run, is_new=True) as store:
        run(store.update("owner-token", MAIN, {"name": "before"}))
        with cluster.stopped():
            pass
        run(asyncio.sleep(0.1))  # let the event loop notice that the connection is closed
        run(store.update("owner-token", MAIN, {"name": "after"}))


def test_update_times_out(
    location: StoreLocation, cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update fails within seconds if a row is locked or if the server does not respond."""
    assert postgresql.SECONDS == 5
    monkeypatch.setattr(postgresql, "SECONDS", 1)
    with location.opened(run, is_new=True) as store:
        session = run(asyncpg.connect(location.address))
        run(session.execute(f"BEGIN; {LOCK_ROW}"))
        for cause, reason in (
            (nullcontext(), "another session held a lock for too long"),
            (cluster.suspended(), "the server did not respond in time"),
        ):
            started = time.monotonic()
            with cause, pytest.raises(StoreError, match=reason):
                run(store.update("owner-token", MAIN, {"name": "in vain"}))
            assert time.monotonic() - started < 6
        run(session.close())
        run(store.update("owner-token", MAIN, {"name": "after"}))


def test_rotation_makes_replaced_credentials_unreadable(
    location: StoreLocation, cluster: Cluster, run: Run
) -> None:
    """Replaced credentials stay in the server's files, but a key rotation makes them unreadable."""
    replaced = {f"replaced-{number}" for number in range(5)}
    with location.opened(run, is_new=True) as store:
        for secret in (*replaced, "live"):
            run(store.update("owner-token", MAIN, {"secret": secret}))
    with cluster.stopped():
        assert recover_secrets(cluster, location.vaults()) >= {"live", *replaced}
    with location.opened(run) as store:
        run(store.rotate())
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


@pytest.fixture(scope="module")
def certificate(cluster: Cluster) -> Path:
    """Enable TLS on the server, and return the server's certificate."""
    pem = self_signed(cluster.folder / "server.pem", "127.0.0.1")
    pem.chmod(0o600)
    cluster.change_owner(pem)
    with cluster.stopped(), (cluster.folder / "data" / "postgresql.conf").open("a") as file:
        file.write(f"\nssl = on\nssl_key_file = '{pem}'\nssl_cert_file = '{pem}'\n")
    return pem


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("sslmode=require", None),
        ("sslmode=verify-full&sslrootcert={server}", None),
        (
            "sslmode=verify-full&sslrootcert={other}",
            "certificate verify failed: self-signed certificate",
        ),
    ],
)
def test_sslmode_in_the_url_is_used(
    location: StoreLocation, certificate: Path, run: Run, parameters: str, reason: str | None
) -> None:
    """`sslmode=require` encrypts the connection; `verify-full` also verifies the certificate."""
    other = self_signed(location.key_folder.parent / "other.pem", "127.0.0.1")
    given = parameters.format(server=certificate, other=other)
    location.address = location.address.replace("sslmode=disable", given)
    if reason:
        assert_does_not_open(location, run, reason)
        return
    with location.opened(run, is_new=True):
        sessions = location.sql(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'flashback-mock'"
        )
    assert [row[0] for row in sessions] == [True]


def assert_does_not_open(location: StoreLocation, run: Run, reason: str) -> None:
    """Assert that opening the store fails for this reason without revealing the password."""
    store = location.store()
    with pytest.raises(StoreError, match=re.escape(reason)) as error:
        run(store.open(FIXTURES))
    for text in (str(error.value), repr(store), store.location):
        assert not any(secret in text for secret in ("hush", PASSWORD, PLAIN_PASSWORD))


def test_malformed_url_is_rejected() -> None:
    """A malformed URL is rejected, and the error does not contain the URL's password."""
    urls = ("postgresql+asyncpg://u:hush@h/d", "Postgresql:/u:hush@h/d", "postgresql:u:hush@h/d")
    for url in urls:
        with pytest.raises(ValueError, match="postgresql://user:password@host:port/") as error:
            store_at(url, CONTRACT.credentials)
        assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://hush:hush@127.0.0.1:{port}/postgres", "the server refused the password"),
        ("postgresql://guest:hush@127.0.0.1:{port}/postgres", "GRANT CREATE, USAGE ON SCHEMA"),
        ("{good}none", "the database does not exist; create it with createdb"),
        ("{good}?search_path=nowhere", "the schema does not exist; run CREATE SCHEMA"),
        ("postgresql://u:hush@127.0.0.1:1/d", "cannot connect to the server: "),
        ("postgresql://u:hush@nowhere.invalid/d", "cannot connect to the server: "),
        ("postgresql://u:hush/hush@127.0.0.1/d", "the URL cannot be used; expected postgresql://"),
        ("{good}?sslmode=always", "the URL cannot be used; expected postgresql://"),
    ],
)
def test_connection_error_states_reason_and_remedy(
    cluster: Cluster, key_folder: Path, run: Run, url: str, reason: str
) -> None:
    """A connection error gives the reason and the remedy but does not contain the password."""
    cluster.sql("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'hush'")
    url = url.format(port=cluster.port, good=cluster.url().rstrip("?"))
    assert_does_not_open(StoreLocation(url, key_folder), run, reason)
