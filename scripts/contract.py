"""Runs the contract tests against the mock, or against the backend at --backend-url."""

import argparse
import logging
import os
import signal
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import flashback_mock

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests" / "contract"
KEPT, BROKEN, NO_VERDICT = 0, 1, 2


def main() -> int:
    """Run the tests; return 0: the contract is kept, 1: it is broken, 2: there is no verdict."""
    options = _options()
    try:
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
        description="Tests a backend against the contract and ends with a verdict: each promise "
        "kept, broken, or not tested. Without --backend-url it tests the mock.",
        epilog="Exit status: 0 the contract is kept, 1 it is broken, 2 there is no verdict. "
        "With --backend-url, secrets come from the environment only: FLASHBACK_TOKEN (may update "
        "ID), and, for more promises, FLASHBACK_ADMIN_TOKEN, FLASHBACK_READER_TOKEN (member who "
        "may only read), FLASHBACK_STRANGER_TOKEN (no member), FLASHBACK_EXPIRED_TOKEN, "
        "FLASHBACK_FOREIGN_AI_LLM_ID (in another workspace), FLASHBACK_SIBLING_AI_LLM_ID (another "
        "throwaway one of the same workspace, which the run renames). "
        "FLASHBACK_AI_LLM_ID stands in for --id.",
    )
    parser.add_argument("--backend-url", metavar="URL", help="the backend to test")
    parser.add_argument("--id", help="a throwaway configuration, which the run overwrites")
    parser.add_argument("-k", metavar="RULE", help="only promises whose names match, as in pytest")
    parser.add_argument(
        "--max-examples", type=_count, metavar="N", help="generated requests a property"
    )
    parser.add_argument(
        "--max-time", type=_positive, metavar="S", help="go on generating for S seconds"
    )
    parser.add_argument("--rate-limit", type=_rate, metavar="N/s", help="requests, at most")
    parser.add_argument(
        "--timeout", type=_positive, metavar="S", help="longest time to answer, default: 10"
    )
    parser.add_argument(
        "--deviations", type=Path, metavar="FILE", help="known deviations, strict; see its head"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="repeat the requests of a run")
    parser.add_argument(
        "--report-dir", type=Path, default=Path("reports"), metavar="DIR", help="default: reports"
    )
    return parser.parse_args()


def _test_given(options: argparse.Namespace) -> int:
    """Test the backend at the URL, once it is sure that its owner wants the id overwritten."""
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
        print(f"This overwrites all of configuration {identifier} on {url.hostname}{renamed}.")
    arguments = ["--backend-url", address]
    arguments += ["--id", identifier] if identifier else []
    with _tests(options, arguments, dict(os.environ)) as tests:
        return _status(tests)


def _test_mock(options: argparse.Namespace) -> int:
    """Test a fresh mock; no verdict if generated/ turns out not to be what the contract gives."""
    if options.id:
        raise ValueError("--id goes with --backend-url; the mock has a configuration of its own")
    check = [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"]
    with subprocess.Popen(check, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as drift:
        contract = flashback_mock.Contract(ROOT / "openapi.yaml")
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # hostile requests are the point
        with flashback_mock.running(contract) as mock:
            arguments = ["--backend-url", mock.base_url, "--id", mock.ids["main"]]
            # Both at once: each takes its second, and hardly ever is there a drift.
            with _tests(options, arguments, environment(mock)) as tests:
                said, _ = drift.communicate()
                if drift.returncode:
                    tests.kill()
                    raise ValueError(
                        f"generated/ is not what the contract gives\n{said.decode().rstrip()}"
                    )
                return _status(tests)


def _status(tests: subprocess.Popen[bytes]) -> int:
    """The exit status of the tests, which say themselves that they were interrupted."""

    def interrupt(_signal: int, _frame: object) -> None:
        tests.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)
    try:
        return tests.wait()
    except KeyboardInterrupt:  # a terminal interrupts them too
        return tests.wait()


def environment(mock: flashback_mock.Mock) -> dict[str, str]:
    """The mock's fixtures, and no variable of a live backend: its tokens are never used."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLASHBACK_")}
    return environment | {
        "FLASHBACK_TOKEN": mock.tokens["owner"],
        "FLASHBACK_ADMIN_TOKEN": mock.tokens["admin"],
        "FLASHBACK_READER_TOKEN": mock.tokens["reader"],
        "FLASHBACK_STRANGER_TOKEN": mock.tokens["stranger"],
        "FLASHBACK_EXPIRED_TOKEN": mock.tokens["expired"],
        "FLASHBACK_FOREIGN_AI_LLM_ID": mock.ids["foreign"],
        "FLASHBACK_SIBLING_AI_LLM_ID": mock.ids["sibling"],
    }


def _tests(
    options: argparse.Namespace, arguments: list[str], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    options.report_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-c", str(TESTS / "pytest.toml"), str(TESTS)]
    command += [*arguments, "--report-dir", str(options.report_dir)]
    command += ["--junitxml", str(options.report_dir / "junit.xml")]
    for name in ("max_examples", "max_time", "rate_limit", "timeout", "deviations", "seed"):
        if (value := getattr(options, name)) is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["-k", options.k] if options.k else []
    return subprocess.Popen(command, env=environment)


def _is_http(url: SplitResult) -> bool:
    try:
        shown = "@" not in url.netloc and url.port != 0  # what is before an @ would be a secret
    except ValueError:  # of a port that is none
        return False
    return shown and url.scheme in ("http", "https") and not url.query


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a number") from None
    if not value > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _count(text: str) -> int:
    return int(_positive(text))


def _rate(text: str) -> float:
    return _positive(text.removesuffix("/s"))


if __name__ == "__main__":
    sys.exit(main())
