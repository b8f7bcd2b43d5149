"""A PostgreSQL store: shared by processes, restarts, locks, and the contents of its files."""

import asyncio
import re
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from flashback_mock.stores import Store, StoreError, postgresql, store_at
from flashback_mock.stores.vault import SMALLEST, Vault
from scripts.maintenance.postgresql import PASSWORD, Cluster
from tests.certificates import self_signed
from tests.mock.stores.places import CONTRACT, FIXTURES, MAIN, OWNER, SIBLING, Place, Run
from tests.mock.stores.processes import mocks_on, updating

PLAIN_PASSWORD = PASSWORD.replace("%40", "@")
LOCK_ROW = "SELECT FROM flashback_mock_configuration WHERE name = 'OpenAI in production' FOR UPDATE"


@pytest.fixture
def place(cluster: Cluster, home: Path) -> Place:
    """A place for a new store in PostgreSQL."""
    return Place(cluster.schema(), home)


def test_processes_share_a_store(place: Place, run: Run) -> None:
    """Two processes that start at the same time on an empty schema create and share one store.

    The keys rotate while both update: every answer is 200, and every secret opens afterwards.
    This also holds if the URL sets another isolation level, which would hide a new key.
    """
    place.location = f"{place.location}&default_transaction_isolation=serializable"
    with mocks_on(place, 2) as (one, other):
        assert place.sql("SELECT count(*) FROM flashback_mock_configuration")[0][0] == 3
        assert one.put(MAIN, name="From one") == 200
        assert other.put(SIBLING, name="From one") == 400
        with ThreadPoolExecutor(2) as threads:
            for _ in range(10):
                name = threads.submit(one.put, MAIN, name="Both")
                endpoint = threads.submit(other.put, MAIN, endpoint="https://both.example")
                assert (name.result(), endpoint.result()) == (200, 200)
        stored = one.http.get(f"/__admin/configurations/{MAIN}").json()
        assert (stored["name"], stored["endpoint"]) == ("Both", "https://both.example")
        before = place.key_file.read_bytes()
        with place.opened(run) as store, updating([one, other], MAIN, SIBLING) as updates:
            for rotation in range(1, 4):
                for update in updates:
                    update.wait_for(200, 5 * rotation)
                run(store.rotate())
        assert {status for update in updates for status in update.statuses} == {200}
    assert len(place.vaults()) == 1
    assert place.key_file.read_bytes() != before
    with place.opened(run) as store:
        for update in updates:
            run(update.assert_stored(store))


LOCK_SECRETS = "SELECT FROM flashback_mock_credential FOR UPDATE"


def test_rotation_and_updates_wait_for_each_other(place: Place, run: Run) -> None:
    """Rotations and updates at the same time wait for each other and lose nothing.

    Afterwards every credential is sealed with the last key, and no other key is left.
    """
    with place.opened(run, is_new=True) as one, place.opened(run) as other:
        before = other.update(OWNER, MAIN, {"secret": "before"})
        run(at_the_same_time(place, LOCK_ROW, before, one.rotate()))
        assert run(one.reveals(MAIN, "secret", "before"))
        after = other.update(OWNER, MAIN, {"secret": "after"})
        run(at_the_same_time(place, LOCK_SECRETS, one.rotate(), after))
        assert run(one.reveals(MAIN, "secret", "after"))
        assert run(other.reveals(MAIN, "key", "made-up-access-key"))
        run(at_the_same_time(place, LOCK_SECRETS, one.rotate(), other.rotate()))
        assert len(place.vaults()) == 1
        run(one.update(OWNER, MAIN, {"key": "after both"}))
        assert run(other.reveals(MAIN, "key", "after both"))
        assert run(one.reveals(MAIN, "secret", "after"))


def test_token_can_be_revoked_during_a_reset(place: Place, run: Run) -> None:
    """Revoking a token waits for a reset, which replaces the token's row."""
    tokens = "SELECT FROM flashback_mock_token FOR UPDATE"
    with place.opened(run, is_new=True) as one, place.opened(run) as other:
        run(at_the_same_time(place, tokens, one.reset(FIXTURES), other.revoke_token(OWNER)))
        assert run(one.user_of(OWNER)) is None


async def at_the_same_time(place: Place, lock: str, *works: Coroutine[Any, Any, Any]) -> None:
    """Start these coroutines in order while a lock blocks the first; then release the lock."""
    session = await asyncpg.connect(place.location)
    await session.execute(f"BEGIN; {lock}")
    tasks = list[asyncio.Task[Any]]()
    for work in works:
        tasks.append(asyncio.create_task(work))
        await wait_for_locks(session, len(tasks))
    await session.close()
    await asyncio.gather(*tasks)


