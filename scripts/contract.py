"""Run the contract tests against the backend at --backend-url (default: the mock)."""

import argparse
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "contract"
sys.path.insert(0, str(TESTS))

from support.options import MEANINGS, NO_VERDICT, add_options  # noqa: E402 - see TESTS

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
    options = parse()
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # pytest needs open streams
            setattr(sys, name, Path(os.devnull).open("w+"))  # noqa: SIM115 - for the whole run
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        if options.list:
            return _run(options, {})
        return _test_mock(options) if options.backend_url is None else _test_given(options)
    except (ValueError, OSError, KeyboardInterrupt) as why:
        print(f"No verdict: {str(why) or 'interrupted'}", file=sys.stderr)
    except Exception:  # noqa: BLE001 - Python would exit with 1, which means that there are findings
        traceback.print_exc()
    return NO_VERDICT


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the arguments (by default, those of the command line) and return the options."""
    parser = argparse.ArgumentParser(
        prog="scripts/contract",
        description="Test a backend against the contract. The verdict lists the promises that are "
        "kept, broken, or not tested.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser)
    return parser.parse_args(arguments)


def _test_given(options: argparse.Namespace) -> int:
    """Test the backend at --backend-url.

    For a backend at a non-loopback address, require a configuration id, and print the ids of the
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
                "id of a throwaway configuration, which the run overwrites"
            )
        sibling = os.environ.get("FLASHBACK_SIBLING_AI_LLM_ID")
        ids = f"{identifier} and {sibling}" if sibling else identifier
        print(
            f"The tests will overwrite all fields of {ids} on {host}. "
            "They will not delete or change anything else.",
            flush=True,
        )
    return _run(options, os.environ)


def _test_mock(options: argparse.Namespace) -> int:
    """Start a fresh mock and test it."""
    import flashback_mock  # noqa: PLC0415 - not installed yet if a user only runs --help

    if options.id:
        raise ValueError("--id requires --backend-url; the mock uses its own configuration")
    with flashback_mock.running() as mock:
        options.backend_url = mock.base_url
        return _run(options, environment(mock.tokens, mock.ids))


def environment(tokens: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables with the tokens and ids from the mock's fixtures."""
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


def _run(options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    """Run the tests with these environment variables, and return the exit status."""
    for name in [*os.environ]:
        if name.startswith("PYTEST_"):
            del os.environ[name]  # pytest reads options and plugins from these variables
    # Hypothesis takes a second to compute its Unicode tables, and caches them in this folder if
    # possible. It stores nothing from the backend there.
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(ROOT / ".hypothesis")
    _check_contract()
    from support import plugin  # noqa: PLC0415 - not installed yet for --help

    if options.list:
        return plugin.list_promises(options.keyword)
    run = plugin.prepare(options, variables)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, run.interrupt)
    return run.test()


def _check_contract() -> None:
    """Raise `ValueError` if the tests cannot read the contract."""
    try:
        import support.contract  # noqa: F401, PLC0415
    except Exception as error:  # noqa: BLE001 - an invalid contract can cause any error
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"openapi.yaml cannot be used ({problem}); run scripts/generate --check and "
            "scripts/test tests/test_openapi.py to locate the problem"
        ) from None


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
