"""A PostgreSQL server for tests, on a free port of 127.0.0.1.

pytest-postgresql runs `initdb` as the user of the tests, which fails if that is root.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

PASSWORD = "made-up-p%40ss"  # noqa: S105 - made up; percent-encoded, as in a URL


def programs() -> Path | None:
    """Return the folder of the server's programs, or None."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(versions, key=lambda folder: float(folder.parent.name), default=None)


class Cluster:
    """A server whose files are all in `folder`."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Create a server in an empty folder, without starting it."""
        self._programs = programs
        self.folder = folder
        self._schemas = 0
        # initdb refuses to run as root, so root runs it as the package's user, postgres.
        postgres: Any = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        self._as = {} if os.getuid() else postgres
        self.give(folder)
        password = folder / "password"
        password.write_text(PASSWORD.replace("%40", "@"))
        password.chmod(0o644)
        self.port = free_port()
        make = ["initdb", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=owner"]
        self._run(*make, "--auth=scram-sha-256", f"--pwfile={password}", folder / "data")

    def start(self) -> None:
        """Start the server."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder}"
        self._control("start", "-l", self.folder / "log", "-o", options)

    def stop(self) -> None:
        """Stop the server immediately, as a crash would."""
        self._control("stop", "-m", "immediate")

    @contextmanager
    def stopped(self, mode: str = "fast") -> Generator[None]:
        """Stop the server until the block ends; the mode `immediate` simulates a crash."""
        self._control("stop", "-m", mode)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def silent(self) -> Generator[None]:
        """Suspend the server until the block ends: it accepts connections but does not answer."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        processes = [first, *map(int, children)]
        try:
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def url(self, parameters: str = "") -> str:
        """Return the URL of its database."""
        return f"postgresql://owner:{PASSWORD}@127.0.0.1:{self.port}/postgres?{parameters}"

    def schema(self) -> str:
        """Create an empty schema, and return its URL."""
        self._schemas += 1
        name = f"test{self._schemas}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.url(f"sslmode=disable&search_path={name}")

    def sql(self, *statements: str) -> list[Any]:
        """Execute statements as the owner, and return the rows of the last one."""
        return execute(self.url("sslmode=disable"), *statements)

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a file or folder."""
        if self._as:
            shutil.chown(path, "postgres", "postgres")

    def _control(self, verb: str, *options: object) -> None:
        self._run("pg_ctl", verb, "--wait", "-D", self.folder / "data", *options)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # Not a pipe, which the server would keep open.
        with (self.folder / "output").open("w+") as output:
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd="/", check=False, **self._as
            )
            output.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program} failed:\n{output.read()}")


@contextmanager
def running(programs: Path) -> Generator[Cluster]:
    """Run a server until the block ends."""
    # Not in pytest's folder, whose parents are private and whose name is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        cluster = Cluster(programs, Path(folder))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def execute(url: str, *statements: str) -> list[Any]:
    """Execute statements in one session, and return the rows of the last one."""

    async def work() -> list[Any]:
        session = await asyncpg.connect(url)
        try:
            return [await session.fetch(statement) for statement in statements][-1]
        finally:
            await session.close()

    return asyncio.run(work())


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
