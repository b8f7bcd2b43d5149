"""A store in PostgreSQL: shared by processes, restarted, locked, and what its files contain."""

import asyncio
import base64
import os
import re
import subprocess
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import asyncpg
import httpx
import pytest

from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import Store, StoreError, postgresql, store_at
from flashback_mock.stores.vault import SIZES, VERSION, Vault, key_id
from scripts.maintenance.postgresql import PASSWORD, Cluster, certificate
from tests.mock.stores.conftest import (
    CONTRACT,
    FIXTURES,
    MAIN,
    OWNER,
    SIBLING,
    Place,
    Run,
    rotate,
)
from tests.mock.wire import url_in, welcome_of

PLAIN_PASSWORD = PASSWORD.replace("%40", "@")
LOCK_ROW = "SELECT FROM flashback_mock_configuration WHERE name = 'OpenAI in production' FOR UPDATE"


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Place:
    """A place for a new store in PostgreSQL."""
    return Place(cluster.schema(), tmp_path, cluster)


class Served:
    """A mock in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it serves."""
        headers = {"Authorization": f"Bearer {OWNER}"}
        url = url_in(welcome_of(process))
        self.http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=20)

    def put(self, id: str, **changes: str) -> int:
        """Return the status of an update."""
        return self.http.put(f"/ai/llm/{id}", json=changes).status_code


@contextmanager
def served(place: Place, processes: int = 1) -> Generator[list[Served]]:
    """Mocks in several processes on the store; they write to the file `log`."""
    options = ("--port", "0", "--log-level", "error")
    with place.home.joinpath("log").open("a") as log:  # not a pipe, which fills up
        started = [place.command(*options, stderr=log) for _ in range(processes)]
    mocks = list[Served]()
    try:
        mocks.extend(Served(process) for process in started)
        yield mocks
    finally:
        for mock in mocks:
            mock.http.close()
        for process in started:
            process.terminate()
            process.communicate()


@dataclass
class Updates:
    """Updates of one configuration, numbered from 1."""

    id: str
    statuses: list[int] = field(default_factory=list)
    sent: int = 0
    answered: int = 0  # the last one that was answered with 200

    def run(self, process: Served, over: threading.Event) -> None:
        """Send updates one after the other until the event is set."""
        while not over.is_set():
            self.sent += 1
            status = process.put(self.id, secret=f"{self.sent}")
            self.statuses.append(status)
            if status == 200:
                self.answered = self.sent

    def assert_stored(self, secrets: dict[str, str]) -> None:
        """Assert that the last answered update is stored, or one of those sent after it.

        An update may be stored although the server crashed before it answered.
        """
        assert 0 < self.answered <= int(secrets[self.id]) <= self.sent


@contextmanager
def updating(processes: list[Served]) -> Generator[list[Updates]]:
    """Update the secrets of `id-0` to `id-3` without a pause until the block ends."""
    updates = [Updates(f"id-{number}") for number in range(4)]
    over = threading.Event()
    with ThreadPoolExecutor(4) as threads:
        for process, one in zip(cycle(processes), updates, strict=False):
            threads.submit(one.run, process, over)
        try:
            yield updates
        finally:
            over.set()


def wait_for_statuses(updates: list[Updates], status: int) -> None:
    """Wait until five updates of each configuration were answered with this status."""
    for _ in range(600):
        if all(one.statuses.count(status) >= 5 for one in updates):
            return
        time.sleep(0.05)
    pytest.fail(f"expected five updates of each configuration to be answered with {status}")


def add(place: Place, run: Run, number: int) -> None:
    """Add configurations with a secret each."""
    given = (Configuration("", "acme", f"id-{n}", {"secret": "0"}) for n in range(number))
    with place.opened(run) as store:
        run(store.add(Fixtures(configurations=tuple(given))))