async def wait_for_locks(session: Any, expected: int) -> None:
    """Wait until this many sessions of stores wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'flashback-mock' AND wait_event_type = 'Lock'"
    )
    for _ in range(400):
        if await session.fetchval(query) == expected:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"expected {expected} sessions to wait for a lock")


def test_process_without_the_new_key_changes_nothing(place: Place, run: Run) -> None:
    """A process that cannot read the new key refuses updates until it can read the key."""
    with place.opened(run, is_new=True) as elsewhere, place.opened(run) as rotating:
        old = place.key_file.read_bytes()
        run(rotating.rotate())
        new = place.key_file.read_bytes()
        place.key_file.write_bytes(old)
        with pytest.raises(StoreError, match="does not contain the store's key"):
            run(elsewhere.update(OWNER, MAIN, {"secret": "new"}))
        assert run(rotating.reveals(MAIN, "secret", "made-up-secret-key"))
        place.key_file.write_bytes(new)
        run(elsewhere.update(OWNER, MAIN, {"secret": "new"}))
        assert run(rotating.reveals(MAIN, "secret", "new"))


def test_crash_of_the_server_loses_nothing(place: Place, cluster: Cluster, run: Run) -> None:
    """Acknowledged updates survive a crash, even if the URL asks for asynchronous commits.

    While the server is down, updates get a 500 and the log says why; afterwards they get a 200.
    """
    cluster.sql("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    place.location = f"{place.location}&synchronous_commit=off"
    with mocks_on(place) as (mock,):
        with updating([mock], MAIN, SIBLING) as updates:
            for update in updates:
                update.wait_for(200, 5)
            with cluster.stopped("immediate"):
                for update in updates:
                    update.wait_for(500, 2)
                answer = mock.http.put(f"/ai/llm/{MAIN}", json={"secret": "lost"})
                for update in updates:
                    update.over.set()
        with place.opened(run) as store:
            for update in updates:
                run(update.assert_stored(store))
        assert mock.put(MAIN, secret="found") == 200
    cluster.sql("ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")
    assert answer.json() == {"success": False, "message": CONTRACT.message(500)}
    assert {status for update in updates for status in update.statuses} == {200, 500}
    log = place.log.read_text()
    assert "cannot connect to the server" in log
    assert "is the server running?" in log
    assert PASSWORD not in log
    assert PLAIN_PASSWORD not in log


def test_restart_between_updates_is_transparent(place: Place, cluster: Cluster, run: Run) -> None:
    """The store replaces connections that the server has closed since the last update."""
    with place.opened(run, is_new=True) as store:
        run(store.update(OWNER, MAIN, {"name": "before"}))
        with cluster.stopped():
            pass
        run(asyncio.sleep(0.1))  # so that the event loop reads the end of the connection
        run(store.update(OWNER, MAIN, {"name": "after"}))


def test_time_for_an_update_is_bounded(
    place: Place, cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update fails within seconds if a row is locked or the server does not answer."""
    assert postgresql.SECONDS == 5
    monkeypatch.setattr(postgresql, "SECONDS", 1)
    with place.opened(run, is_new=True) as store:
        with cluster.suspended():
            assert_fails_in_time(store, run, "the server did not respond in time")
        session = run(asyncpg.connect(place.location))
        run(session.execute(f"BEGIN; {LOCK_ROW}"))
        assert_fails_in_time(store, run, "another session held a lock for too long")
        run(session.close())
        run(store.update(OWNER, MAIN, {"name": "after"}))


def assert_fails_in_time(store: Store, run: Run, reason: str) -> None:
    """Assert that an update fails for this reason within 6 seconds."""
    started = time.monotonic()
    with pytest.raises(StoreError, match=reason):
        run(store.update(OWNER, MAIN, {"name": "in vain"}))
    assert time.monotonic() - started < 6


def test_replaced_credential_is_readable_until_the_key_is_destroyed(
    place: Place, cluster: Cluster, run: Run
) -> None:
    """Replaced credentials remain in the server's files until a rotation makes them unreadable."""
    replaced = {f"replaced-{number}" for number in range(5)}
    with place.opened(run, is_new=True) as store:
        for secret in (*replaced, "live"):
            run(store.update(OWNER, MAIN, {"secret": secret}))
    with cluster.stopped():
        assert recovered(cluster, place.vaults()) >= {"live", *replaced}
    with place.opened(run) as store:
        run(store.rotate())
    with cluster.stopped():
        assert recovered(cluster, place.vaults()) == {"live"}


