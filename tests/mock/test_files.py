"""The files of a store: whose they are, who may read them, and what is left alone."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from flashback_mock import Contract, Fixtures
from flashback_mock.keys import KeySource
from flashback_mock.sqlite import APPLICATION_ID, MIGRATIONS, Sqlite
from flashback_mock.store import StoreError, digest_of
from flashback_mock.vault import Vault

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


def test_store_of_the_first_schema_is_migrated(tmp_path: Path) -> None:
    """A store that an older mock made keeps its credentials, and no copy of them."""
    keys, now = KeySource(tmp_path / "keys", {}), "2026-11-23T18:37:52.5+00:00"
    vault = Vault(keys.make("id"))
    sealed, small, large = vault.seal("é" * 999, "w", "c", "key"), 256, 2048
    db = sqlite3.connect(tmp_path / "store.db")
    db.executescript(MIGRATIONS[0])
    db.executescript(f"PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID}")
    db.execute("INSERT INTO store VALUES ('id', ?)", (vault.proof("id"),))
    db.execute("INSERT INTO token VALUES (?, 'u', NULL)", (digest_of("t"),))
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