async def reopen_and_rotate(place: Place) -> None:
    """Rotate the keys of the store that exists."""
    store = place.store()
    await store.open(None)
    await rotate(store)
    await store.close()


def secrets_of(place: Place) -> dict[str, str]:
    """Return every secret, opened with the keys that are left."""
    vault = Vault(place.keys())
    rows = place.sql(
        "SELECT sealed, workspace, id, field FROM flashback_mock_credential "
        "JOIN flashback_mock_configuration ON id = configuration WHERE field = 'secret'"
    )
    return {row[2].decode(): vault.open(row[0], row[1], row[2].decode(), row[3]) for row in rows}


@contextmanager
def locked(place: Place, *statements: str) -> Generator[None]:
    """Another session has executed these statements and commits when the block ends."""
    with asyncio.Runner() as runner:
        session = runner.run(asyncpg.connect(place.location))
        try:
            for statement in ("BEGIN", *statements):
                runner.run(session.execute(statement))
            yield
            runner.run(session.execute("COMMIT"))
        finally:
            runner.run(session.close())


def wait_for_locks(place: Place, expected: int) -> None:
    """Wait until so many sessions of mocks wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'flashback-mock' AND wait_event_type = 'Lock'"
    )
    for _ in range(100):
        if place.sql(query)[0][0] == expected:
            return
        time.sleep(0.05)
    pytest.fail(f"expected {expected} sessions to wait for a lock")


def test_processes_share_a_store(place: Place) -> None:
    """Two processes that start simultaneously on an empty schema create and share one store."""
    with served(place, 2) as (one, other):
        assert place.sql("SELECT count(*) FROM flashback_mock_configuration")[0][0] == 3
        assert one.put(MAIN, name="From one", secret="of one") == 200
        assert other.put(SIBLING, name="From one") == 400
        with ThreadPoolExecutor(2) as threads:
            for _ in range(20):
                name = threads.submit(one.put, MAIN, name="Both")
                endpoint = threads.submit(other.put, MAIN, endpoint="https://both.example")
                assert (name.result(), endpoint.result()) == (200, 200)
        stored = one.http.get(f"/__admin/configurations/{MAIN}").json()
        assert (stored["name"], stored["endpoint"]) == ("Both", "https://both.example")


def test_keys_rotate_while_processes_update(place: Place, run: Run) -> None:
    """Keys rotate while two processes update: every answer is 200, every secret opens after.

    This also holds if the URL asks for another isolation level, which would miss a new key.
    """
    place.location = f"{place.location}&default_transaction_isolation=serializable"
    with served(place, 2) as processes:
        add(place, run, 300)
        before = place.keys()
        with updating(processes) as updates:
            for _ in range(2):
                rotation = place.command("rotate-keys")
                assert "Done" in rotation.communicate()[0]
                assert rotation.returncode == 0
        statuses = [status for one in updates for status in one.statuses]
        assert set(statuses) == {200}
        assert len(statuses) > 50
        assert len(place.keys()) == 1
        assert place.keys() != before
        for process in processes:
            assert process.put(MAIN, secret="after") == 200
    secrets = secrets_of(place)
    for one in updates:
        one.assert_stored(secrets)


def test_rotation_waits_for_updates_under_way(place: Place) -> None:
    """An update that was sealed with the old key, and is stored late, is re-encrypted too."""
    with served(place) as (mock,), ThreadPoolExecutor() as threads:
        assert mock.put(MAIN, secret="before") == 200
        with locked(place, LOCK_ROW):
            update = threads.submit(mock.put, MAIN, secret="late")
            wait_for_locks(place, 1)
            rotation = threads.submit(asyncio.run, reopen_and_rotate(place))
            wait_for_locks(place, 2)
        assert update.result() == 200
        rotation.result()
    assert secrets_of(place)[MAIN] == "late"


def test_new_key_seals_nothing_before_the_rotation(place: Place, run: Run) -> None:
    """A process that gets the new key in advance seals with the key that all others have."""
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    with (
        place.opened(run, is_new=True, FLASHBACK_MOCK_KEYS=old) as before,
        place.opened(run, FLASHBACK_MOCK_KEYS=f"{new} {old}") as in_advance,
    ):
        run(in_advance.update(OWNER, MAIN, {"secret": "shared"}))
        assert run(before.reveals(MAIN, "secret", "shared"))


def test_two_rotations_at_once_lose_nothing(place: Place, run: Run) -> None:
    """A second rotation joins the first one, and a third one stops it; no key is missed."""
    with place.opened(run, is_new=True) as first, place.opened(run) as second:
        add(place, run, 150)
        run(both_rotate(first, second))
        assert len(place.keys()) == 1
        run(first.update(OWNER, MAIN, {"key": "after"}))
        assert run(second.reveals(MAIN, "key", "after"))
    assert secrets_of(place).keys() > {MAIN, "id-0", "id-149"}


async def both_rotate(first: Store, second: Store) -> None:
    """Let the second store begin and end rotations in the middle of the first one's."""
    joined = first.rotate()
    await anext(joined)
    await rotate(second)
    async for _ in joined:
        pass
    stopped = first.rotate()
    await anext(stopped)
    await rotate(second)
    await rotate(second)
    with pytest.raises(StoreError, match="another process rotates its keys; wait for it"):
        await anext(stopped)