def recovered(cluster: Cluster, vaults: list[Vault]) -> set[str]:
    """Return the main configuration's secrets that the keys can decrypt in the server's files."""
    found = set[str]()
    for file in (path for path in cluster.folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for vault in vaults:
            for match in re.finditer(re.escape(vault.key_id), content):
                sealed = content[match.start() : match.start() + SMALLEST]
                with suppress(StoreError, ValueError):  # something else, or cut off
                    found.add(vault.open(sealed, "acme", MAIN, "secret"))
    return found


@pytest.fixture(scope="module")
def certificate(cluster: Cluster) -> Path:
    """The certificate of the server, which encrypts connections from now on."""
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
        ("sslmode=verify-full&sslrootcert={other}", "TLS: self-signed certificate"),
        ("sslmode=verify-full&sslrootcert=/nowhere", "a file or socket in the URL does not exist"),
        ("sslmode=always", "`sslmode` parameter must be one of"),
    ],
)
def test_tls_is_as_the_url_says(
    place: Place, certificate: Path, run: Run, parameters: str, reason: str | None
) -> None:
    """`sslmode=require` encrypts; `verify-full` refuses a certificate that is not the server's."""
    other = self_signed(place.home.parent / "other.pem", "127.0.0.1")
    given = parameters.format(server=certificate, other=other)
    place.location = place.location.replace("sslmode=disable", given)
    if reason:
        assert_does_not_open(place, run, reason)
        return
    with place.opened(run, is_new=True):
        sessions = place.sql(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'flashback-mock'"
        )
    assert [row[0] for row in sessions] == [True]


def assert_does_not_open(place: Place, run: Run, reason: str) -> None:
    """Assert that the store does not open, for this reason, and that no output has the password."""
    store = place.store()
    with pytest.raises(StoreError, match=re.escape(reason)) as error:
        run(store.open(FIXTURES))
    for text in (str(error.value), repr(store), store.location):
        assert not any(secret in text for secret in ("hush", PASSWORD, PLAIN_PASSWORD))


def test_malformed_url_is_refused_without_its_password() -> None:
    """A URL of another scheme is refused, and the error does not quote its password."""
    for url in ("postgresql+asyncpg://u:hush@h/d", "Postgresql:/u:hush@h/d"):
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
        ("postgresql://u:hush-@-hush@127.0.0.1:1/d", "cannot connect to the server: "),
        ("postgresql://u:hush/hush@127.0.0.1/d", "expected a URL of the form"),
        ("postgresql://u:hush#hush@127.0.0.1/d", "expected a URL of the form"),
        ("postgresql://u:hush@h:port/d", "expected a URL of the form"),
        ("postgresql://u:hush@[::1/d", "expected a URL of the form"),
        ("postgresql://u:hush\u2100@h/d", "expected a URL of the form"),
        ("postgresql://u@127.0.0.1:1/d?password=hu&sh", "expected a URL of the form"),
        ("postgresql://u:hush@/d?host=h&port=1,2", "URL cannot be used: could not match 2 port"),
    ],
)
def test_refused_connection_is_a_clear_error(
    cluster: Cluster, home: Path, run: Run, url: str, reason: str
) -> None:
    """The error says why the store does not open and what to do, without the password."""
    cluster.sql("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'hush'")
    url = url.format(port=cluster.port, good=cluster.url().rstrip("?"))
    assert_does_not_open(Place(url, home), run, reason)


def test_password_may_stay_out_of_the_url(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password may come from $PGPASSWORD."""
    place.location = place.location.replace(f":{PASSWORD}", "")
    assert_does_not_open(place, run, "$PGPASSWORD or ~/.pgpass")
    monkeypatch.setenv("PGPASSWORD", PLAIN_PASSWORD)
    with place.opened(run, is_new=True):
        pass


@pytest.mark.parametrize("name", ["hush\0", "hush\ud800"])
def test_value_that_cannot_be_stored_is_not_quoted(place: Place, run: Run, name: str) -> None:
    """The error does not quote a value that PostgreSQL cannot store.

    Another contract may allow such values.
    """
    with place.opened(run, is_new=True) as store, pytest.raises(StoreError) as error:
        run(store.update(OWNER, MAIN, {"name": name}))
    assert ("U+0000" in str(error.value)) == ("\0" in name)
    assert "hush" not in str(error.value)
