"""Compare the client's CPU time with that of httpx, or the mock's with that of Prism.

The programs take turns, so a busy machine slows them all down equally. Compare the ratios, because
the absolute times depend on the machine.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx

import flashback_mock
from flashback_client import FlashbackClient
from scripts.generate import CONTRACT

ROUNDS = 15
CALLS = 500  # the number of calls that a program makes in each round
START_SECONDS = 300  # long enough for the mock to load a million configurations
ID = "550e8400-e29b-41d4-a716-446655440000"
TOKEN = "owner-token"  # noqa: S105 # a fixture of the mock
BODY: dict[str, str] = flashback_mock.Contract().examples["everything"]
MOCK = (sys.executable, "-m", "flashback_mock", "--log-level", "error")
PRISM = ("prism", "mock", "--verboseLevel", "silent", str(CONTRACT))
# The highest acceptable ratio of the first program's CPU time to the second's.
TARGETS = {
    ("client: calls", "httpx: calls"): 0.9,
    ("client: import", "httpx: import"): 1.15,
    ("mock", "Prism"): 0.7,
    ("mock with 1,000,000 configurations", "mock"): 1.5,
}


class Program(NamedTuple):
    """A program to measure, and the clock that returns the CPU seconds that it has used."""

    run: Callable[[], object]
    clock: Callable[[], float]


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
    what = parser.parse_args().what
    medians = measure_client() if what == "client" else measure_mock()
    for name, seconds in medians.items():
        print(f"{name:36} {seconds * 1000:8.1f} ms CPU")
    status = 0
    for (name, other), limit in TARGETS.items():
        if name in medians and other in medians:
            ratio = medians[name] / medians[other]
            result = "met" if ratio <= limit else "MISSED"
            print(f"{name} / {other}: {ratio:.2f}, at most {limit}, {result}")
            status |= ratio > limit
    return status


def measure_client() -> dict[str, float]:
    """Return the CPU times of calls to the mock and of imports, with httpx and with the client."""
    with serving(*MOCK) as (http, _):
        client = FlashbackClient(TOKEN, base_url=str(http.base_url))
        return take_turns(
            {
                "httpx: calls": Program(partial(update_with_httpx, http), time.process_time),
                "client: calls": Program(partial(update_with_client, client), time.process_time),
                "httpx: import": importing("httpx, attrs"),
                "client: import": importing("flashback_client"),
            }
        )


def measure_mock() -> dict[str, float]:
    """Return the CPU times that the mock and Prism need to respond to updates."""
    if not shutil.which("prism"):
        sys.exit("scripts/bench: Prism is not installed; run: npm install -g @stoplight/prism-cli")
    programs: dict[str, Program] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        fixtures = Path(folder) / "fixtures.json"
        write_fixtures(fixtures, 1_000_000)
        many = (*MOCK, "--fixtures", str(fixtures))
        commands = {"mock": MOCK, "mock with 1,000,000 configurations": many, "Prism": PRISM}
        for name, command in commands.items():
            http, pid = running.enter_context(serving(*command))
            programs[name] = Program(partial(update_with_httpx, http), partial(cpu_of, pid))
        return take_turns(programs)


def take_turns(programs: dict[str, Program]) -> dict[str, float]:
    """Return each program's median CPU time. The first round is a warm-up and does not count."""
    spent: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS + 1):
        for name, program in programs.items():
            before = program.clock()
            program.run()
            spent[name].append(program.clock() - before)
    return {name: median(times[1:]) for name, times in spent.items()}


def update_with_httpx(http: httpx.Client) -> None:
    """Send updates with plain httpx."""
    for _ in range(CALLS):
        http.put(f"/ai/llm/{ID}", json=BODY).raise_for_status().json()


def update_with_client(client: FlashbackClient) -> None:
    """Send the same updates with the generated client."""
    fields: dict[str, Any] = {"ai_type": BODY["aiType"], **BODY}
    del fields["aiType"]
    for _ in range(CALLS):
        client.update_ai_llm(ID, **fields)


def importing(modules: str) -> Program:
    """Return a program that imports modules in a new Python process."""
    # Users' environments rarely contain click; if it is missing, httpx imports fewer modules.
    code = f"import sys; sys.modules['click'] = None; import {modules}"
    run = partial(subprocess.run, [sys.executable, "-c", code], check=True)
    return Program(run, cpu_of_children)


def cpu_of_children() -> float:
    """Return the CPU seconds that finished child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user = int(stat[11])
    system = int(stat[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def write_fixtures(file: Path, size: int) -> None:
    """Write a fixtures file with `size` configurations."""
    configurations = {"main": {"id": ID, "name": "OpenAI in production", "aiType": "OPENAI"}}
    for number in range(1, size):
        configuration = {"id": f"{number:036}", "name": f"Name {number}", "aiType": "OPENAI"}
        configurations[str(number)] = configuration
    workspace = {"members": {"owner": "WRITE"}, "configurations": configurations}
    document = {"users": {"owner": {"token": TOKEN}}, "workspaces": {"acme": workspace}}
    file.write_text(json.dumps(document), "utf-8")


@contextmanager
def serving(*command: str) -> Generator[tuple[httpx.Client, int]]:
    """Run a server on a free port. Yield an HTTP client for it, and its process ID."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (*command, "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    devnull = subprocess.DEVNULL
    with (
        httpx.Client(base_url=url, headers=headers) as http,
        subprocess.Popen(command, stdout=devnull, stderr=devnull) as process,
    ):
        try:
            until = time.monotonic() + START_SECONDS
            while not is_ready(http):
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"the server does not accept updates: {shlex.join(command)}")
                time.sleep(0.05)
            yield http, process.pid
        finally:
            process.terminate()


def is_ready(http: httpx.Client) -> bool:
    """Return whether an update succeeds."""
    try:
        return http.put(f"/ai/llm/{ID}", json=BODY).is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    sys.exit(main())
