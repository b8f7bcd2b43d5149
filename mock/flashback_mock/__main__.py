"""`python -m flashback_mock`: run the mock backend until it is interrupted."""

import argparse
import json
import logging
import os
import shlex
import signal
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
    _log_to_stderr(options.log_level)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        contract = Contract(options.contract)
        listener = listen(options.host, options.port)
    except ValueError as error:
        return _cannot_start(str(error))
    except OSError as error:
        return _cannot_start(f"{options.host}, port {options.port}: {_cure(error)}")
    try:
        with listener, prepared(listener, contract) as server:
            server.when_started = _welcome
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        print("\nStopped; what was stored in memory is gone.")
    return 0


def _log_to_stderr(level: str) -> None:
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(format=form, datefmt="%H:%M:%S", level=level.upper())
    # The welcome says what uvicorn would say, and failures are logged by the application.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)


def _cure(error: OSError) -> str:
    if (error.errno or 0) < 0:  # of the name, not of the port
        return "not an address; --host takes an address of this machine, as 127.0.0.1 or ::1"
    return f"{os.strerror(error.errno or 0)}; --port 0 picks a free port"


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="flashback_mock",
        description="A mock of the Flashback AI LLM backend. Its state is in memory: it starts "
        "with the same fixtures every time, and forgets everything when it stops.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=4010, type=_port, help="port to listen on; 0: a free one")
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
