"""A store in PostgreSQL: shared by processes, restarted, locked, and what its files keep."""

import asyncio
import base64
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import flashback_mock
import httpx
import pytest
from flashback_mock import stores
from flashback_mock.fixtures import Configuration, Fixtures
from flashback_mock.stores import postgres_server
from flashback_mock.stores.keys import KeySource
from flashback_mock.stores.store import ForbiddenError, Store, StoreError
from flashback_mock.stores.vault import SIZES, VERSION, Vault, key_id, sealed_by

from tests.mock.stores.cluster import PASSWORD, Cluster, certificate
from tests.mock.stores.conftest import Place, Run
from tests.mock.wire import url_in, welcome_of

MAIN = "550e8400-e29b-41d4-a716-446655440000"
SIBLING = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
OWNER = {"Authorization": "Bearer owner-token"}


@pytest.fixture
def place(schema: str, cluster: Cluster, tmp_path: Path) -> Place:
    """A place for a new store in PostgreSQL."""
    return Place(schema, tmp_path, cluster)


@dataclass
class Served:
    """A mock that is another process."""

    process: subprocess.Popen[str]
    place: Place
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """Wait until it serves."""
        url = url_in(welcome_of(self.process))
        self.http = httpx.Client(base_url=url, headers=OWNER, trust_env=False, timeout=20)

    @property
    def log(self) -> str:
        """What the processes on the store have logged so far."""
        return self.place.home.joinpath("log").read_text()

    def put(self, id: str, **changes: str) -> int:
        """The status of an update."""
        return self.http.put(f"/ai/llm/{id}", json=changes).status_code

    def name(self, id: str) -> str:
        """The name that a configuration has for this process."""
        return str(self.http.get(f"/__admin/configurations/{id}").json()["name"])


