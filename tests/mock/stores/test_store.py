"""What every store promises: in memory, in a file, in PostgreSQL."""

import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flashback_mock.fixtures import Configuration, Fixtures, Member, Token
from flashback_mock.stores.store import (
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    RefusedError,
    Store,
    StoreError,
    UnauthorizedError,
)

from tests.mock.stores.conftest import Place, Run

MAIN = "550e8400-e29b-41d4-a716-446655440000"
SIBLING = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
OWNER = "owner-token"

durable = pytest.mark.parametrize("place", ["file", "postgresql"], indirect=True)
# Which sealed credential takes the place of a secret.
SECRET = "configuration = 1 AND field = 'secret'"
MOVED = {
    "from another field": "configuration = 1 AND field = 'key'",
    "from another row": "configuration = 2 AND field = 'key'",
    "to another workspace": None,
}


def configurations(count: int) -> Fixtures:
    """As many configurations with two credentials each."""
    return Fixtures(
        configurations=tuple(
            Configuration("", "acme", f"id-{n}", {"key": f"key-{n}", "secret": f"secret-{n}"})
            for n in range(count)
        )
    )


async def rotated(store: Store) -> list[tuple[int, int]]:
    """What a rotation tells of its progress."""
    return [progress async for progress in store.rotate()]


@contextmanager
def opened(place: Place, run: Run, **environment: str) -> Generator[Store]:
    """The store as it is found again."""
    store = place.store(**environment)
    assert not run(store.open(place.fixtures))
    try:
        yield store
    finally:
        run(store.close())


def test_every_field_is_kept(place: Place, store: Store, run: Run) -> None:
    """An update stores every field; of credentials it shows only that they are there, and when."""
    example = place.contract.examples["everything"]
    assert run(store.update(OWNER, MAIN, example)) == "owner"
    stored = run(store.configuration(MAIN))
    credentials = {name: stored.pop(name) for name in ("key", "secret")}
    plain = {name: example[name] for name in example.keys() - credentials.keys()}
    assert stored == {"workspace": "acme", **plain}
    for name, shown in credentials.items():
        assert shown["set"] is True
        assert shown["changedAt"].endswith("+00:00")
        assert run(store.reveals(MAIN, name, example[name]))
        assert not run(store.reveals(MAIN, name, example[name] + "x"))


@pytest.mark.parametrize("value", ["x" * 8192, "\U0001f511" * 8192, "\0", "a\0b", "é\r\n", "'"])
def test_every_credential_is_kept_as_it_is(store: Store, run: Run, value: str) -> None:
    """Credentials may be of any characters, and of any size that the contract allows."""
    run(store.update(OWNER, MAIN, {"secret": value}))
    assert run(store.reveals(MAIN, "secret", value))


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (("unknown", MAIN, {"key": "new"}), UnauthorizedError),
        (("expired-token", MAIN, {"key": "new"}), UnauthorizedError),
        ((OWNER, "unknown", {"key": "new"}), NotFoundError),
        ((OWNER, f"{MAIN}\0", {"key": "new"}), NotFoundError),
        ((OWNER, MAIN.upper(), {"key": "new"}), NotFoundError),
        (("reader-token", MAIN, {"key": "new"}), ForbiddenError),
        (("stranger-token", MAIN, {"key": "new"}), ForbiddenError),
        (("reader-token", MAIN, {}), ForbiddenError),
        (("admin-token", MAIN, {"name": "Anthropic in staging", "key": "new"}), NameTakenError),
    ],
)
def test_refused_update_changes_nothing(
    store: Store, run: Run, asked: tuple[str, str, dict[str, str]], refusal: type[Exception]
) -> None:
    """Whoever may not, or asks for what is not there or taken, is refused by name, all of it."""
    run(store.update(OWNER, MAIN, {"aiType": "OTHER"}))  # a store may remember what it has seen
    before = run(store.configuration(MAIN))
    with pytest.raises(refusal) as refused:
        run(store.update(*asked))
    if isinstance(refused.value, RefusedError):
        assert refused.value.user == asked[0].removesuffix("-token")
    assert run(store.configuration(MAIN)) == before
    assert run(store.reveals(MAIN, "key", "made-up-access-key"))


