# ruff: noqa: T201 - it talks to a person
"""`python -m tests.faults.matrix`: every fault against every promise, once.

Prints which promises catch which fault, and for each promise the faults that only it catches: they
are what would survive if it were removed. With `--alone`, in a tenth of the time: for each promise
one fault that names it alone and that all others together do not catch.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from tests.faults.changes import NamedChange
from tests.faults.correct import CORRECT
from tests.faults.faults import FAULTS
from tests.faults.judge import KEPT, Judgement, judge


def main() -> int:
    """Print the matrix; return 1 if a fault was caught by none, or a promise not needed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("--max-examples", default="20", metavar="N", help="as scripts/contract's")
    parser.add_argument("--family", default="", help="only faults of families that start with this")
    parser.add_argument("--alone", metavar="RULE", nargs="?", const="", help="see above")
    options = parser.parse_args()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if options.alone is not None:
            found = judge(CORRECT["plain"], "--collect-only").collected
            wanted = [promise for promise in found if options.alone in promise]
            return int(not all([*pool.map(lambda p: _is_needed(p, found), wanted)]))
        faults = [fault for fault in FAULTS.values() if fault.family.startswith(options.family)]
        judged = pool.map(lambda f: judge(f, "--max-examples", options.max_examples), faults)
        return _print_summary(_rows(zip(faults, judged, strict=True)))


def _is_needed(promise: str, found: list[str]) -> bool:
    """Whether a fault survives without the promise; tells which."""
    own = [f for f in FAULTS.values() if f.named(found) == [promise]]
    for fault in sorted(own, key=lambda fault: not fault.name.endswith("_only")):
        others = judge(fault, "--maxfail=1", "--max-examples", "20", "--deselect", promise)
        if others.status == KEPT:
            print(f"{promise}: {fault.name}", flush=True)
            return True
    print(f"{promise}: not needed, tried {len(own)} faults", flush=True)
    return False


def _print_summary(rows: dict[str, Judgement]) -> int:
    promises = list(dict.fromkeys(p for judgement in rows.values() for p in judgement.collected))
    caught = {name: set(judgement.broken) for name, judgement in rows.items()}
    print("\nPromises: faults that break it, those that break it alone\n")
    for promise in promises:
        breaking = [name for name, broken in caught.items() if promise in broken]
        alone = [name for name in breaking if len(caught[name]) == 1]
        print(f"{len(breaking):4} {len(alone):4}  {promise}  {', '.join(alone)}")
    unneeded = [p for p in promises if not any({p} == broken for broken in caught.values())]
    print(f"\nWithout these, one at a time, nothing survives: {', '.join(unneeded) or 'none'}")
    missed = [name for name, broken in caught.items() if not broken]
    print(f"Caught by none: {', '.join(missed) or 'none'}")
    return int(bool(missed))


def _rows(rows: Iterable[tuple[NamedChange, Judgement]]) -> dict[str, Judgement]:
    """The rows by name, printed as they arrive."""
    rows_by_name: dict[str, Judgement] = {}
    for family, its in groupby(rows, key=lambda row: row[0].family):
        print(f"\n{family.capitalize()}\n", flush=True)
        for fault, judgement in its:
            rows_by_name[fault.name] = judgement
            caught = ", ".join(judgement.broken) or f"- (exit status {judgement.status})"
            print(f"{len(judgement.broken):4}  {fault.name}: {caught}", flush=True)
    return rows_by_name


if __name__ == "__main__":
    sys.exit(main())
