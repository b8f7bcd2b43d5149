"""`python -m flashback_mock`: run the mock backend until it is interrupted."""

import argparse
import json
import logging
import os
import shlex
import sys
from pathlib import Path

try:
    from .contract import Contract
    from .server import Mock, listen, prepared
except ModuleNotFoundError as missing:
    sys.exit(f"flashback_mock: needs {missing.name}: pip install 'flashback-client[mock]'")


def main() -> int:
    """Run the mock; return its exit status: 0 stopped, 1 cannot start."""
    options = _options()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        level=options.log_level.upper(),
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the welcome says what it would say
    try:
        contract = Contract(options.contract)
        listener = listen(options.host, options.port)
    except ValueError as error:
        return _cannot_start(str(error))
    except OSError as error:
        where = f"{options.host}:{options.port}"
        return _cannot_start(
            f"{where}: {os.strerror(error.errno or 0)}; --port 0 picks a free port"
        )
    with listener, prepared(listener, contract) as server:
        server.when_started = _welcome
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            print("\nStopped; what was stored in memory is gone.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="flashback_mock",
        description="A mock of the Flashback AI LLM backend. Its state is in memory: it starts "
        "with the same fixtures every time, and forgets everything when it stops.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=4010, type=int, help="port to listen on; 0: a free one")
    parser.add_argument(
        "--contract", type=Path, metavar="FILE", help="serve this contract instead of its own"
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=["debug", "info", "warning", "error"],
        help="verbosity",
    )
    return parser.parse_args()


def _welcome(mock: Mock) -> None:
    access = {m.user: f"{m.access} in {m.workspace}" for m in mock.fixtures.members}
    tokens = [
        f"  {t.value:<16}{access.get(t.user, 'no workspace')}{', expired' if t.expires else ''}"
        for t in mock.fixtures.tokens
    ]
    ids = [f"  {c.id}  {c.workspace}, {c.fields['name']}" for c in mock.fixtures.configurations]
    here = f"Flashback mock backend on {mock.base_url} (Ctrl-C stops it)"
    tried = ["Try it", f"  {_curl(mock)}", "", here]
    print("\n".join(["Tokens", *tokens, "", "Configurations", *ids, "", *tried]), flush=True)


def _curl(mock: Mock) -> str:
    url = mock.base_url + mock.contract.path.replace("{id}", mock.ids["main"])
    content_type = f"Content-Type: {mock.contract.media_type}"
    authorization = f"Authorization: Bearer {mock.tokens['owner']}"
    data = json.dumps(mock.contract.examples["everything"])
    command = ["curl", "-X", "PUT", url, "-H", content_type, "-H", authorization, "--data", data]
    return shlex.join(command)


def _cannot_start(why: str) -> int:
    print(f"flashback_mock: cannot start: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