@pytest.mark.parametrize(
    "second",
    [
        Configuration("", "acme", "new", {}),
        Configuration("", "acme", "other", {"name": "new"}),
        Configuration("", "acme", "other", {"name": "Anthropic in staging"}),
        Configuration("", "acme", "other", {"secret": "\ud800"}),
    ],
    ids=["its id is new too", "its name is new too", "its name is taken", "it cannot be stored"],
)
def test_configurations_are_added_all_or_none(
    store: Store, run: Run, second: Configuration
) -> None:
    """Where one of several cannot be added, none is."""
    before = run(store.configurations())
    first = Configuration("", "acme", "new", {"name": "new"})
    with pytest.raises((NameTakenError, ValueError)):
        run(store.add(Fixtures(configurations=(first, second))))
    assert run(store.configurations()) == before


def test_empty_update_changes_nothing(store: Store, run: Run) -> None:
    """`{}` is an update that changes nothing."""
    before = run(store.configuration(MAIN))
    assert run(store.update(OWNER, MAIN, {})) == "owner"
    assert run(store.configuration(MAIN)) == before


def test_names_are_unique_code_point_by_code_point(store: Store, run: Run) -> None:
    """Names that differ in case, normal form or trailing blanks are different names."""
    for sibling, main in (("Caf\u00e9", "Cafe\u0301"), ("openai", "OpenAI"), ("a", "a ")):
        run(store.update(OWNER, SIBLING, {"name": sibling}))
        run(store.update(OWNER, MAIN, {"name": main}))
        assert run(store.configuration(MAIN))["name"] == main
    run(store.update(OWNER, MAIN, {"name": "a "}))  # its own name is not taken


def test_concurrent_updates_all_survive(store: Store, run: Run) -> None:
    """Updates of different fields of one configuration at once: all of them are kept."""
    changes = {
        "name": "New name",
        "aiType": "OTHER",
        "endpoint": "https://new.example",
        "key": "new-key",
        "secret": "new-secret",
    }

    async def update() -> None:
        for number in range(10):
            each = ({k: v if k == "aiType" else f"{v}{number}"} for k, v in changes.items())
            await asyncio.gather(*(store.update(OWNER, MAIN, change) for change in each))

    run(update())
    stored = run(store.configuration(MAIN))
    assert (stored["name"], stored["aiType"]) == ("New name9", "OTHER")
    assert stored["endpoint"] == "https://new.example9"
    assert run(store.reveals(MAIN, "key", "new-key9"))
    assert run(store.reveals(MAIN, "secret", "new-secret9"))


def test_what_is_added_is_there(store: Store, run: Run) -> None:
    """Members, tokens and configurations that are added hold beside those that were there."""
    added = Configuration("", "acme", "new\0id", {"aiType": "AWS", "secret": "s"})
    run(
        store.add(
            Fixtures((Token("new-token", "new"),), (Member("acme", "new", "READ"),), (added,))
        )
    )
    with pytest.raises(ForbiddenError):
        run(store.update("new-token", added.id, {"name": "n"}))
    run(store.add(Fixtures(members=(Member("acme", "new", "WRITE"),))))
    assert run(store.update("new-token", added.id, {"name": "n"})) == "new"
    assert run(store.reveals(added.id, "secret", "s"))
    assert run(store.user_of("new-token")) == "new"
    assert run(store.configurations())[added.id] == "acme"


@pytest.mark.parametrize(("id", "name"), [(MAIN, "n"), ("new-id", "OpenAI in production")])
def test_what_is_there_is_not_added_again(store: Store, run: Run, id: str, name: str) -> None:
    """Of an id, or of a name in a workspace, there is one; nothing of the addition is kept."""
    first = Configuration("", "acme", "first", {})
    again = Configuration("", "acme", id, {"name": name})
    with pytest.raises(NameTakenError):
        run(store.add(Fixtures(configurations=(first, again))))
    assert "first" not in run(store.configurations())


