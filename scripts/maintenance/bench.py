"""Benchmark the client against httpx, or the mock against Prism.

The programs take turns, so a busy machine slows them all down equally. Compare the ratios, because
the absolute times depend on the machine.
"""

import argparse
import sys

from scripts.maintenance import bench_client, bench_mock


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog="Exit status: 0 if all targets are met, otherwise 1.",
    )
    parser.add_argument(
        "what", nargs="?", default="client", choices=["client", "mock"], help="default: client"
    )
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="default: 15")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: expected a number of at least 1")
    benchmark = bench_client if options.what == "client" else bench_mock
    targets = benchmark.measure(options.rounds)
    print("\nTargets")
    for target in targets:
        result = "met" if target.is_met else "MISSED"
        print(f"  {target.what:56} {target.value:7.2f}   at most {target.limit}, {result}")
    return 0 if all(target.is_met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
