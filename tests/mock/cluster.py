"""A PostgreSQL server of the tests' own: on a free port of 127.0.0.1, and gone afterwards.

pytest-postgresql would do, were `initdb` not run as the user of the tests, whom it refuses when
that is root.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PASSWORD = "made-up-p%40ss"  # percent-encoded, as it stands in a URL
USER = "owner"


def programs() -> Path | None:
    """Where the server's programs are; None: nowhere."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    places += [path.parent for path in reversed(debian)]
    return places[0] if places else None


class Cluster:
    """A server; `folder` holds all of its files."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """A new server in an empty folder, not started yet."""
        self._programs, self.folder, self._schemas = programs, folder, 0
        # Whom initdb refuses runs it as the user whom the package brings.
        self._as: Any = {} if os.getuid() else {"user": "postgres", "group": "postgres"}
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        password = folder / "password"
        password.write_text(PASSWORD.replace("%40", "@"))
        password.chmod(0o644)
        self.port = _free_port()
        make = ["initdb", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={USER}"]
        self._run(*make, "--auth=scram-sha-256", f"--pwfile={password}", folder / "data")

    def start(self) -> None:
        """Serve, as it did before if it did."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder}"
        self._control("start", "-l", self.folder / "log", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop serving; `immediate` is as a crash."""
        self._control("stop", "-m", mode)

    def configure(self, *lines: str) -> None:
        """Have these settings from the next start on."""
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write("\n".join(("", *lines)))

    def own(self, path: Path) -> None:
        """Give a file to the server."""
        if self._as:
            shutil.chown(path, **self._as)

    def url(self, parameters: str = "", password: str = f":{PASSWORD}", user: str = USER) -> str:
        """The URL of its one database."""
        return f"postgresql://{user}{password}@127.0.0.1:{self.port}/postgres?{parameters}"

    def schema(self) -> str:
        """The URL of an empty schema."""
        self._schemas += 1
        name = f"test{self._schemas}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.url(f"sslmode=disable&search_path={name}")

    def sql(self, *statements: str, url: str = "") -> list[Any]:
        """What the last statement returns, as its owner says it."""
        import asyncio

        import asyncpg

        async def said() -> list[Any]:
            db = await asyncpg.connect(url or self.url("sslmode=disable"))
            try:
                return [await db.fetch(statement) for statement in statements][-1]
            finally:
                await db.close()

        return asyncio.run(said())

    def _control(self, verb: str, *options: object) -> None:
        self._run("pg_ctl", verb, "--wait", "-D", self.folder / "data", *options)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # Not a pipe: the server would keep it open.
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                command,
                stdout=said,
                stderr=said,
                cwd="/",
                check=False,
                **self._as,
                **({"extra_groups": []} if self._as else {}),
            )
            said.seek(0)
            assert done.returncode == 0, said.read()


@contextmanager
def running(programs: Path) -> Generator[Cluster]:
    """A server until the block ends."""
    # Not pytest's folder: its parents are closed to others, its name too long for a socket.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        cluster = Cluster(programs, Path(folder))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")


def _version(path: Path) -> float:
    return float(path.parts[-3])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