def test_reset_is_as_new(place: Place, store: Store, run: Run) -> None:
    """A reset forgets everything, and holds the fixtures."""
    before = run(store.configuration(MAIN))
    run(store.update(OWNER, MAIN, place.contract.examples["everything"]))
    run(store.add(Fixtures((Token("new-token", "new"),), (), configurations(3).configurations)))
    run(store.reset(place.fixtures))
    after = run(store.configuration(MAIN))
    assert {k: v for k, v in after.items() if isinstance(v, str)} == {
        k: v for k, v in before.items() if isinstance(v, str)
    }
    assert run(store.reveals(MAIN, "secret", "made-up-secret-key"))
    assert run(store.user_of("new-token")) is None
    assert len(run(store.configurations())) == 3


@durable
def test_everything_is_there_again(place: Place, store: Store, run: Run) -> None:
    """What was stored is there when the store is opened again, the fixtures do not come back."""
    example = place.contract.examples["everything"]
    run(store.update(OWNER, MAIN, example))
    before = run(store.configuration(MAIN))
    run(store.close())
    with opened(place, run) as again:
        assert run(again.configuration(MAIN)) == before
        assert run(again.reveals(MAIN, "secret", example["secret"]))
        assert run(again.user_of(OWNER)) == "owner"


@durable
def test_store_that_is_not_there_is_not_made_by_chance(place: Place, run: Run) -> None:
    """Whoever wants a store that is there already gets a clear error, and none is made."""
    with pytest.raises(StoreError):
        run(place.store().open(None))
    assert not place.home.exists()
    store = place.store()
    assert run(store.open(place.fixtures))
    run(store.close())


@durable
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"", "there is no key"),
        (b"AAAA\n", "key 1 is not 32 bytes in Base64"),
        (b"\xff\xfe\n", "key 1 is not 32 bytes in Base64"),
        (base64.b64encode(bytes(range(32))), "holds the keys of another store"),
    ],
)
def test_wrong_keys_are_clear_at_open(
    place: Place, store: Store, run: Run, given: bytes | None, why: str
) -> None:
    """Without its keys a store does not open; the error says where they should be, and no key."""
    run(store.close())
    file = place.key_file
    right = file.read_text().strip()
    file.unlink() if given is None else file.write_bytes(given)
    with pytest.raises(StoreError, match=re.escape(why)) as error:
        run(place.store().open(place.fixtures))
    assert str(file) in str(error.value)
    for key in (right, (given or b"none").decode("latin-1").strip() or "none"):
        assert key not in str(error.value)


@durable
def test_key_file_that_others_read_is_refused(place: Place, store: Store, run: Run) -> None:
    """A key file that others may read is refused, and the cure is said."""
    run(store.close())
    place.key_file.chmod(0o640)
    with pytest.raises(StoreError, match="chmod 600"):
        run(place.store().open(place.fixtures))


@durable
@pytest.mark.parametrize("moved", MOVED)
def test_moved_credential_does_not_open(place: Place, store: Store, run: Run, moved: str) -> None:
    """A sealed credential that is moved in the database opens at no other place."""
    run(store.close())
    place.sql(moving(MOVED[moved]))
    with opened(place, run) as again:
        with pytest.raises(StoreError, match="does not open: it was damaged, or moved"):
            run(again.reveals(MAIN, "secret", "made-up-secret-key"))
        token = OWNER if MOVED[moved] else "stranger-token"
        run(again.update(token, MAIN, {"secret": "new"}))
        assert run(again.reveals(MAIN, "secret", "new"))


def moving(source: str | None) -> str:
    """The statement that puts a sealed credential in the secret's place."""
    if source is None:
        return "UPDATE configuration SET workspace = 'globex' WHERE number = 1"
    sealed = f"(SELECT sealed FROM credential WHERE {source})"  # noqa: S608 - our own words
    return f"UPDATE credential SET sealed = {sealed} WHERE {SECRET}"  # noqa: S608 - the same