def test_process_without_the_new_key_changes_nothing(place: Place, run: Run) -> None:
    """A process that cannot read the new key fails with the cure, and works once it can."""
    with place.opened(run, is_new=True) as elsewhere, place.opened(run) as rotating:
        old = place.key_file.read_bytes()
        run(rotate(rotating))
        new = place.key_file.read_bytes()
        place.key_file.write_bytes(old)
        with pytest.raises(StoreError, match="this store needs key"):
            run(elsewhere.update(OWNER, MAIN, {"secret": "new"}))
        assert run(rotating.reveals(MAIN, "secret", "made-up-secret-key"))
        place.key_file.write_bytes(new)
        run(elsewhere.update(OWNER, MAIN, {"secret": "new"}))
        assert run(rotating.reveals(MAIN, "secret", "new"))


def test_crash_of_the_server_loses_nothing(place: Place, cluster: Cluster, run: Run) -> None:
    """Answered updates survive a crash, even if the URL asks for asynchronous commits.

    While the server is down, updates answer 500 and the log says why; afterwards they answer 200.
    """
    cluster.sql("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    place.location = f"{place.location}&synchronous_commit=off"
    with served(place) as (mock,), ExitStack() as crash:
        add(place, run, 4)
        with updating([mock]) as updates:
            wait_for_statuses(updates, 200)
            crash.enter_context(cluster.stopped("immediate"))
            wait_for_statuses(updates, 500)
        answer = mock.http.put(f"/ai/llm/{MAIN}", json={"secret": "lost"})
        crash.close()
        secrets = secrets_of(place)
        for one in updates:
            one.assert_stored(secrets)
        assert mock.put(MAIN, secret="found") == 200
    cluster.sql("ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")
    assert answer.json() == {"success": False, "message": CONTRACT.message(500)}
    assert {status for one in updates for status in one.statuses} == {200, 500}
    assert secrets_of(place)[MAIN] == "found"
    log = place.home.joinpath("log").read_text()
    assert "cannot be reached" in log
    assert "is it running?" in log
    assert PASSWORD not in log
    assert PLAIN_PASSWORD not in log


def test_restart_between_updates_is_transparent(place: Place, cluster: Cluster, run: Run) -> None:
    """Connections that the server has closed meanwhile are replaced."""
    with place.opened(run, is_new=True) as store:
        run(store.update(OWNER, MAIN, {"name": "before"}))
        with cluster.stopped():
            pass
        run(asyncio.sleep(0.1))  # so that the event loop reads the end of the connection
        run(store.update(OWNER, MAIN, {"name": "after"}))


SLEEP = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$
"""
SLEEP_AT_UPDATE = """
CREATE TRIGGER slow BEFORE UPDATE ON flashback_mock_configuration
FOR EACH ROW EXECUTE FUNCTION slow()
"""


def test_time_for_an_update_is_bounded(
    place: Place, cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked row, a slow statement and a silent server are errors within seconds."""
    assert postgresql.SECONDS == 5
    monkeypatch.setattr(postgresql, "SECONDS", 1)
    with place.opened(run, is_new=True) as store:
        with cluster.silent():
            assert_fails_in_time(store, run, "does not answer in time")
        with locked(place, LOCK_ROW):
            assert_fails_in_time(store, run, "another session held a lock for too long")
        run(store.update(OWNER, MAIN, {"name": "after"}))
        place.sql(SLEEP)
        place.sql(SLEEP_AT_UPDATE)
        assert_fails_in_time(store, run, "a statement took too long")


def assert_fails_in_time(store: Store, run: Run, reason: str) -> None:
    """Assert that an update fails for this reason within 6 seconds."""
    started = time.monotonic()
    with pytest.raises(StoreError, match=reason):
        run(store.update(OWNER, MAIN, {"name": "in vain"}))
    assert time.monotonic() - started < 6


def test_replaced_credential_is_readable_until_the_key_is_destroyed(
    place: Place, cluster: Cluster, run: Run
) -> None:
    """Replaced credentials stay in the server's files; a rotation makes them unreadable."""
    replaced = {f"replaced-{number}" for number in range(5)}
    with place.opened(run, is_new=True) as store:
        for secret in (*replaced, "live"):
            run(store.update(OWNER, MAIN, {"secret": secret}))
        with cluster.stopped():
            assert recovered(cluster, place.keys()) >= {"live", *replaced}
    run(reopen_and_rotate(place))
    with cluster.stopped():
        assert recovered(cluster, place.keys()) == {"live"}


def recovered(cluster: Cluster, keys: list[bytes]) -> set[str]:
    """Return every secret of the main configuration that keys open, from the server's files."""
    vault = Vault(keys)
    found = set[str]()
    starts = re.compile(b"|".join(re.escape(VERSION + key_id(key)) for key in keys))
    for file in (path for path in cluster.folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for match in starts.finditer(content):
            sealed = content[match.start() : match.start() + SIZES[0]]
            with suppress(StoreError):
                found.add(vault.open(sealed, "acme", MAIN, "secret"))
    return found


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("sslmode=require", None),
        ("sslmode=verify-full&sslrootcert={server}/root.crt", None),
        ("sslmode=verify-full&sslrootcert={other}/root.crt", "TLS: self-signed certificate"),
        ("sslmode=verify-full&sslrootcert=/nowhere", "cannot be reached: No such file"),
        ("sslmode=always", "`sslmode` parameter must be one of"),
    ],
)
def test_tls_is_as_the_url_says(
    place: Place, cluster: Cluster, run: Run, parameters: str, reason: str | None
) -> None:
    """`sslmode=require` encrypts; `verify-full` refuses a certificate that is not the server's."""
    certificate(place.home)
    given = parameters.format(server=cluster.folder, other=place.home)
    url = (place.location or "").replace("sslmode=disable", given)
    place.location = url.replace("127.0.0.1", "localhost")  # the name in the certificate
    if reason:
        assert_does_not_open(place, run, reason)
        return
    with place.opened(run, is_new=True) as store:
        run(store.user_of(OWNER))
        sessions = cluster.sql(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name = 'flashback-mock'"
        )
    assert [row[0] for row in sessions] == [True]


