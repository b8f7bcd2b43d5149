"""Says whom a change of the contract breaks, and whether its version says so."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from scripts.compatibility import report
from scripts.compatibility.documents import (
    NAME,
    ROOT,
    CannotCompareError,
    default_base,
    find,
    from_file,
)
from scripts.compatibility.judgement import judge, said_in

IN_ORDER, NOT_IN_ORDER, NOT_COMPARED = 0, 1, 2
FORMATS = {"text": report.text, "json": report.as_json, "markdown": report.markdown}
WORDS = "compat.yaml"


def main() -> int:
    """Exit status 0: in order, 1: not in order, 2: could not compare."""
    options = _options()
    try:
        return _compare(options)
    except CannotCompareError as error:
        print(f"scripts/compat: {error}", file=sys.stderr)
        return NOT_COMPARED
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {str(error)[:200]}"
        print(
            f"scripts/compat: a contract is beyond it ({what}); please report it", file=sys.stderr
        )
        return NOT_COMPARED
    except KeyboardInterrupt:
        print("\nscripts/compat: interrupted", file=sys.stderr)
        return NOT_COMPARED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/compat",
        description="Compares two versions of the contract: every request that was valid must stay "
        "valid, every answer must be one that was told of, the Python interface must hold; and "
        "info.version must step as far as that is so. What breaks is shown by a request or answer.",
        epilog="Exit status: 0 in order, 1 not in order, 2 could not compare. What a human says of "
        f"a finding stands in {WORDS} beside the contract.",
    )
    parser.add_argument(
        "--base",
        metavar="FILE|REF",
        help="the old contract: a file or a git reference; default: the newest release tag, else "
        f"the version before the last change of {NAME}",
    )
    parser.add_argument(
        "--head", metavar="FILE", type=Path, help=f"the new one; default: {NAME} as it stands"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="of the output; default: text"
    )
    return parser.parse_args()


def _compare(options: argparse.Namespace) -> int:
    path: Path = options.head or ROOT / NAME
    head = from_file(path)
    base = find(options.base) if options.base else default_base()
    if isinstance(base, str):
        _nothing(base, options.format)
        return IN_ORDER
    judgement = judge(base, head, said_in(path.parent / WORDS))
    if options.base or options.head:  # words are of the change that is being made, not of this one
        judgement.stale = []
    print(FORMATS[options.format](judgement), end="")
    return IN_ORDER if judgement.in_order else NOT_IN_ORDER


def _nothing(why: str, form: str) -> None:
    """Says that there is no base, in the form that was asked for."""
    told = f"Nothing to compare {NAME} with: {why}."
    print(
        json.dumps({"compared": False, "in_order": True, "why": told}) if form == "json" else told
    )


if __name__ == "__main__":
    sys.exit(main())
