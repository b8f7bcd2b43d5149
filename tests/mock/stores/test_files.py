"""The files of a store: whose they are, who may read them, and what is left alone."""

import asyncio
import base64
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flashback_mock import Contract, Fixtures
from flashback_mock.stores.keys import KeySource
from flashback_mock.stores.sqlite import APPLICATION_ID, MIGRATIONS, Sqlite
from flashback_mock.stores.store import StoreError, token_digest
from flashback_mock.stores.vault import Vault

from tests.mock.wire import welcome_of

KEY = base64.b64encode(bytes(range(32))).decode()
CONTRACT = Contract()
FIXTURES = Fixtures.read(CONTRACT)


def store_in(folder: Path, name: str = "store.db", keys: str = "keys") -> Sqlite:
    """The store in a file, with its keys in another."""
    return Sqlite(folder / name, CONTRACT.credentials, KeySource(folder / keys, {}))


def opened(store: Sqlite, fixtures: Fixtures | None = FIXTURES) -> None:
    """Open the store, and close it."""

    async def both() -> None:
        await store.open(fixtures)
        await store.close()

    asyncio.run(both())


def refused(store: Sqlite, why: str, fixtures: Fixtures | None = FIXTURES) -> None:
    """Assert that the store does not open, and that its error names it and why."""
    with pytest.raises(StoreError, match=why):
        opened(store, fixtures)


@pytest.mark.parametrize("before", [None, b""])
def test_store_and_keys_are_for_their_owner_only(tmp_path: Path, before: bytes | None) -> None:
    """The database and the key file have mode 0600, also where an empty file was there."""
    if before is not None:
        (tmp_path / "store.db").write_bytes(before)
    opened(store_in(tmp_path))
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_two_stores_cannot_share_a_key_file(tmp_path: Path) -> None:
    """A key file belongs to one store, whose rotation would destroy what another one needs."""
    opened(store_in(tmp_path))
    refused(store_in(tmp_path, "other.db"), "keys: holds the keys of another store; --keys names")
    assert (tmp_path / "other.db").read_bytes() == b""


def test_link_to_a_key_file_stays_a_link(tmp_path: Path) -> None:
    """Keys are written where a link leads, and the link stays one."""
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    opened(store_in(tmp_path, keys="link"))
    opened(store_in(tmp_path))
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    "content", [b"hello", b"SQLite format 3\0" + bytes(100)], ids=["text", "another database"]
)
def test_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """A file that is no store's is refused by name, and neither it nor its mode changes."""
    file = tmp_path / "store.db"
    file.write_bytes(content)
    file.chmod(0o644)
    refused(store_in(tmp_path), "store.db: is no store of this mock")
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["store.db"]


def test_tables_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    """A database with our mark and tables of others is refused."""
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("CREATE TABLE token (x)")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.close()
    refused(store_in(tmp_path), "store.db: is damaged")


def test_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A store with a page that was overwritten is refused by name, and left as it is."""
    opened(store_in(tmp_path))
    file = tmp_path / "store.db"
    content = bytearray(file.read_bytes())
    content[8192:8300] = b"x" * 108
    file.write_bytes(content)
    refused(store_in(tmp_path), "store.db: is damaged; restore it from a backup")
    assert file.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder and a pipe are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        refused(store_in(tmp_path, name), "cannot be opened: it is no file")


def test_rotation_makes_no_store(tmp_path: Path) -> None:
    """Where there is no store, or an empty file, none is made by rotating its keys."""
    refused(store_in(tmp_path), "No such file", None)
    (tmp_path / "store.db").touch()
    refused(store_in(tmp_path), "is empty; there is no store in it yet", None)
    assert (tmp_path / "store.db").read_bytes() == b""
    assert not (tmp_path / "keys").exists()


def test_store_is_open_in_one_process_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second is told that the store is open."""
    first, script = store_in(tmp_path), "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0)"
    script += ".execute('SELECT * FROM store')"

    async def second() -> str:
        await first.open(FIXTURES)
        refusal = await asyncio.create_subprocess_exec(
            *("python3", "-c", script, str(tmp_path / "store.db")), stderr=asyncio.subprocess.PIPE
        )
        said = (await refusal.communicate())[1].decode()
        await first.close()
        return said

    assert "database is locked" in asyncio.run(second())
    db = sqlite3.connect(tmp_path / "store.db")
    db.execute("BEGIN EXCLUSIVE")
    refused(store_in(tmp_path), "store.db: is open in another process; stop it")
    db.close()


