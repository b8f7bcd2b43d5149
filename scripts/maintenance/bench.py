"""Benchmark the client against other clients, or the mock against Prism and a bare server.

Rounds are interleaved, so a busy machine slows all of them: compare ratios, not times.
"""

from __future__ import annotations

import argparse
import sys

from scripts.maintenance import bench_client, bench_mock


def main() -> int:
    """Return 0: every target is met; 1: one is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="client", choices=("client", "mock"))
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="default: 15")
    mock = parser.add_argument_group("mock")
    mock.add_argument("--most", type=int, default=10**6, metavar="N", help="configurations")
    mock.add_argument("--prism", default="prism", metavar="PATH", help="default: prism on PATH")
    options = parser.parse_args()
    if options.what == "client":
        return bench_client.measure(options.rounds)
    return bench_mock.measure(options.rounds, options.most, options.prism)


if __name__ == "__main__":
    sys.exit(main())
