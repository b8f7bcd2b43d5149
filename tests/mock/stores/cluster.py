"""A PostgreSQL server for tests. It listens on a free port on 127.0.0.1.

The tests do not use pytest-postgresql, because it runs `initdb` as the current user, which fails
for root.
"""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

PASSWORD = "made-up-p%40ss"


def find_programs() -> Path | None:
    """Return the folder that contains PostgreSQL's programs, or None if PostgreSQL is missing."""
    # Debian does not install these programs in a folder on $PATH.
    folders = [str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin")]
    found = shutil.which("initdb", path=os.pathsep.join([os.environ["PATH"], *folders]))
    return Path(found).parent if found else None


def _free_port() -> int:
    """Return a free port that the system will not assign to another program before it is used."""
    while True:
        # For programs that do not specify a port, Linux chooses one from 32768 upward.
        port = 20000 + secrets.randbelow(12000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Cluster:
    """A PostgreSQL server that stores all its files in `folder`."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Initialize a server in an empty folder, without starting it."""
        self._programs = programs
        self.folder = folder
        # initdb refuses to run as root, so use the `postgres` user that the Debian package creates.
        self._user = None if os.getuid() else "postgres"
        if self._user:
            shutil.chown(folder, self._user, self._user)
        password = folder / "password"
        password.write_text(PASSWORD.replace("%40", "@"))
        password.chmod(0o644)
        self.port = _free_port()
        make = ["initdb", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=owner"]
        self._run(*make, "--auth=scram-sha-256", f"--pwfile={password}", folder / "data")

    def start(self) -> None:
        """Start the server."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder}"
        self._control("start", "-l", self.folder / "log", "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; by default, simulate a crash instead of shutting it down cleanly."""
        self._control("stop", "-m", mode)

    @contextmanager
    def stopped(self, mode: str = "fast") -> Generator[None]:
        """Stop the server during the `with` block."""
        self.stop(mode)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def suspended(self) -> Generator[None]:
        """Suspend the server during the `with` block: it accepts connections but never responds."""
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
        """Return the URL of the server's database."""
        return f"postgresql://owner:{PASSWORD}@127.0.0.1:{self.port}/postgres?{parameters}"

    def schema(self) -> str:
        """Create an empty schema, and return a database URL that selects this schema."""
        name = f"test{secrets.token_hex(4)}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.url(f"sslmode=disable&search_path={name}")

    def sql(self, *statements: str) -> list[Any]:
        """Execute statements as the database owner, and return the rows from the last one."""
        return execute(self.url("sslmode=disable"), *statements)

    def _control(self, verb: str, *options: object) -> None:
        self._run("pg_ctl", verb, "--wait", "-D", self.folder / "data", *options)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # Do not capture the output: the server would keep the pipe open, and this call would hang.
        subprocess.run(command, stdout=subprocess.DEVNULL, cwd="/", user=self._user, check=True)


def execute(url: str, *statements: str) -> list[Any]:
    """Execute statements in one session, and return the rows from the last one."""

    async def work() -> list[Any]:
        rows: list[Any] = []
        session = await asyncpg.connect(url)
        try:
            for statement in statements:
                rows = await session.fetch(statement)
        finally:
            await session.close()
        return rows

    return asyncio.run(work())
