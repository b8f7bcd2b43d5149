"""Measures the client beside raw httpx, the plain generated client and openai, if it is there.

`scripts/bench mock` measures the mock: see bench_mock.py. Everything runs interleaved in one
process, so that a busy machine is busy for all: read the ratios, not the microseconds.
"""

from __future__ import annotations

import argparse
import importlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
from packaging.requirements import Requirement

from scripts import bench_mock, generate
from scripts.bench_mock import ID, VALID

BENCHES = ("client", "mock")
ANSWER = b'{"success": true, "aiLlmId": "550e8400", "message": "updated"}'
FIELDS = {("ai_type" if key == "aiType" else key): value for key, value in VALID.items()}
LIMITS = {"mock transport": 1.25, "loopback": 1.15, "import": 1.2}
SERVER = """
import socket, sys, threading
status = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n"
answer = status + b"Content-Length: %d\\r\\n\\r\\n%s"
content = sys.argv[1].encode()
def converse(connection):
    stream = connection.makefile("rb")
    while head := stream.readline():
        length = 0
        while (line := stream.readline().lower()) != b"\\r\\n":
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        stream.read(length)
        connection.sendall(answer % (len(content), content))
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=converse, args=(connection,), daemon=True).start()
"""

Calls = dict[str, Callable[[], object]]


def main() -> int:
    """Exit status 0: every target is reached; 1: one is not."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="client", choices=BENCHES)
    parser.add_argument("--rounds", type=int, default=15, help="repetitions (default: 15)")
    mock = parser.add_argument_group("mock")
    mock.add_argument("--seconds", type=float, default=1, help="of each load (default: 1)")
    mock.add_argument("--most", type=int, default=1_000_000, help="configurations (default: 10^6)")
    options = parser.parse_args()
    if options.what == "mock":
        sizes = [size for size in bench_mock.SIZES if size <= options.most]
        return bench_mock.measure(options.rounds, options.seconds, sizes)
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as folder:
        generate.render(generate.CONTRACT, Path(folder) / "plain_client")
        sys.path.insert(0, folder)
        tables = {"mock transport": cpu(on_mock(), rounds)}
        with serving() as url:
            tables["loopback"] = cpu(on_loopback(url), rounds)
        tables["import"] = imports(Path(folder), rounds)
    return show(tables)


def cpu(calls: Calls, rounds: int, batch: int = 100) -> dict[str, float]:
    """Microseconds of this process per call: the median of interleaved batches."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):  # the first warms up
        for name, call in calls.items():
            started = time.process_time()
            for _ in range(batch):
                call()
            spent[name].append((time.process_time() - started) / batch * 1e6)
    return {name: statistics.median(each[1:]) for name, each in spent.items()}


def on_mock() -> Calls:
    """One call of each client, answered inside the process."""

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=ANSWER, headers={"Content-Type": "application/json"})

    return clients("https://backend.flashback.tech", httpx.MockTransport(handle))


def on_loopback(url: str) -> Calls:
    """One call of each client, answered by another process."""
    return clients(url, None)


def clients(url: str, transport: Any) -> Calls:
    """The same update by each of the clients."""
    options: dict[str, Any] = {} if transport is None else {"transport": transport}
    raw = httpx.Client(headers={"Authorization": "Bearer token"}, **options)
    plain, operation = plain_client(url, options), "plain_client.api.ai_llm.update_ai_llm"
    models, update = (
        importlib.import_module("plain_client.models"),
        importlib.import_module(operation),
    )
    ours = importlib.import_module("flashback_client").FlashbackClient(
        "token", base_url=url, **options
    )

    def plainly() -> object:
        body = models.UpdateAiLlmRequest(**{**FIELDS, "ai_type": models.AiType.OPENAI})
        return update.sync(ID, client=plain, body=body)

    calls: Calls = {
        "raw httpx": lambda: raw.put(f"{url}/ai/llm/{ID}", json=VALID).json(),
        "plain generated": plainly,
        "flashback_client": lambda: ours.update_ai_llm(ID, **FIELDS),
    }
    return calls | openai_calls(url, options)


def plain_client(url: str, options: dict[str, Any]) -> Any:
    """The client that the generator gives without our templates."""
    package = importlib.import_module("plain_client")
    return package.AuthenticatedClient(url, token="token", httpx_args=options)  # noqa: S106