def assert_does_not_open(place: Place, run: Run, reason: str) -> None:
    """Assert that the store does not open, for this reason, and that nothing has the password."""
    store = place.store()
    with pytest.raises(StoreError, match=re.escape(reason)) as error:
        run(store.open(FIXTURES))
    for text in (str(error.value), repr(store), store.location):
        assert not any(secret in text for secret in ("hush", PASSWORD, PLAIN_PASSWORD))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush@[::1/d",
        "postgresql://u:hush\u2100@h/d",
        "postgresql+asyncpg://u:hush@h/d",
        "Postgresql:/u:hush@h/d",
    ],
)
def test_malformed_url_is_refused_without_its_password(url: str) -> None:
    """A malformed URL is refused when the mock starts; the error does not quote it."""
    with pytest.raises(ValueError, match="postgresql://user:password@host:port/database") as error:
        store_at(url, CONTRACT.credentials)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://hush:hush@127.0.0.1:{port}/postgres", "refuses the password; it comes"),
        ("{good}none", "has no such database; create it with createdb"),
        ("{good}?search_path=nowhere", "has no such schema; run CREATE SCHEMA"),
        ("postgresql://u:hush@127.0.0.1:1/d", "cannot be reached: "),
        ("postgresql://u:hush@nowhere.invalid/d", "cannot be reached: "),
        ("postgresql://u:hush-@-hush@127.0.0.1:1/d", "cannot be reached: "),
        ("postgresql://u:hush/hush@127.0.0.1/d", "expected a URL of the form"),
        ("postgresql://u:hush#hush@127.0.0.1/d", "expected a URL of the form"),
        ("postgresql://u:hush@h:port/d", "expected a URL of the form"),
        ("postgresql://u@127.0.0.1:1/d?password=hu&sh", "expected a URL of the form"),
        ("postgresql://u:hush@/d?host=h&port=1,2", "cannot be used: could not match 2 port"),
    ],
)
def test_refused_connection_is_a_clear_error(
    cluster: Cluster, tmp_path: Path, run: Run, url: str, reason: str
) -> None:
    """The error says why the store does not open and what to do, without the password."""
    url = url.format(port=cluster.port, good=cluster.url().rstrip("?"))
    assert_does_not_open(Place(url, tmp_path, cluster), run, reason)


