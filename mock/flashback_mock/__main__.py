"""`python -m flashback_mock`: run the mock backend until it is interrupted, or rotate its keys."""

import argparse
import asyncio
import errno
import json
import os
import secrets
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

try:
    from . import logs
    from .app import BEARER
    from .contract import Contract
    from .fixtures import DEFAULT, SCHEMA, Fixtures
    from .mock import Mock
    from .server import Server, listen, mock_at
    from .stores import Store, StoreError, store_at
except ModuleNotFoundError as missing:
    sys.exit(f"flashback_mock: needs {missing.name}: pip install 'flashback-client[mock]'")

ADMIN_TOKEN = "FLASHBACK_MOCK_ADMIN_TOKEN"  # noqa: S105 - the name of a variable
GRACE_SECONDS = 8


def main() -> int:
    """Run the command; its exit status: 0 done, 1 it cannot start."""
    options = _options()
    if options.print_fixtures:
        print(f"# yaml-language-server: $schema={SCHEMA.as_uri()}")
        print(DEFAULT.read_text("utf-8"), end="")
        return 0
    logs.to_stderr(options.log_level, options.log_format)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        return _rotate_keys(options) if options.command else _serve(options)
    except (ValueError, StoreError) as error:
        failed = "cannot rotate the key" if options.command else "cannot start"
        print(f"flashback_mock: {failed}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped before it began.")
    return 1


def _serve(options: argparse.Namespace) -> int:
    contract = Contract(options.contract)
    fixtures = Fixtures.read(contract, options.fixtures)
    token = _admin_token(options.admin_token)
    store = store_at(options.store, contract.credentials, options.keys)
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        raise ValueError(f"{options.host}, port {options.port}: {_cure(error)}") from None
    with listener:
        mock = mock_at(listener, contract, fixtures, store)
        server = Server(listener, mock, token, GRACE_SECONDS)
        server.when_started = _welcome
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            print(
                "\nStopped; what was stored", "remains." if options.store else "in memory is gone."
            )
    return 0


def _rotate_keys(options: argparse.Namespace) -> int:
    if not options.store:
        raise ValueError("rotate-keys needs --store, whose master key is to be replaced")
    store = store_at(options.store, Contract(options.contract).credentials, options.keys)
    try:
        asyncio.run(_rotate(store))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nStopped; the same command goes on from here.")
        return 1
    return 0


async def _rotate(store: Store) -> None:
    this: Any = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    await store.open(None)
    try:
        print(f"Rotating the master key of the store {store.location}", flush=True)
        async for done, of in store.rotate():
            print(f"  {done} of {of} credentials re-encrypted", flush=True)
            await asyncio.sleep(0)  # here a store in a file can be stopped
        print("Done; the old keys are destroyed, unless they are yours, in $FLASHBACK_MOCK_KEYS.")
    finally:
        await store.close()


def _admin_token(given: str | None) -> str | None:
    """The token of `/__admin`, from a file, a variable, or made now; None: it has none."""
    if given is None:
        return None
    try:
        token = Path(given).read_text("utf-8").strip() if given else os.environ.get(ADMIN_TOKEN)
    except OSError as error:
        raise ValueError(
            "--admin-token takes a file that holds the token, since everybody can read a command "
            f"line; this one: {error.strerror}"
        ) from None
    if token is None:
        token = secrets.token_urlsafe()
        print(f"Token of /__admin\n  {token}\n")
    if not BEARER.fullmatch(f"Bearer {token}"):
        raise ValueError(
            "--admin-token: what was given is empty, or no bearer token (letters, digits, -._~+/)"
        )
    return token


def _cure(error: OSError) -> str:
    if (error.errno or 0) < 0 or error.errno == errno.EADDRNOTAVAIL:  # not of the port
        return "not an address of this machine; --host takes one, such as 127.0.0.1 or ::1"
    return f"{os.strerror(error.errno or 0)}; --port 0 picks a free port"


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) < 1 << 16:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="flashback_mock",
        description="A mock of the Flashback AI LLM backend. Without --store its state is in "
        "memory: it starts with the same fixtures every time, and forgets everything when it "
        "stops.",
        epilog="Master keys of a store: $FLASHBACK_MOCK_KEYS holds them (32 bytes in Base64 each, "
        "the one that seals first), else the file that --keys or $FLASHBACK_MOCK_KEYS_FILE names, "
        "else a file of the store's own under ~/.local/share/flashback-mock; a file is made when "
        "the store is new. Everybody on this machine can read a command line: the password of a "
        "postgresql:// URL belongs into $PGPASSWORD or ~/.pgpass.",
    )
    command = "rotate-keys: re-encrypt a store with a new master key and destroy the old one"
    parser.add_argument("command", nargs="?", choices=["rotate-keys"], help=command)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", default=4010, type=_port, help="port, 0: a free one (%(default)s)")
    add("--store", metavar="WHERE", help="keep the state in this file, or at postgresql://…")
    add("--keys", type=Path, metavar="FILE", help="the store's master keys")
    add("--fixtures", type=Path, metavar="FILE", help="start with these, YAML or JSON")
    add("--print-fixtures", action="store_true", help="print the default fixtures and stop")
    add("--contract", type=Path, metavar="FILE", help="serve this contract instead of its own")
    about = f"serve /__admin on any address, to who has the token in FILE, or in ${ADMIN_TOKEN}"
    add("--admin-token", nargs="?", const="", metavar="FILE", help=about)
    levels = ["debug", "info", "warning", "error"]
    add("--log-level", default="info", choices=levels, help="verbosity (%(default)s)")
    terminal = "text" if sys.stderr.isatty() else "json"
    about = "for people or for programs (text on a terminal, else json)"
    add("--log-format", default=terminal, choices=["text", "json"], help=about)
    return parser.parse_args()


def _welcome(mock: Mock, new: bool) -> None:  # noqa: FBT001 - uvicorn's callback
    tokens = [f"  {t.value:<16}{mock.fixtures.told(t)}" for t in mock.fixtures.tokens]
    ids = [f"  {c.id}  {c.workspace}, {c.fields.get('name')}" for c in mock.fixtures.configurations]
    where = ["Store", f"  {mock.store.location}"]
    if not new:
        where.append(
            "  as it was left, with the fixtures that it was made with. If these are others, "
            "POST /__admin/reset\n  empties it and puts them in:"
        )
    tried = ["Try it", f"  {_curl(mock)}"]
    here = f"Flashback mock backend on {mock.base_url} (Ctrl-C stops it)"
    lines = [*where, "", "Tokens", *tokens, "", "Configurations", *ids, "", *tried, "", here]
    print("\n".join(lines), flush=True)


def _curl(mock: Mock) -> str:
    id = next(iter(mock.ids.values()), "ID")
    url = mock.base_url + mock.contract.path.replace("{id}", id)
    content_type = f"Content-Type: {mock.contract.media_type}"
    token = next(iter(mock.tokens.values()), "TOKEN")
    data = json.dumps(mock.contract.examples["everything"])
    command = ["curl", "-X", "PUT", url, "-H", content_type, "-H", f"Authorization: Bearer {token}"]
    return shlex.join([*command, "--data", data])


if __name__ == "__main__":
    sys.exit(main())
