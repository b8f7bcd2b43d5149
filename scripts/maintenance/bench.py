"""Benchmark the client against httpx, or the mock against Prism and a bare aiohttp server.

The rounds are interleaved so that a busy machine slows down all programs equally. Therefore,
compare ratios rather than absolute times.
"""

from __future__ import annotations

import argparse
import sys

from scripts.maintenance import bench_client, bench_mock


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog="Exit status: 0 if all targets are met, 1 if a target is missed, 2 if a server does "
        "not start.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="client",
        choices=("client", "mock"),
        help="the program to benchmark (default: client)",
    )
    parser.add_argument(
        "--rounds", type=int, default=15, metavar="N", help="number of rounds (default: 15)"
    )
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, got {options.rounds}")
    try:
        benchmark = bench_client if options.what == "client" else bench_mock
        met = benchmark.measure(options.rounds)
    except TimeoutError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
