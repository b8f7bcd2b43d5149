"""The command-line options and the environment variables of scripts/contract."""

import argparse
import re
import ssl
from pathlib import Path

# Exit statuses
KEPT = 0
BROKEN = 1
NO_VERDICT = 2

SOURCES = ("page", "vendor", "ours")
# The environment variables that a run uses, with their meanings.
MEANINGS = {
    "FLASHBACK_TOKEN": "a token that can update the configuration",
    "FLASHBACK_ADMIN_TOKEN": "a token for an ADMIN of the configuration's workspace",
    "FLASHBACK_READER_TOKEN": "a token for a member of the workspace who has only READ access",
    "FLASHBACK_STRANGER_TOKEN": "a token for a user who is not a member of the workspace",
    "FLASHBACK_EXPIRED_TOKEN": "an expired token",
    "FLASHBACK_FOREIGN_AI_LLM_ID": "the id of a configuration in another workspace",
    "FLASHBACK_SIBLING_AI_LLM_ID": "the id of a second throwaway configuration in the workspace",
}
LAST_RUN = Path()  # the value of `--again` if no file is given


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--backend-url", metavar="URL", help="backend to test (default: a new mock)")
    add("--id", metavar="ID", help="throwaway configuration that the run overwrites")
    about = "random requests per promise (default: 50)"
    add("--max-examples", type=_count, default=50, metavar="N", help=about)
    about = "keep generating requests for S seconds"
    add("--max-time", type=_positive, default=0.0, metavar="S", help=about)
    add("--rate-limit", type=_rate, default=0.0, metavar="N/s", help="maximum requests per second")
    about = "seconds to wait for a complete response (default: 10)"
    add("--timeout", type=_positive, default=10.0, metavar="S", help=about)
    add("--ca", type=_ca, metavar="FILE", help="PEM file with the CA certificate of the backend")
    about = "test only rules from these sources (comma-separated): page, vendor, ours"
    add("--source", type=_sources, default=[], metavar="LIST", help=about)
    about = "fail the run only for findings from these sources"
    add("--fail-on", type=_sources, default=[], metavar="LIST", help=about)
    add("--require-all", action="store_true", help="fail if any promise is not tested (for CI)")
    about = "YAML file with accepted findings (default: tests/contract/deviations.yaml)"
    add("--deviations", type=_file, metavar="FILE", help=about)
    about = "write the findings to FILE as a template for --deviations"
    add("--write-deviations", type=Path, metavar="FILE", help=about)
    about = "retest an earlier run's broken promises (default: verdict.json in --report-dir)"
    add("--again", type=_file, nargs="?", const=LAST_RUN, metavar="FILE", help=about)
    about = "test only the promises whose name, clause, family or source matches NAME"
    add("-k", dest="keyword", default="", metavar="NAME", help=about)
    add("--list", action="store_true", help="print the names of all promises and send nothing")
    add("--seed", type=int, metavar="N", help="seed of the run to repeat")
    about = "folder for the reports (default: reports)"
    add("--report-dir", type=Path, default=Path("reports"), metavar="DIR", help=about)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not 1e-6 <= value <= 1e6:  # sleep and wait functions reject values outside this range
        raise argparse.ArgumentTypeError(f"expected a number from 0.000001 to 1000000, got {text}")
    return value


def _count(text: str) -> int:
    is_valid = re.fullmatch("[0-9]{1,7}", text) and 1 <= int(text) <= 1_000_000
    if not is_valid:
        raise argparse.ArgumentTypeError(f"expected an integer from 1 to 1000000, got {text!r}")
    return int(text)


def _rate(text: str) -> float:
    return _positive(text.removesuffix("/s"))


def _sources(text: str) -> list[str]:
    sources = text.replace(" ", "").split(",")
    for source in sources:
        if source not in SOURCES:
            expected = ", ".join(SOURCES)
            raise argparse.ArgumentTypeError(f"unknown source {source!r}; expected {expected}")
    return sources


def _file(text: str) -> Path:
    file = Path(text)
    if not file.is_file():
        raise argparse.ArgumentTypeError(f"file not found: {text}")
    return file


def _ca(text: str) -> Path:
    file = _file(text)
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise argparse.ArgumentTypeError(f"not a PEM certificate: {file}") from None
    return file