def test_refused_second_store_leaves_the_first_its_lock(tmp_path: Path) -> None:
    """A store that is opened twice in one process is refused, and stays closed to all others."""

    async def both() -> None:
        first = store_in(tmp_path)
        await first.open(FIXTURES)
        with pytest.raises(StoreError, match="is open in this process already"):
            await store_in(tmp_path).open(FIXTURES)
        script = (
            "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('SELECT 1 FROM store')"
        )
        third = [sys.executable, "-c", script, str(tmp_path / "store.db")]
        done = await asyncio.to_thread(subprocess.run, third, capture_output=True, check=False)
        assert b"database is locked" in done.stderr
        await first.close()
        second = store_in(tmp_path)
        await second.open(FIXTURES)
        await first.close()  # again: it is not its own any more
        with pytest.raises(StoreError, match="is open in this process already"):
            await store_in(tmp_path).open(FIXTURES)
        await second.close()

    asyncio.run(both())
    opened(store_in(tmp_path))


def test_what_is_answered_is_synced_and_what_is_replaced_is_wiped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite syncs fully, wipes what is freed, truncates its journal, and shares with nobody."""
    connections, connect = list[sqlite3.Connection](), sqlite3.connect

    def recorded(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", recorded)
    store = store_in(tmp_path)
    asyncio.run(store.open(FIXTURES))
    (db,) = connections
    names = ("synchronous", "secure_delete", "journal_mode", "locking_mode")
    found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    asyncio.run(store.close())
    assert found == [2, 1, "truncate", "exclusive"]


def test_replaced_key_file_is_wiped(tmp_path: Path) -> None:
    """What a rotation leaves of the old key file on the disk is zeros."""
    opened(store_in(tmp_path))

    async def rotated() -> None:
        store = store_in(tmp_path)
        await store.open(None)
        async for _ in store.rotate():
            pass
        await store.close()

    with (tmp_path / "keys").open("rb") as old:
        assert old.read().strip(b"\0")
        asyncio.run(rotated())
        old.seek(0)
        assert old.read().strip(b"\0") == b""


@pytest.mark.parametrize(
    ("options", "variables", "place"),
    [
        ([], {}, "data/flashback-mock/{id}.keys"),
        ([], {"FLASHBACK_MOCK_KEYS_FILE": "named"}, "named"),
        (["--keys", "option"], {"FLASHBACK_MOCK_KEYS_FILE": "named"}, "option"),
        (["--keys", "option"], {"FLASHBACK_MOCK_KEYS": "!"}, "option"),
        ([], {"FLASHBACK_MOCK_KEYS": KEY, "FLASHBACK_MOCK_KEYS_FILE": "n"}, "$FLASHBACK_MOCK_KEYS"),
    ],
)
def test_place_of_the_keys_is_said_at_start(
    tmp_path: Path, options: list[str], variables: dict[str, str], place: str
) -> None:
    """Keys lie where the option says, else a variable, else apart from the store; it is said."""
    command = [sys.executable, "-m", "flashback_mock", "--port", "0", "--store", "s.db", *options]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), **variables}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        welcome = welcome_of(process)
        process.terminate()
    where = re.search("its master keys in (.*)", welcome)
    assert where
    (id,) = sqlite3.connect(tmp_path / "s.db").execute("SELECT id FROM store").fetchone()
    expected = place.format(id=id)
    assert where[1] == (expected if "$" in place else str(tmp_path / expected))
    assert "$" in place or (tmp_path / expected).stat().st_mode & 0o777 == 0o600


def test_store_of_the_first_schema_is_migrated(tmp_path: Path) -> None:
    """A store that an older mock made keeps its credentials, and no copy of them."""
    keys, now = KeySource(tmp_path / "keys", {}), "2026-11-23T18:37:52.5+00:00"
    vault = Vault(keys.make("id"))
    sealed, small, large = vault.seal("é" * 999, "w", "c", "key"), 256, 2048
    db = sqlite3.connect(tmp_path / "store.db")
    db.executescript(MIGRATIONS[0])
    db.executescript(f"PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID}")
    db.execute("INSERT INTO store VALUES ('id', ?)", (vault.proof("id"),))
    db.execute("INSERT INTO token VALUES (?, 'u', NULL)", (token_digest("t"),))
    db.execute("INSERT INTO member VALUES ('w', 'u', 'WRITE')")
    db.execute("INSERT INTO configuration VALUES (1, 'c', 'w', 'name', '{}')")
    db.execute("INSERT INTO cell VALUES (1, zeroblob(256)), (2, ?)", (sealed,))
    held = [(1, "key", small, 1, None), (1, "key", large, 2, now)]
    db.executemany("INSERT INTO credential VALUES (?, ?, ?, ?, ?)", held)
    db.commit()
    db.close()

    async def judged() -> None:
        store = store_in(tmp_path)
        assert not await store.open(FIXTURES)
        assert await store.reveals("c", "key", "é" * 999)
        shown = await store.configuration("c")
        assert shown["key"] == {"set": True, "changedAt": "2026-11-23T18:37:52+00:00"}
        assert (tmp_path / "store.db").read_bytes().count(sealed[:1000]) == 1
        await store.update("t", "c", {"key": "small"})
        assert await store.reveals("c", "key", "small")
        assert sealed[5:50] not in (tmp_path / "store.db").read_bytes()
        await store.close()

    asyncio.run(judged())
