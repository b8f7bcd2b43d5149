"""The command-line options, declared once for scripts/contract and for pytest."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCES = ("page", "vendor", "ours")
LAST_RUN = Path()  # `--again` without a file


def add_options(add: Callable[..., Any]) -> None:
    """Declare the options with the `add_argument` of argparse, or pytest's `addoption`."""
    add("--backend-url", metavar="URL", help="backend to test; default: the mock, started for it")
    add("--id", metavar="ID", help="throwaway configuration, which the run overwrites")
    add(
        "--max-examples", type=_count, default=50, metavar="N",
        help="random requests per promise (default: 50)",
    )  # fmt: skip
    add(
        "--max-time", type=_positive, default=0.0, metavar="S", help="keep generating for S seconds"
    )
    add("--rate-limit", type=_rate, default=0.0, metavar="N/s", help="maximum requests per second")
    add(
        "--timeout", type=_positive, default=10.0, metavar="S",
        help="seconds to wait for a response (default: 10)",
    )  # fmt: skip
    add("--ca", type=_file, metavar="FILE", help="CA certificate of an HTTPS backend, PEM")
    add(
        "--source", type=_sources, default=[], metavar="LIST",
        help="send values of these sources only: page, vendor, ours, separated by commas",
    )  # fmt: skip
    add(
        "--fail-on", type=_sources, default=[], metavar="LIST",
        help="only findings of these sources fail the run",
    )  # fmt: skip
    add("--require-all", action="store_true", help="fail if a promise is not tested, for CI")
    add("--deviations", type=_file, metavar="FILE", help="accepted findings; see the file's head")
    add(
        "--write-deviations", type=Path, metavar="FILE",
        help="write the findings as entries of a deviations file, to fill in",
    )  # fmt: skip
    add(
        "--again", type=_file, nargs="?", const=LAST_RUN, metavar="FILE",
        help="repeat only what broke in an earlier run (default: verdict.json of --report-dir)",
    )  # fmt: skip
    add("--list", action="store_true", help="print the names of all promises and send nothing")
    add("--seed", type=int, metavar="N", help="seed of the run to repeat")
    add("--report-dir", type=Path, metavar="DIR", help="folder for the reports (default: reports)")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a number") from None
    if not value > 0 or not math.isfinite(value):
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _count(text: str) -> int:
    return math.ceil(_positive(text))


def _rate(text: str) -> float:
    return _positive(text.removesuffix("/s"))


def _sources(text: str) -> list[str]:
    sources = [source.strip() for source in text.split(",")]
    for source in sources:
        if source not in SOURCES:
            raise argparse.ArgumentTypeError(f"{source!r}: must be of {', '.join(SOURCES)}")
    return sources


def _file(text: str) -> Path:
    file = Path(text)
    if not file.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    return file
