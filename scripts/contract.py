"""Run the contract tests against the backend at --backend-url (default: the mock)."""

import argparse
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "contract"
sys.path.insert(0, str(TESTS))

from support.options import (  # noqa: E402 - a package of the contract tests
    BROKEN,
    FINISHED,
    KEPT,
    MEANINGS,
    NO_VERDICT,
    add_options,
)

SIGNALS = (signal.SIGINT, signal.SIGHUP)
# Visible ASCII characters except `?`, `#` and the backslash
URL = re.compile(r'https?://[!"$->@-\[\]-~]+', re.IGNORECASE)
VARIABLES = "\n".join(f"  {name:27}  {meaning}" for name, meaning in MEANINGS.items())
EPILOG = f"""\
Exit status: 0 if the backend conforms to the contract or all findings are accepted; 1 if the
backend violates the contract, if an accepted deviation no longer occurs, or (with --require-all) if
a promise is not tested; 2 if there is no verdict.

With --backend-url, the command reads the environment variables below and, if --id is not passed,
FLASHBACK_AI_LLM_ID. Only FLASHBACK_TOKEN is required, but with the others, more promises can be
tested.
{VARIABLES}

See docs/contract-tests.md.
"""


def main() -> int:
    """Run the command and return its exit status."""
    options = _options()
    try:
        if options.list:
            return NO_VERDICT if _run([], dict(os.environ)) else KEPT
        status = _test_mock(options) if options.backend_url is None else _test_given(options)
    except (ValueError, OSError, KeyboardInterrupt) as why:
        print(f"No verdict: {str(why) or 'interrupted'}", file=sys.stderr)
        return NO_VERDICT
    status -= FINISHED
    return status if status in (KEPT, BROKEN) else NO_VERDICT


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/contract",
        description="Test a backend against the contract. The verdict lists the promises that are "
        "kept, broken, or not tested.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-k",
        metavar="NAME",
        help="test only the promises whose name, clause, family or source matches NAME",
    )
    add_options(parser.add_argument)
    return parser.parse_args()


def _test_given(options: argparse.Namespace) -> int:
    """Test the backend at --backend-url.

    For a backend at a non-loopback address, require a configuration ID, and print the IDs of the
    configurations that the tests overwrite.
    """
    host = _host_of(options.backend_url)
    if not host:
        raise ValueError(
            "--backend-url: expected an http or https URL such as https://host:8443, in ASCII, "
            "without a user, password, query or fragment"
        )
    identifier = options.id or os.environ.get("FLASHBACK_AI_LLM_ID")
    if not os.environ.get("FLASHBACK_TOKEN"):
        raise ValueError("set FLASHBACK_TOKEN to a token that can update the configuration")
    if not _is_loopback(host):
        if not identifier:
            raise ValueError(
                f"{host} is not a loopback address; set --id or FLASHBACK_AI_LLM_ID to the "
                "ID of a throwaway configuration, which the run overwrites"
            )
        sibling = os.environ.get("FLASHBACK_SIBLING_AI_LLM_ID")
        ids = f"{identifier} and {sibling}" if sibling else identifier
        print(
            f"The tests will overwrite all fields of {ids} on {host}. "
            "They do not delete or change anything else.",
            flush=True,
        )
    return _run([], dict(os.environ))


def _test_mock(options: argparse.Namespace) -> int:
    """Start a fresh mock and test it."""
    import flashback_mock  # noqa: PLC0415 - not installed yet if a user only runs --help

    if options.id:
        raise ValueError("--id requires --backend-url; the mock uses its own configuration")
    # Do not pass on tokens that are meant for a live backend.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FLASHBACK_")}
    with flashback_mock.running() as mock:
        variables = inherited | environment(mock.tokens, mock.ids)
        return _run(["--backend-url", mock.base_url], variables)


def environment(tokens: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables with the tokens and IDs from the mock's fixtures."""
    return {
        "FLASHBACK_TOKEN": tokens["owner"],
        "FLASHBACK_ADMIN_TOKEN": tokens["admin"],
        "FLASHBACK_READER_TOKEN": tokens["reader"],
        "FLASHBACK_STRANGER_TOKEN": tokens["stranger"],
        "FLASHBACK_EXPIRED_TOKEN": tokens["expired"],
        "FLASHBACK_AI_LLM_ID": ids["main"],
        "FLASHBACK_FOREIGN_AI_LLM_ID": ids["foreign"],
        "FLASHBACK_SIBLING_AI_LLM_ID": ids["sibling"],
    }


def _run(arguments: list[str], inherited: dict[str, str]) -> int:
    """Run pytest with this command's options, followed by `arguments`, which override them."""
    # -I ignores PYTHON* variables and modules in the working directory, which could affect the run.
    command = [sys.executable, "-I", "-m", "pytest", "-c", str(TESTS / "pytest.toml"), str(TESTS)]
    command += _joined(["--report-dir", "reports", *sys.argv[1:], *arguments])
    variables = {k: v for k, v in inherited.items() if not k.startswith("PYTEST_")}
    with TemporaryDirectory() as folder:  # this repository may be read-only
        variables["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        status = _status_of(command, variables)
    if status == -signal.SIGTERM:  # SIGTERM arrived before the tests could handle it
        raise KeyboardInterrupt
    if status < 0:
        raise ValueError(f"the tests were stopped by {signal.Signals(-status).name}")
    return status


def _status_of(command: list[str], variables: dict[str, str]) -> int:
    """Run the command, pass signals on to it, and return its exit status."""
    # Ctrl-C also reaches the tests, but they ignore it. This process sends them SIGTERM instead.
    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    for number in handled:
        signal.signal(number, signal.SIG_IGN)
    tests = subprocess.Popen(command, env=variables, **_closed_streams())
    for number in (*handled, signal.SIGTERM):
        signal.signal(number, lambda *_: tests.terminate())
    return tests.wait()


def _joined(arguments: Iterable[str]) -> list[str]:
    """Join each option and its value with `=`.

    Otherwise, pytest would treat a value as a test path and import the conftest.py in that folder.
    """
    joined: list[str] = []
    for argument in arguments:
        if argument.startswith("-") or not joined[-1].startswith("--"):
            joined.append(argument)
        else:
            joined[-1] += f"={argument}"
    return joined


def _closed_streams() -> dict[str, Any]:
    """Return a replacement for each closed standard stream, because pytest needs open ones."""
    return {
        name: subprocess.DEVNULL
        for name in ("stdin", "stdout", "stderr")
        if getattr(sys, name) is None
    }


def _host_of(address: str) -> str:
    """Return the host in the URL, or an empty string if the URL cannot be used."""
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:  # the port or the IPv6 address is invalid
        return ""
    # Reject an `@`, because the reports would show any password in front of it.
    if "@" in url.netloc or port == 0 or not URL.fullmatch(address):
        return ""
    return url.hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