def openai_calls(url: str, options: dict[str, Any]) -> Calls:
    """The same PUT by openai's client, if it is installed."""
    try:
        openai: Any = importlib.import_module("openai")
    except ImportError:
        return {}
    client = openai.OpenAI(api_key="token", base_url=url, http_client=httpx.Client(**options))
    return {"openai": lambda: client.put(f"/ai/llm/{ID}", cast_to=dict, body=VALID)}


@contextmanager
def serving() -> Generator[str]:
    """The address of a server in another process, whose work does not count."""
    command = [sys.executable, "-c", SERVER, ANSWER.decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 # it is a pipe
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def requirements(*names: str) -> set[str]:
    """These distributions and what they need, without extras."""
    found, left = set[str](), list(names)
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(name) or [])
            left += [
                each.name
                for each in needed
                if not each.marker or each.marker.evaluate({"extra": ""})
            ]
    return found


def environment(folder: Path, package: Path, python: str | None = None) -> str:
    """The Python of a new environment with httpx, attrs, what they need, and that package.

    All of it is pure Python, so links to this environment's packages serve any version.
    """
    if python is None:
        venv.create(folder, symlinks=True)
    else:
        subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in requirements("httpx", "attrs"):
        for top in {each.parts[0] for each in metadata.files(name) or []} - {"..", "__pycache__"}:
            (site / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    for path in (package, generate.ROOT / "runtime" / "flashback_runtime"):
        (site / path.name).symlink_to(path)
    return str(folder / "bin" / "python")


def imports(folder: Path, rounds: int) -> dict[str, float]:
    """Milliseconds of CPU to import each, net of Python itself, where nothing else is installed."""
    python = environment(folder / "bare", generate.OUTPUT)
    lines = {"raw httpx": "import httpx, attrs", "flashback_client": "import flashback_client"}
    plain = f"import sys; sys.path.insert(0, {str(folder)!r}); "
    lines["plain generated"] = plain + "import plain_client.api.ai_llm.update_ai_llm"
    spent: dict[str, list[float]] = {name: [] for name in ["", *lines]}
    env = {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}  # the first round compiles, for all
    for _ in range(rounds + 1):
        for name, times in spent.items():
            started = children()
            subprocess.run([python, "-c", lines.get(name, "")], env=env, check=True)
            times.append((children() - started) * 1000)
    middle = {name: statistics.median(each[1:]) for name, each in spent.items()}
    return {name: middle[name] - middle[""] for name in lines}


def children() -> float:
    """CPU seconds of the processes that ended so far: wall time would measure the neighbours."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def size(*names: str) -> float:
    """Megabytes that these distributions and what they need take."""
    paths = [
        Path(str(each.locate()))
        for name in requirements(*names)
        for each in metadata.files(name) or []
    ]
    return (
        sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc") / 1e6
    )


def show(tables: dict[str, dict[str, float]]) -> int:
    """Prints the ratios to raw httpx, and says which target is missed."""
    units, missed = {"import": "ms CPU"}, False
    for what, table in tables.items():
        base, unit = table["raw httpx"], units.get(what, "µs CPU a call")
        print(f"\n{what}, {unit}" + (" (raw httpx: with attrs)" if what == "import" else ""))
        for name, value in table.items():
            limit = LIMITS[what] if name == "flashback_client" else None
            told = "" if limit is None else f"   target: at most {limit:.2f}"
            bad = limit is not None and value / base > limit
            missed |= bad
            print(
                f"  {name:18} {value:8.1f}   {value / base:5.2f}{told}{'   MISSED' if bad else ''}"
            )
    bare, ours = len(requirements("httpx", "attrs")), len(requirements("flashback-client"))
    own = sum(path.stat().st_size for path in generate.OUTPUT.rglob("*.py")) / 1e6
    print(f"\npackages: {ours}, httpx and attrs bring {bare}   target: at most {bare + 1}")
    print(f"size: {size('httpx', 'attrs'):.1f} MB, of ours {own:.2f} MB")
    print(f"\n{os.cpu_count()} cores, Python {sys.version.split()[0]}, {sys.platform}")
    return int(missed or ours > bare + 1)


if __name__ == "__main__":
    sys.exit(main())
