"""Run the contract tests against the mock, or against the backend at --backend-url."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "contract"
sys.path.insert(0, str(TESTS))

import flashback_mock  # noqa: E402
from support.options import add_options  # noqa: E402 - a package of the contract tests

KEPT, BROKEN, NO_VERDICT = 0, 1, 2
EPILOG = """\
Exit status: 0 the contract is kept, or all findings are accepted; 1 it is broken; 2 no verdict.

With --backend-url, secrets come from the environment only: FLASHBACK_TOKEN (may update ID) and,
for more promises, FLASHBACK_ADMIN_TOKEN, FLASHBACK_READER_TOKEN (a member who may only read),
FLASHBACK_STRANGER_TOKEN (not a member), FLASHBACK_EXPIRED_TOKEN, FLASHBACK_FOREIGN_AI_LLM_ID (in
another workspace), FLASHBACK_SIBLING_AI_LLM_ID (another throwaway one of the same workspace, which
the run renames). FLASHBACK_AI_LLM_ID replaces --id. See docs/contract-tests.md.
"""


def main() -> int:
    """Return the exit status: 0 the contract is kept, 1 it is broken, 2 there is no verdict."""
    options = _options()
    try:
        if options.list:
            return _status(_start([], dict(os.environ)))
        status = _test_given(options) if options.backend_url else _test_mock(options)
    except (ValueError, OSError) as why:
        print(f"scripts/contract: no verdict: {why}", file=sys.stderr)
        return NO_VERDICT
    except KeyboardInterrupt:
        print("\nscripts/contract: no verdict: interrupted", file=sys.stderr)
        return NO_VERDICT
    return status if status in (KEPT, BROKEN) else NO_VERDICT


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/contract",
        description="Test a backend against the contract. The verdict says which promises "
        "are kept, broken, or not tested.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-k", metavar="NAME", help="only promises whose name, clause, family or source matches"
    )
    add_options(parser.add_argument)
    return parser.parse_args()


def _test_given(options: argparse.Namespace) -> int:
    """Test the backend at --backend-url; if it is not on loopback, require --id and warn."""
    address: str = options.backend_url
    url = urlsplit(address)
    if not _is_http(url) or not url.hostname:
        raise ValueError("--backend-url: give an http or https URL such as https://host:8443")
    identifier = options.id or os.environ.get("FLASHBACK_AI_LLM_ID")
    if not os.environ.get("FLASHBACK_TOKEN"):
        raise ValueError("set FLASHBACK_TOKEN to a token that may update the configuration")
    if not _is_loopback(url.hostname):
        if not identifier:
            raise ValueError(
                f"{url.hostname} is not this machine: name the throwaway configuration that the "
                "run may overwrite, with --id or FLASHBACK_AI_LLM_ID"
            )
        sibling = os.environ.get("FLASHBACK_SIBLING_AI_LLM_ID")
        renamed = f", and renames {sibling}" if sibling else ""
        print(
            f"This overwrites all of configuration {identifier} on {url.hostname}{renamed}. "
            "It deletes nothing, and changes nothing else.",
            flush=True,
        )
    arguments = ["--id", identifier] if identifier else []
    return _status(_start(arguments, dict(os.environ)))


def _test_mock(options: argparse.Namespace) -> int:
    """Test a fresh mock."""
    if options.id:
        raise ValueError("--id goes with --backend-url; the mock uses its own configuration")
    contract = flashback_mock.Contract(ROOT / "openapi.yaml")
    # Without any token of a live backend.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FLASHBACK_")}
    with flashback_mock.running(contract) as mock:
        arguments = ["--backend-url", mock.base_url, "--id", mock.ids["main"]]
        return _status(_start(arguments, inherited | environment(mock.tokens, mock.ids)))


def environment(tokens: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for the tokens and the ids of the mock's fixtures."""
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


def _start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start pytest with the arguments of the command, followed by these, which override them."""
    command = [sys.executable, "-m", "pytest", "-c", str(TESTS / "pytest.toml"), str(TESTS)]
    command += ["--report-dir", "reports", *sys.argv[1:], *arguments]
    environment.pop("PYTEST_ADDOPTS", None)  # meant for another pytest
    return subprocess.Popen(command, env=environment)


def _status(tests: subprocess.Popen[bytes]) -> int:
    """Return the exit status of the tests, which report an interruption themselves."""

    def terminate(_signal: int, _frame: object) -> None:
        tests.terminate()

    signal.signal(signal.SIGTERM, terminate)
    try:
        return tests.wait()
    except KeyboardInterrupt:  # Ctrl-C in a terminal interrupts them too
        return tests.wait()


def _is_http(url: SplitResult) -> bool:
    try:
        shown = "@" not in url.netloc and url.port != 0  # text before an @ would be a secret
    except ValueError:  # the port is not a number
        return False
    return shown and url.scheme in ("http", "https") and not url.query


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