def command(place: Place, *options: str) -> subprocess.Popen[str]:
    """`python -m flashback_mock` on the store."""
    with place.home.joinpath("log").open("a") as log:  # not a pipe, which fills up
        return subprocess.Popen(
            [sys.executable, "-m", "flashback_mock", "--store", place.where or "", *options],
            env={**os.environ, "XDG_DATA_HOME": str(place.home)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


@contextmanager
def served(place: Place, processes: int = 1) -> Generator[list[Served]]:
    """As many processes at once on the store."""
    options = ("--port", "0", "--log-level", "error")
    started = [command(place, *options) for _ in range(processes)]
    try:
        mocks = [Served(process, place) for process in started]
        yield mocks
        for mock in mocks:
            mock.http.close()
    finally:
        for process in started:
            process.terminate()
            process.communicate()


def test_processes_share_what_is_stored(place: Place) -> None:
    """Two processes that start at once on an empty schema make one store, and both see it."""
    with served(place, 2) as (one, other):
        assert place.sql("SELECT count(*) FROM configuration")[0][0] == 3
        assert one.put(MAIN, name="From one", secret="of one") == 200
        assert other.name(MAIN) == "From one"
        assert other.put(MAIN, name="From the other") == 200
        assert one.name(MAIN) == "From the other"
        assert other.put(SIBLING, name="From the other") == 400
        with ThreadPoolExecutor(2) as threads:
            for _ in range(20):
                name = threads.submit(one.put, MAIN, name="Both")
                secret = threads.submit(other.put, MAIN, endpoint="https://both.example")
                assert (name.result(), secret.result()) == (200, 200)
        assert one.name(MAIN) == "Both"
        both = one.http.get(f"/__admin/configurations/{MAIN}").json()
        assert both["endpoint"] == "https://both.example"


def test_rotation_beside_processes_that_update(place: Place, run: Run) -> None:
    """Keys rotate while two processes update: each answer is 200, every credential opens after.

    Neither process ever stores what is sealed with the key that is destroyed.
    """
    told = dict[str, str]()
    with served(place, 2) as processes:
        run(added(place, 300))
        before = place.key_file.read_text()
        with updating(processes, told) as statuses:
            for _ in range(2):
                rotation = command(place, "rotate-keys")
                assert "Done" in rotation.communicate()[0]
                assert rotation.returncode == 0
        assert set(statuses) == {200}
        assert len(statuses) > 50
        assert len(place.keys()) == 1
        assert place.key_file.read_text() != before
        for process in processes:
            assert process.put(MAIN, secret="after") == 200
    assert len(told) == 4
    assert set(run(opened(place)).items()) >= told.items()


@contextmanager
def updating(processes: list[Served], told: dict[str, str]) -> Generator[list[int]]:
    """Updates without a pause, by every process, until the block ends; `told`: the last of each."""
    statuses, over = list[int](), threading.Event()

    def update(process: Served, id: str) -> None:
        for number in count():
            if over.is_set():
                break
            statuses.append(process.put(id, secret=f"{id} {number}"))
            if statuses[-1] == 200:
                told[id] = f"{id} {number}"

    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            threads.submit(update, processes[number % len(processes)], f"id-{number}")
        try:
            yield statuses
        finally:
            over.set()


async def added(place: Place, number: int) -> None:
    """Add configurations with a secret each."""
    store = place.store()
    await store.open(None)
    given = (Configuration("", "acme", f"id-{n}", {"secret": f"{n}"}) for n in range(number))
    await store.add(Fixtures(configurations=tuple(given)))
    await store.close()


async def opened(place: Place) -> dict[str, str]:
    """Every secret, opened with the keys that are left."""
    vault = Vault(place.keys())
    rows = await asyncio.to_thread(
        place.sql,
        "SELECT sealed, workspace, id, field FROM credential "
        "JOIN configuration ON number = configuration WHERE field = 'secret'",
    )
    return {row[2].decode(): vault.open(row[0], row[1], row[2].decode(), row[3]) for row in rows}


def test_rotation_waits_for_updates_that_are_under_way(place: Place) -> None:
    """An update that was sealed with the old key, and is stored late, is re-encrypted too."""
    with served(place) as (mock,), ThreadPoolExecutor() as threads:
        assert mock.put(MAIN, secret="before") == 200
        with locked(place):
            update = threads.submit(mock.put, MAIN, secret="late")
            until(place, 1)  # the update waits for the row
            rotation = threads.submit(asyncio.run, rotating(place))
            until(place, 2)  # the rotation for the update
        assert update.result() == 200
        rotation.result()
    assert asyncio.run(opened(place))[MAIN] == "late"


def test_update_that_waits_for_a_rotation_sees_its_key(place: Place, run: Run) -> None:
    """An update that was on its way when the key changed is sealed with the new key.

    Whatever isolation the URL asks for: a snapshot from before the wait would miss the change.
    """
    place.where = f"{place.where}&default_transaction_isolation=serializable"
    store = place.store()
    run(store.open(place.fixtures))
    run(store.update("owner-token", MAIN, {"secret": "before"}))  # its statement is prepared now
    (id, *_), keys = place.sql("SELECT id FROM store")[0], KeySource(place.key_file)
    vault = Vault(keys.begin_rotation(id))

    async def switch() -> None:
        db = await asyncpg.connect(place.where)
        async with db.transaction():
            await db.execute("LOCK TABLE credential IN SHARE ROW EXCLUSIVE MODE")
            await db.execute("UPDATE store SET proof = $1", vault.proof(id))
            update = asyncio.create_task(store.update("owner-token", MAIN, {"secret": "after"}))
            await asyncio.to_thread(until, place, 1)
        await update
        await db.close()

    run(switch())
    run(store.close())
    sealed = place.sql("SELECT sealed FROM credential WHERE field = 'secret' AND configuration = 1")
    assert sealed_by(sealed[0][0]) == vault.key_ids[0]


def test_new_key_seals_nothing_before_the_rotation(place: Place, run: Run) -> None:
    """A process that is given the new key in advance seals with the one that all others have."""
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    before = place.store(FLASHBACK_MOCK_KEYS=old)
    in_advance = place.store(FLASHBACK_MOCK_KEYS=f"{new} {old}")
    run(before.open(place.fixtures))
    run(in_advance.open(None))
    run(in_advance.update("owner-token", MAIN, {"secret": "shared"}))
    assert run(before.reveals(MAIN, "secret", "shared"))
    run(before.close())
    run(in_advance.close())


def test_configuration_that_moved_is_sealed_for_its_new_place(place: Place, run: Run) -> None:
    """A process that remembers another workspace of a configuration seals for the true one."""
    one, other = place.store(), place.store()
    run(one.open(place.fixtures))
    run(other.open(None))
    run(one.update("owner-token", MAIN, {"secret": "in acme"}))
    moved = Configuration("", "globex", MAIN, {})
    run(other.reset(replace(place.fixtures, configurations=(moved,))))
    with pytest.raises(ForbiddenError):
        run(one.update("owner-token", MAIN, {"secret": "by a stranger"}))
    run(one.update("stranger-token", MAIN, {"secret": "in globex"}))
    assert run(other.reveals(MAIN, "secret", "in globex"))
    run(one.close())
    run(other.close())


@contextmanager
def locked(place: Place) -> Generator[None]:
    """Another session has the row of a configuration, until the block ends."""
    with asyncio.Runner() as runner:
        db = runner.run(asyncpg.connect(place.where))
        try:
            runner.run(db.execute("BEGIN"))
            runner.run(db.execute("SELECT FROM configuration WHERE number = 1 FOR UPDATE"))
            yield
        finally:
            runner.run(db.close())


def until(place: Place, wanted: int) -> None:
    """Wait until as many sessions of mocks wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name = 'flashback-mock' AND wait_event_type = 'Lock'"
    )
    for _ in range(100):
        if place.sql(query)[0][0] == wanted:
            return
        time.sleep(0.05)
    pytest.fail(f"no {wanted} sessions wait for a lock")


def test_one_rotation_at_a_time(place: Place, run: Run) -> None:
    """A rotation beside another is refused, and changes no key."""
    one, other = place.store(), place.store()
    run(one.open(place.fixtures))
    run(one.add(Fixtures()))
    run(other.open(None))
    under_way = one.rotate()
    run(next_of(under_way))
    keys = place.key_file.read_text()
    with pytest.raises(StoreError, match="another process rotates its keys; wait for it"):
        run(next_of(other.rotate()))
    assert place.key_file.read_text() == keys
    with pytest.raises(StopAsyncIteration):
        run(next_of(under_way))
    assert run(other.reveals(MAIN, "secret", "made-up-secret-key"))
    run(one.close())
    run(other.close())


def test_process_without_the_new_key_changes_nothing(place: Place, run: Run) -> None:
    """A process that cannot have the new key fails with the cure; with it, it goes on."""
    elsewhere = place.store()
    run(elsewhere.open(place.fixtures))
    old = place.key_file.read_bytes()
    rotating = place.store()
    run(rotating.open(None))
    run(rotated(rotating))
    new = place.key_file.read_bytes()
    place.key_file.write_bytes(old)
    with pytest.raises(StoreError, match="this one wants key"):
        run(elsewhere.update("owner-token", MAIN, {"secret": "new"}))
    assert run(rotating.reveals(MAIN, "secret", "made-up-secret-key"))
    place.key_file.write_bytes(new)
    run(elsewhere.update("owner-token", MAIN, {"secret": "new"}))
    assert run(rotating.reveals(MAIN, "secret", "new"))
    run(elsewhere.close())
    run(rotating.close())


async def next_of(rotation: AsyncIterator[tuple[int, int]]) -> tuple[int, int]:
    """The next that a rotation tells."""
    return await anext(rotation)


async def rotating(place: Place) -> None:
    """Rotate the keys of the store that is there."""
    store = place.store()
    await store.open(None)
    await rotated(store)
    await store.close()


async def rotated(store: Store) -> None:
    """Rotate, all of it."""
    async for _ in store.rotate():
        pass


def test_answered_update_survives_a_crash(place: Place, cluster: Cluster, run: Run) -> None:
    """What was answered is on the disk, whatever the URL or the server would have preferred."""
    cluster.sql("ALTER SYSTEM SET wal_writer_delay = '10s'", "SELECT pg_reload_conf()")
    place.where = f"{place.where}&synchronous_commit=off"
    store = place.store()
    run(store.open(place.fixtures))
    run(store.update("owner-token", MAIN, {"secret": "answered"}))
    with cluster.stopped("immediate"):
        pass
    cluster.sql("ALTER SYSTEM RESET wal_writer_delay", "SELECT pg_reload_conf()")
    run(store.close())
    again = place.store()
    run(again.open(None))
    assert run(again.reveals(MAIN, "secret", "answered"))
    run(again.close())


def test_restart_of_the_server_is_survived(place: Place, cluster: Cluster) -> None:
    """While the server is away, updates answer the documented 500, and the log says why.

    When it is back they answer 200, and all that was acknowledged is there, though it crashed.
    """
    told = dict[str, str]()
    with served(place) as (mock,):
        asyncio.run(added(place, 8))
        with updating([mock], told) as statuses:
            time.sleep(0.3)
            with cluster.stopped("immediate"):
                time.sleep(0.3)
                kept = dict(told)
                answer = mock.http.put(f"/ai/llm/{MAIN}", json={"secret": "lost"})
            time.sleep(1)
        assert set(statuses) == {200, 500}
        assert set(statuses[-4:]) == {200}
        assert mock.put(MAIN, secret="found") == 200
    assert answer.status_code == 500
    assert answer.json() == {"success": False, "message": place.contract.message(500)}
    assert len(kept) == 4
    assert asyncio.run(opened(place)).items() >= told.items()
    assert "cannot be reached" in mock.log
    assert "is it running?" in mock.log
    assert PASSWORD not in mock.log
    assert PASSWORD.replace("%40", "@") not in mock.log


def test_locked_row_is_not_waited_for_forever(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that another session keeps locked answers 500 within seconds, and 200 afterwards."""
    assert postgres_server.SECONDS == 5
    monkeypatch.setattr(postgres_server, "SECONDS", 1)
    with in_process(place, monkeypatch) as mock:
        url = f"{mock.base_url}/ai/llm/{MAIN}"
        with locked(place):
            began = time.monotonic()
            answer = httpx.put(url, json={"name": "n"}, headers=OWNER, trust_env=False)
            assert time.monotonic() - began < 4
        assert answer.status_code == 500
        assert "another session held a lock for too long" in caplog.text
        assert httpx.put(url, json={"name": "n"}, headers=OWNER, trust_env=False).is_success


def test_update_is_one_statement(place: Place, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a process has seen a configuration, an update is one round trip to the server."""
    asked, rows = list[str](), postgres_server.Server.rows

    async def counted(server: Any, query: str, *arguments: object) -> Any:
        asked.append(query)
        return await rows(server, query, *arguments)

    store = place.store()
    run(store.open(place.fixtures))
    run(store.update("owner-token", MAIN, {"name": "seen"}))
    monkeypatch.setattr(postgres_server.Server, "rows", counted)
    run(store.update("owner-token", MAIN, place.contract.examples["everything"]))
    run(store.close())
    assert len(asked) == 1


SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$
"""
TRIGGER = "CREATE TRIGGER slow BEFORE UPDATE ON configuration FOR EACH ROW EXECUTE FUNCTION slow()"


def test_slow_statement_is_not_waited_for_forever(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A statement that takes too long is ended by the server, and answers 500."""
    monkeypatch.setattr(postgres_server, "SECONDS", 1)
    with in_process(place, monkeypatch) as mock:
        url = f"{mock.base_url}/ai/llm/{MAIN}"
        place.sql(SLOW)
        place.sql(TRIGGER)
        answer = httpx.put(url, json={"name": "n"}, headers=OWNER, trust_env=False, timeout=20)
    assert answer.status_code == 500
    assert "a statement took too long" in caplog.text


def test_silent_server_is_not_waited_for_forever(
    place: Place,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that says nothing any more answers 500 in time, and 200 when it speaks again."""
    monkeypatch.setattr(postgres_server, "SECONDS", 1)
    with in_process(place, monkeypatch) as mock:
        url = f"{mock.base_url}/ai/llm/{MAIN}"
        asked: dict[str, Any] = {"headers": OWNER, "trust_env": False, "timeout": 20}
        assert httpx.put(url, json={"name": "n"}, **asked).is_success
        with cluster.silent():
            assert httpx.put(url, json={"name": "n"}, **asked).status_code == 500
        assert "does not answer in time" in caplog.text
        assert httpx.put(url, json={"name": "n"}, **asked).is_success


@contextmanager
def in_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> Generator[flashback_mock.Mock]:
    """A mock in this process on the store."""
    monkeypatch.setenv("XDG_DATA_HOME", str(place.home))
    with flashback_mock.running(store=place.where) as mock:
        yield mock


def test_replaced_credential_is_readable_until_the_key_is_destroyed(
    place: Place, cluster: Cluster, run: Run
) -> None:
    """What is replaced stays in the server's files, and a rotation makes it unreadable for good."""
    store = place.store()
    run(store.open(place.fixtures))
    for number in range(5):
        run(store.update("owner-token", MAIN, {"secret": f"replaced-{number}"}))
    run(store.update("owner-token", MAIN, {"secret": "live"}))
    with cluster.stopped():
        found = recovered(cluster, place.keys())
    assert found >= {"live", *(f"replaced-{number}" for number in range(5))}
    run(rotated(store))
    run(store.close())
    with cluster.stopped():
        assert recovered(cluster, place.keys()) == {"live"}


def recovered(cluster: Cluster, keys: list[bytes]) -> set[str]:
    """Every secret of the main configuration that these keys open, from all files of the server."""
    vault, found = Vault(keys), set[str]()
    begins = re.compile(b"|".join(re.escape(VERSION + key_id(key)) for key in keys))
    for file in (path for path in cluster.folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for match in begins.finditer(content):
            with suppress(StoreError):
                sealed = content[match.start() : match.start() + SIZES[0]]
                found.add(vault.open(sealed, "acme", MAIN, "secret"))
    return found


def test_schema_of_another_program_is_refused(place: Place, run: Run) -> None:
    """Tables of the same names that are not ours are refused, by a cure, and left as they are."""
    place.sql("CREATE TABLE token (mine text)")
    with pytest.raises(StoreError, match=r"has tables of another program; give .* CREATE SCHEMA"):
        run(place.store().open(place.fixtures))
    tables = place.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind = 'r'"
    )
    assert [table[0] for table in tables] == ["token"]
    assert not place.home.joinpath("flashback-mock").exists()


def test_stores_share_a_database(cluster: Cluster, tmp_path: Path, run: Run) -> None:
    """Each schema of a database is a store, with keys of its own."""
    stores = [Place(cluster.schema(), tmp_path / name, cluster) for name in ("one", "other")]
    for number, place in enumerate(stores):
        store = place.store()
        assert run(store.open(place.fixtures))
        run(store.update("owner-token", MAIN, {"name": f"of {number}"}))
        run(store.close())
    names = [place.sql("SELECT name FROM configuration WHERE number = 1") for place in stores]
    assert [rows[0][0] for rows in names] == ["of 0", "of 1"]


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ("sslmode=require", None),
        ("sslmode=verify-ca&sslrootcert={root}", None),
        ("sslmode=verify-full&sslrootcert={root}", "TLS: IP address mismatch"),
        ("sslmode=verify-full&sslrootcert={other}", "TLS: self-signed certificate"),
        ("sslmode=verify-full&sslrootcert=/nowhere", "cannot be reached: No such file"),
        ("sslmode=always", "`sslmode` parameter must be one of"),
    ],
)
def test_tls_is_as_the_url_says(
    place: Place, cluster: Cluster, run: Run, parameters: str, why: str | None
) -> None:
    """`sslmode=require` encrypts, `verify-full` refuses a certificate that is not the server's."""
    _, other = certificate(place.home)
    given = parameters.format(root=cluster.folder / "root.crt", other=other)
    place.where = (place.where or "").replace("sslmode=disable", given)
    store = place.store()
    if why:
        with pytest.raises(StoreError, match=re.escape(why)) as error:
            run(store.open(place.fixtures))
        assert PASSWORD.replace("%40", "@") not in str(error.value)
        return
    run(store.open(place.fixtures))
    rotation: Any = store.rotate()
    run(anext(rotation))  # on a connection of its own
    sessions = cluster.sql(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        "WHERE application_name = 'flashback-mock'"
    )
    run(rotation.aclose())
    run(store.close())
    assert [row[0] for row in sessions] == [True, True]


def test_verified_server_is_accepted(place: Place, cluster: Cluster, run: Run) -> None:
    """`sslmode=verify-full` takes the server whose certificate has the name in the URL."""
    given = f"sslmode=verify-full&sslrootcert={cluster.folder / 'root.crt'}"
    url = (place.where or "").replace("sslmode=disable", given)
    place.where = url.replace("127.0.0.1", "localhost")
    store = place.store()
    assert run(store.open(place.fixtures))
    run(store.close())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush-@-hush@h/d",
        "postgresql://u:hush/hush@h/d",
        "postgresql://u:hush?hush@h/d",
        "postgresql://u:hush#hush@h/d",
        "postgresql://u:hush",
        "postgresql://u:hush@[::1/d",
        "postgresql://u:hush@h:port/d",
        "postgresql://u:hush\u2100@h/d",
        "postgresql://u@h/d?password=hu&sh",
        "postgresql://u@h/d?password=hush@hush",
        "postgresql+asyncpg://u:hush@h/d",
        "Postgresql:/u:hush@h/d",
        "mysql://u:hush@h/d",
    ],
)
def test_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    """A URL that does not say what its writer meant is refused; the error does not quote it."""
    with pytest.raises(ValueError, match="postgresql://user:password@host:port/database") as error:
        stores.store_at(url, flashback_mock.Contract().credentials)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (
            "postgresql://owner:hush@127.0.0.1:{port}/postgres",
            "refuses the password; it comes from",
        ),
        ("postgresql://hush:hush@127.0.0.1:{port}/postgres", "refuses the password; it comes from"),
        ("{good}none", "has no such database; make it with createdb"),
        ("{good}?search_path=nowhere", "has no such schema; make it with CREATE SCHEMA"),
        ("{good}?default_transaction_read_only=on", "is read-only; name the primary"),
        ("postgresql://u:hush@127.0.0.1:1/d", "cannot be reached: "),
        ("postgresql://u:hush@nowhere.invalid/d", "cannot be reached: "),
        ("postgresql://u:hush@/d?host=h&port=1,2", "cannot be used: could not match 2 port"),
    ],
)
def test_server_that_refuses_is_a_clear_error(
    cluster: Cluster, tmp_path: Path, run: Run, url: str, why: str
) -> None:
    """Whatever keeps a store from being opened is said with a cure, and without the password."""
    url = url.format(port=cluster.port, good=cluster.url().rstrip("?"))
    place = Place(url, tmp_path, cluster)
    store = place.store()
    with pytest.raises(StoreError, match=re.escape(why)) as error:
        run(store.open(place.fixtures))
    for said in (str(error.value), repr(store), store.location):
        assert "hush" not in said
        assert PASSWORD.replace("%40", "@") not in said
        assert PASSWORD not in said


