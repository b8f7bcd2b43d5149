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
    parser.add_argument(
        "what",
        nargs="?",
        default="client",
        choices=BENCHMARKS,
        help="the program to benchmark (default: client)",
    )
    parser.add_argument(
        "--rounds", type=int, default=15, metavar="N", help="number of rounds (default: 15)"
    )
    options = parser.parse_args()
    status = 0
    targets = BENCHMARKS[options.what](options.rounds)
    print("\nTargets")
    for what, value, comparison, limit in targets:
        met = value <= limit if comparison == "at most" else value >= limit
        print(f"  {what:56} {value:7.2f}   {comparison} {limit}, {'met' if met else 'MISSED'}")
        if not met:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
