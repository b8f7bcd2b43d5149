"""Benchmark the client against httpx, or the mock against Prism and a bare server.

The rounds are interleaved, so that a busy machine slows all of them: compare ratios, not times.
"""

from __future__ import annotations

import argparse
import sys

from scripts.maintenance import bench_client, bench_mock


def main() -> int:
    """Return the exit status: 0 all targets are met, 1 one is missed, 2 a server did not start."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog="Exit status: 0 every target is met, 1 one is missed, 2 a server did not start.",
    )
    parser.add_argument("what", nargs="?", default="client", choices=("client", "mock"))
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="default: 15")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    try:
        benchmark = bench_client if options.what == "client" else bench_mock
        met = benchmark.measure(options.rounds)
    except TimeoutError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