@durable
def test_newer_schema_is_refused(place: Place, store: Store, run: Run) -> None:
    """A store of a newer mock is refused, by version, and left as it is."""
    run(store.close())
    place.sql("UPDATE store SET version = 9" if place.cluster else "PRAGMA user_version = 9")
    before = None if place.cluster else Path(place.where or "").read_bytes()
    with pytest.raises(StoreError, match=r"newer mock.*schema 9, this one knows \d"):
        run(place.store().open(place.fixtures))
    assert before == (None if place.cluster else Path(place.where or "").read_bytes())


@durable
def test_rotation_leaves_one_new_key(place: Place, store: Store, run: Run) -> None:
    """After a rotation the old key is gone, and everything opens with the new one, there alone."""
    run(store.add(configurations(103)))
    run(store.update(OWNER, MAIN, {"secret": "new" * 700}))
    old = place.key_file.read_text()
    progress = run(rotated(store))
    assert progress == [(100, 211), (200, 211), (211, 211)]
    assert run(store.update(OWNER, MAIN, {"key": "after"})) == "owner"
    run(store.close())
    assert len(place.keys()) == 1
    assert place.key_file.read_text() != old
    with opened(place, run) as again:
        assert run(again.reveals(MAIN, "secret", "new" * 700))
        assert run(again.reveals(MAIN, "key", "after"))
        for number in range(103):
            assert run(again.reveals(f"id-{number}", "secret", f"secret-{number}"))


@durable
def test_keys_in_the_environment_rotate(place: Place, run: Run) -> None:
    """Keys in the environment rotate when the new one is put first; then the old one may go."""
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    first = place.store(FLASHBACK_MOCK_KEYS=old)
    assert run(first.open(place.fixtures))
    with pytest.raises(StoreError, match="put the new key before the one that it is to replace"):
        run(rotated(first))
    run(first.close())
    with opened(place, run, FLASHBACK_MOCK_KEYS=f"{new},{old}") as both:
        assert run(rotated(both))[-1] == (5, 5)
    with opened(place, run, FLASHBACK_MOCK_KEYS=new) as again:
        assert run(again.reveals(MAIN, "secret", "made-up-secret-key"))
    with pytest.raises(StoreError, match=r"\$FLASHBACK_MOCK_KEYS: holds the keys of another store"):
        run(place.store(FLASHBACK_MOCK_KEYS=old).open(place.fixtures))


@durable
@pytest.mark.parametrize("signals", ["", 'trap "" INT;'], ids=["", "in the background"])
def test_rotation_that_is_stopped_says_how_to_go_on(
    place: Place, store: Store, run: Run, signals: str
) -> None:
    """SIGTERM ends a rotation with a line that says what to do, and no trace."""
    run(store.add(configurations(1500)))
    run(store.close())
    command = [sys.executable, "-m", "flashback_mock", "rotate-keys", "--store", str(place.where)]
    command = ["/bin/sh", "-c", f'{signals} exec "$@"', "sh", *command]
    environment = {**os.environ, "XDG_DATA_HOME": str(place.home)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout
        while "100 of 3005" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=20)
    assert (process.returncode, complained) == (1, "")
    assert said.endswith("\nStopped; the same command goes on from here.\n")
    assert len(place.keys()) == 2


@durable
def test_killed_rotation_goes_on(place: Place, store: Store, run: Run) -> None:
    """A rotation that is killed leaves a store that works, and goes on when it is run again."""
    run(store.add(configurations(1500)))
    run(store.close())
    (old,) = place.keys()
    command = [sys.executable, "-m", "flashback_mock", "rotate-keys", "--store", str(place.where)]
    environment = {**os.environ, "XDG_DATA_HOME": str(place.home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while "200 of 3005" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert len(place.keys()) == 2
    with opened(place, run) as between:
        for number in (0, 1499):
            assert run(between.reveals(f"id-{number}", "key", f"key-{number}"))
        run(between.update(OWNER, "id-1499", {"key": "between"}))
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    done, of = re.findall(r"(\d+) of (\d+)", said.stdout)[-1]
    assert done == of
    assert int(of) < 3005
    assert place.keys() != [old]
    with opened(place, run) as after:
        assert all(run(after.reveals(f"id-{n}", "key", f"key-{n}")) for n in range(0, 1499, 100))
        assert run(after.reveals("id-1499", "key", "between"))
