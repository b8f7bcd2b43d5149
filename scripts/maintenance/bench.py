"""Benchmark the client against httpx, or the mock against Prism.

The programs take turns, so a busy machine slows them all down equally. Compare the ratios, because
the absolute times depend on the machine.
"""

import argparse
import sys

from scripts.maintenance import bench_client, bench_mock

BENCHMARKS = {"client": bench_client.measure, "mock": bench_mock.measure}


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog="Exit status: 0 if all targets are met, otherwise 1.",
    )
    add = parser.add_argument
    add("what", nargs="?", default="client", choices=[*BENCHMARKS], help="default: client")
    add("--rounds", type=int, default=15, metavar="N", help="number of rounds (default: 15)")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: must be at least 1")
    try:
        targets = BENCHMARKS[options.what](options.rounds)
    except KeyboardInterrupt:
        print("\nscripts/bench: interrupted", file=sys.stderr)
        return 1
    print("\nTargets")
    status = 0
    for target in targets:
        result = "met"
        if target.value > target.limit:
            result = "MISSED"
            status = 1
        print(f"  {target.what:56} {target.value:7.2f}   at most {target.limit}, {result}")
    return status


if __name__ == "__main__":
    sys.exit(main())
