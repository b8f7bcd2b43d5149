"""`python -m flashback_mock`: run the mock backend until it is interrupted, or rotate its keys."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback for Ctrl-C during the imports

import argparse
import asyncio
import errno
import os
import secrets
import socket
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

try:
    from . import banner, logs
    from .contract import Contract
    from .control.mock import Mock
    from .fixtures import DEFAULT, SCHEMA, Fixtures, is_bearer_token
    from .http.guard import Guard
    from .http.server import listen
    from .serving import is_loopback, new_event_loop, serving
    from .stores import Store, StoreError, store_at
except ModuleNotFoundError as error:
    sys.exit(f"flashback_mock: needs {error.name}: pip install 'flashback-client[mock]'")

ADMIN_TOKEN = "FLASHBACK_MOCK_ADMIN_TOKEN"  # noqa: S105 - the name of a variable


def main() -> int:
    """Run the command; return its exit status, 1 if it cannot start."""
    _open_standard_streams()
    options = _options()
    if options.print_fixtures:
        _print(f"# yaml-language-server: $schema={SCHEMA.as_uri()}\n{DEFAULT.read_text('utf-8')}")
        return 0
    logs.to_stderr(options.log_level, options.log_format)
    # asyncio.run() replaces the default handler only, and background jobs of a shell have none.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        if options.command:
            return _rotate_keys(options)
        return _serve(options)
    except (ValueError, StoreError) as error:
        failed = "cannot rotate the key" if options.command else "cannot start"
        print(f"flashback_mock: {failed}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        _print("\nInterrupted; run the same command again.")
    return 1


def _open_standard_streams() -> None:
    """Open closed standard streams on /dev/null, so that no connection reuses their descriptors."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if isinstance(sys.stdout, TextIOWrapper):  # its encoding may lack a character in a name
        sys.stdout.reconfigure(errors="backslashreplace")


def _serve(options: argparse.Namespace) -> int:
    contract = Contract(options.contract)
    fixtures = Fixtures.read(contract, options.fixtures)
    guard = _guard(options.admin_token)
    if options.keys and not options.store:
        raise ValueError("--keys: needs --store; without it, no keys are kept")
    mock = Mock(contract, fixtures, store_at(options.store, contract.credentials, options.keys))
    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        raise ValueError(f"{options.host}, port {options.port}: {_remedy(error)}") from None
    with listener, asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve_until_stopped(mock, listener, guard, options.cors_origin))
    remains = "the store remains" if options.store else "the state is gone"
    _print(f"\nStopped; {remains}.")
    return 0


def _print(text: str) -> None:
    with suppress(OSError):  # the reader may be gone
        print(text, flush=True)


async def _serve_until_stopped(
    mock: Mock, listener: socket.socket, guard: Guard | None, cors_origins: list[str]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # on Windows, Ctrl-C cancels this
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    is_local = is_loopback(listener)
    async with serving(mock, listener, guard=guard, cors_origins=cors_origins) as is_new:
        _print(banner.text(mock, guard, is_new=is_new, is_local=is_local))
        await stop.wait()


def _rotate_keys(options: argparse.Namespace) -> int:
    if not options.store:
        raise ValueError("rotate-keys needs --store: the store whose master key is replaced")
    store = store_at(options.store, Contract(options.contract).credentials, options.keys)
    asyncio.run(_rotate(store))
    return 0


async def _rotate(store: Store) -> None:
    await store.open(None)
    try:
        _print(f"Rotating the master key of the store {store.location}")
        count = await store.rotate()
        _print(f"Done; {count} credentials are re-encrypted, and the old key is deleted.")
    finally:
        await store.close()


def _guard(token_file: str | None) -> Guard | None:
    if token_file is None:
        return None
    if token_file:
        token = _read_token(Path(token_file))
    elif ADMIN_TOKEN in os.environ:
        token = os.environ[ADMIN_TOKEN]
    else:
        token = secrets.token_urlsafe()
        _print(f"Token of /__admin\n  {token}\n")
    if not is_bearer_token(token):
        raise ValueError(
            "--admin-token: the token is empty, or not a bearer token (letters, digits, -._~+/)"
        )
    return Guard(token)


def _read_token(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ValueError(
            "--admin-token takes the name of a file that contains the token, because all users of "
            f"this machine can read command lines; the file cannot be read: {why}"
        ) from None


def _remedy(error: OSError) -> str:
    number = error.errno or 0
    if number < 0 or number == errno.EADDRNOTAVAIL:  # name resolution has negative numbers
        return "not an address of this machine; --host takes one, such as 127.0.0.1 or ::1"
    return f"{os.strerror(number)}; --port 0 chooses a free port"


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) < 1 << 16:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="flashback_mock",
        description="Run a mock of the Flashback AI LLM backend. Without --store, its state is in "
        "memory: it starts with the same fixtures each time and loses all changes at the end.",
        epilog="The master keys of a store are in the file that --keys or "
        "$FLASHBACK_MOCK_KEYS_FILE names, by default in a file per store in "
        "~/.local/share/flashback-mock. A new store creates its file. All users of this machine "
        "can read command lines: put the password of a postgresql:// URL into $PGPASSWORD or "
        "~/.pgpass.",
    )
    add = parser.add_argument
    about = "rotate-keys: re-encrypt a store with a new master key, and delete the old one"
    add("command", nargs="?", choices=["rotate-keys"], help=about)
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", default=4010, type=_port, help="port, 0 for a free one (default: %(default)s)")
    add("--store", metavar="WHERE", help="keep the state in a file, or at a postgresql:// URL")
    add("--keys", type=Path, metavar="FILE", help="the store's master keys")
    add("--fixtures", type=Path, metavar="FILE", help="initial state, YAML or JSON")
    add("--print-fixtures", action="store_true", help="print the default fixtures and exit")
    add(
        "--contract",
        type=Path,
        metavar="FILE",
        help="contract to serve, instead of the bundled one",
    )
    about = (
        "also serve /__admin on non-loopback addresses; requires the bearer token in FILE, or in "
        f"${ADMIN_TOKEN}, or a new one that is printed"
    )
    add("--admin-token", nargs="?", const="", metavar="FILE", help=about)
    about = "allow web pages of this origin to send updates (CORS); may be repeated"
    add("--cors-origin", action="append", default=[], metavar="ORIGIN", help=about)
    levels = ["debug", "info", "warning", "error"]
    add("--log-level", default="info", choices=levels, help="verbosity (default: %(default)s)")
    form = "text" if os.isatty(2) else "json"
    about = "format of log lines (default: text on a terminal, else json)"
    add("--log-format", default=form, choices=["text", "json"], help=about)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
