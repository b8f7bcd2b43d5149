"""The command-line interface for running the mock backend and rotating a store's master key."""

import signal

if __name__ == "__main__":
    # Without this line, pressing Ctrl-C during startup would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import os
import re
import secrets
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

try:
    from . import banner, logs
    from .contract import Contract
    from .control.mock import Mock
    from .fixtures import BEARER_TOKEN, Fixtures
    from .http.guard import Guard
    from .http.server import listen
    from .serving import is_loopback, new_event_loop, serving
    from .stores import store_at
    from .stores.errors import StoreError
    from .stores.memory import MemoryStore
except ModuleNotFoundError as error:
    sys.exit(f"flashback_mock: requires {error.name}; run: pip install 'flashback-client[mock]'")

ADMIN_TOKEN = "FLASHBACK_MOCK_ADMIN_TOKEN"  # noqa: S105 - not a token


def main() -> int:
    """Run the command and return its exit status."""
    # Replace closed standard streams with /dev/null so that no socket gets descriptor 0, 1 or 2.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if isinstance(sys.stdout, TextIOWrapper):
        # Names in the banner can contain characters that the output's encoding does not support, so
        # escape these characters instead of raising an error.
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _options()
    logs.to_stderr(options.log_level, options.log_format)
    try:
        run = _rotate_keys if options.command else _serve
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run(options))
    except (OSError, ValueError, StoreError) as error:
        failed = "cannot rotate the key" if options.command else "cannot start"
        print(f"flashback_mock: {failed}: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    contract = Contract(options.contract)
    fixtures = Fixtures.read(contract, options.fixtures)
    guard = Guard(_admin_token()) if options.admin_token else None
    mock = Mock(contract, fixtures, store_at(options.store, contract.credentials, options.keys))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Event loops on Windows do not support signal handlers. Ctrl-C still ends the process there.
    with suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    with listen(options.host, options.port) as listener:
        async with serving(mock, listener, guard=guard, cors_origins=options.cors_origin):
            _print(banner.text(mock, guard, is_local=is_loopback(listener)))
            await stop.wait()


def _print(text: str) -> None:
    with suppress(OSError):  # the reader might have closed the pipe
        print(text, flush=True)


async def _rotate_keys(options: argparse.Namespace) -> None:
    store = store_at(options.store, Contract(options.contract).credentials, options.keys)
    if isinstance(store, MemoryStore):
        raise ValueError("rotate-keys requires --store; specify the store to re-encrypt")
    await store.open(None)
    try:
        _print(f"Rotating the master key of the store {store.location}")
        count = await store.rotate()
        _print(f"Done. Re-encrypted {count} credentials and deleted the old key.")
    finally:
        await store.close()


def _admin_token() -> str:
    """Return the token from the environment, or print and return a new one."""
    token = os.environ.get(ADMIN_TOKEN)
    if not token:
        token = secrets.token_urlsafe()
        _print(f"Token for /__admin\n  {token}\n")
    if not BEARER_TOKEN.fullmatch(token):
        raise ValueError(f"${ADMIN_TOKEN}: must be a bearer token (letters, digits and -._~+/)")
    return token


EPILOG = (
    "By default, each store's master keys are saved in a separate file in "
    "~/.local/share/flashback-mock. To use another file, pass --keys or set "
    "$FLASHBACK_MOCK_KEYS_FILE. The file is created together with the store. Other users of this "
    "machine can see the command line, so put the password for a postgresql:// URL in $PGPASSWORD "
    "or ~/.pgpass."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # Omit the value that argparse quotes with repr(), because it could be a secret.
        super().error(re.split(":? ['\"]", message, maxsplit=1)[0])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m flashback_mock",
        description="Run a mock of the Flashback AI LLM backend. Without --store, the mock keeps "
        "its state in memory: it always starts with the same fixtures and loses all changes when "
        "it stops.",
        epilog=EPILOG,
        allow_abbrev=False,  # the error for an ambiguous abbreviation would repeat its value
    )
    add = parser.add_argument
    about = "re-encrypt a store with a new master key and delete the old key"
    add("command", nargs="?", metavar="rotate-keys", help=about)
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    about = "port to listen on; 0 chooses a free port (default: %(default)s)"
    add("--port", default=4010, type=int, help=about)
    about = "save the state in this SQLite file or at this postgresql:// URL"
    add("--store", metavar="WHERE", help=about)
    add("--keys", type=Path, metavar="FILE", help="file with the store's master keys")
    about = "YAML or JSON file with the initial state"
    add("--fixtures", type=Path, metavar="FILE", help=about)
    add("--contract", type=Path, metavar="FILE", help="contract to serve (default: bundled)")
    about = (
        "also serve /__admin on non-loopback addresses; requests must contain the bearer token "
        f"from ${ADMIN_TOKEN} or, if that variable is not set, the token printed at startup"
    )
    add("--admin-token", action="store_true", help=about)
    about = "allow web pages from this origin to send updates (CORS); can be repeated"
    add("--cors-origin", action="append", default=[], metavar="ORIGIN", help=about)
    about = "minimum level of log messages (default: %(default)s)"
    add("--log-level", default="info", choices=["debug", "info", "warning", "error"], help=about)
    log_format = "text" if os.isatty(2) else "json"
    about = "format of log messages (default: text on a terminal, json otherwise)"
    add("--log-format", default=log_format, choices=["text", "json"], help=about)
    return parser


def _options() -> argparse.Namespace:
    parser = _parser()
    options, unknown = parser.parse_known_args()
    for argument in unknown:
        # A token can start with a hyphen, so name an argument only if it looks like an option.
        if misspelled := re.match("--[a-z-]+(?==|$)", argument):
            parser.error(f"unrecognized arguments: {misspelled[0]}")
    if unknown or options.command not in (None, "rotate-keys"):  # `choices` would quote a password
        message = "unexpected argument; the only command is rotate-keys, and a store needs --store"
        if options.admin_token:
            message = f"--admin-token takes no value; set the token in ${ADMIN_TOKEN}"
        parser.error(message)
    return options


if __name__ == "__main__":
    sys.exit(main())