def test_user_without_rights_is_a_clear_error(place: Place, cluster: Cluster, run: Run) -> None:
    """Who may not create tables is told what to grant."""
    cluster.sql("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'guest'")
    url = cluster.url("sslmode=disable&search_path=public", ":guest", "guest")
    with pytest.raises(StoreError, match="GRANT CREATE, USAGE ON SCHEMA"):
        run(Place(url, place.home, cluster).store().open(place.fixtures))


def test_database_of_another_encoding_is_refused(
    cluster: Cluster, tmp_path: Path, run: Run
) -> None:
    """A database that cannot hold every character is refused, with the cure."""
    cluster.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    place = Place(cluster.url().replace("/postgres?", "/latin"), tmp_path, cluster)
    with pytest.raises(StoreError, match="createdb --encoding UTF8"):
        run(place.store().open(place.fixtures))


def test_password_may_stay_out_of_the_url(
    place: Place, cluster: Cluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password comes from $PGPASSWORD or a .pgpass file, where a command line shows none."""
    password = PASSWORD.replace("%40", "@")
    place.where = (place.where or "").replace(f":{PASSWORD}", "")
    with pytest.raises(StoreError, match=r"\$PGPASSWORD or ~/.pgpass"):
        run(place.store().open(place.fixtures))
    passfile = place.home / "pgpass"
    passfile.write_text(f"127.0.0.1:{cluster.port}:*:owner:{password}\n")
    passfile.chmod(0o600)
    for name, value in (("PGPASSFILE", str(passfile)), ("PGPASSWORD", password)):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            store = place.store()
            run(store.open(place.fixtures))
            run(store.close())


def test_missing_extra_is_one_line() -> None:
    """Without asyncpg, --store postgresql://… says what to install."""
    code = (
        "import sys; sys.modules['asyncpg'] = None; from flashback_mock.__main__ import main; "
        "sys.argv = ['flashback_mock', '--store', 'postgresql://h/d']; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "flashback_mock: cannot start: needs asyncpg: pip install 'flashback-client[postgres]'\n"
    )


@pytest.mark.parametrize(
    "changes", [{"name": "hush\0"}, {"endpoint": "hush\0"}, {"name": "\ud800"}]
)
def test_value_that_cannot_be_stored_is_not_quoted(
    place: Place, run: Run, changes: dict[str, str]
) -> None:
    """What another contract may allow, and PostgreSQL cannot store, is an error without a value."""
    store = place.store()
    run(store.open(place.fixtures))
    with pytest.raises(StoreError) as error:
        run(store.update("owner-token", MAIN, changes))
    run(store.close())
    (value,) = changes.values()
    assert ("U+0000" in str(error.value)) == ("\0" in value)
    assert "hush" not in str(error.value)