def test_unsuitable_database_is_a_clear_error(cluster: Cluster, tmp_path: Path, run: Run) -> None:
    """Missing rights, and an encoding that lacks characters, are errors with the cure."""
    cluster.sql("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'guest'")
    guest = cluster.url("sslmode=disable&search_path=public", ":guest", "guest")
    assert_does_not_open(Place(guest, tmp_path, cluster), run, "GRANT CREATE, USAGE ON SCHEMA")
    cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    latin = cluster.url().replace("/postgres?", "/latin")
    assert_does_not_open(Place(latin, tmp_path, cluster), run, "createdb --encoding UTF8")


def test_password_may_stay_out_of_the_url(
    place: Place, cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password may come from $PGPASSWORD or a .pgpass file, off the command line."""
    place.location = (place.location or "").replace(f":{PASSWORD}", "")
    assert_does_not_open(place, run, "$PGPASSWORD or ~/.pgpass")
    passfile = place.home / "pgpass"
    passfile.write_text(f"127.0.0.1:{cluster.port}:*:owner:{PLAIN_PASSWORD}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    with place.opened(run, is_new=True):
        pass
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", PLAIN_PASSWORD)
    with place.opened(run):
        pass


@pytest.mark.parametrize("name", ["hush\0", "hush\ud800"])
def test_value_that_cannot_be_stored_is_not_quoted(place: Place, run: Run, name: str) -> None:
    """A value that another contract may allow and PostgreSQL cannot store is not in the error."""
    with place.opened(run, is_new=True) as store, pytest.raises(StoreError) as error:
        run(store.update(OWNER, MAIN, {"name": name}))
    assert ("U+0000" in str(error.value)) == ("\0" in name)
    assert "hush" not in str(error.value)
