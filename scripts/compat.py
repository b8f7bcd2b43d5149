"""Compare two versions of the contract, and check that info.version reflects the changes."""

import argparse
import json
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from scripts import documents
from scripts.compatibility import comparison, findings, python_interface, report
from scripts.compatibility.values import canonical_json
from scripts.documents import NAME, ContractError

IN_ORDER = 0
NOT_IN_ORDER = 1
NOT_COMPARED = 2
FORMATS = {
    "text": report.as_text,
    "json": report.as_json,
    "markdown": report.as_markdown,
    "github": report.as_github,
}
DECISIONS = "compat.yaml"


def main() -> int:
    """Run the command and return its exit status."""
    options = _options()
    if isinstance(sys.stdout, TextIOWrapper):
        # Escape characters that the output's encoding does not support, such as arrows in Latin-1.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _compare(options)
    except ContractError as error:
        print(f"scripts/compat: {report.printable(str(error))}", file=sys.stderr)
    except BrokenPipeError:  # the program that reads the output, such as `head`, has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 # show users a message instead of a traceback
        what = f"{type(error).__name__}: {report.printable(str(error)[:200])}"
        print(
            f"scripts/compat: cannot compare the contracts ({what}); validate them with another "
            "OpenAPI tool, and if they are valid, report this as a bug",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("\nscripts/compat: interrupted", file=sys.stderr)
    return NOT_COMPARED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/compat",
        description="Compare two versions of the contract, and check that info.version reflects "
        "the changes. docs/compat.md defines which changes are breaking.",
        epilog="Exit status: 0 if the version is high enough, 1 if it is too low or if "
        f"{DECISIONS} has a stale entry, 2 if the contracts cannot be compared. The "
        f"file {DECISIONS} next to the contract contains decisions about findings.",
    )
    parser.add_argument(
        "--base",
        metavar="FILE|REF",
        help="the old contract: a file or a git reference (default: the latest release tag or, if "
        "there is none, the newest commit with a different info.version)",
    )
    parser.add_argument(
        "--head", metavar="FILE", type=Path, help=f"the new contract (default: {NAME})"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="output format (default: text)"
    )
    return parser.parse_args()


def _compare(options: argparse.Namespace) -> int:
    path: Path = options.head or documents.ROOT / NAME
    head = documents.from_file(path)
    base = documents.default_base(head) if options.base is None else documents.find(options.base)
    if isinstance(base, str):
        _print_no_base(base, options.format)
        return IN_ORDER
    for contract in (base, head):
        documents.parse_version(contract)
    found: list[findings.Finding] = []
    reason = ""
    if canonical_json(base.document) != canonical_json(head.document):
        for contract in (base, head):
            documents.must_be_valid(contract)
        python, reason = python_interface.compare(base, head)
        found = [*comparison.compare(base, head), *python]
    decisions = findings.read_decisions(path.parent / DECISIONS)
    result = findings.make_verdict(base, head, found, decisions)
    result.not_compared = reason
    # Entries can become stale only in the default comparison, and only once info.version changes.
    if options.base or options.head or base.version == head.version:
        result.stale = []
    print(FORMATS[options.format](result), end="", flush=True)
    return IN_ORDER if result.in_order else NOT_IN_ORDER


def _print_no_base(why: str, form: str) -> None:
    """Print, in the requested format, why there is no contract to compare with."""
    text = f"{NAME} was not compared: {why}."
    if form == "json":
        text = json.dumps({"compared": False, "in_order": True, "why": text})
    elif form == "github":
        text = f"::notice::{text}"
    print(text)


if __name__ == "__main__":
    sys.exit(main())
