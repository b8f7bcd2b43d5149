"""A PostgreSQL server of the tests' own: on a free port of 127.0.0.1, and gone afterwards.

pytest-postgresql would do, were `initdb` not run as the user of the tests, whom it refuses when
that is root.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
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
        postgres: Any = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        self._as = {} if os.getuid() else postgres
        self._give(folder)
        password = folder / "password"
        password.write_text(PASSWORD.replace("%40", "@"))
        password.chmod(0o644)
        self.port = free_port()
        make = ["initdb", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={USER}"]
        self._run(*make, "--auth=scram-sha-256", f"--pwfile={password}", folder / "data")
        self._offer_tls()

    def start(self) -> None:
        """Serve, as it did before if it did."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder}"
        self._control("start", "-l", self.folder / "log", "-o", options)

    def stop(self) -> None:
        """Stop serving, as fast as a crash."""
        self._control("stop", "-m", "immediate")

    @contextmanager
    def stopped(self, mode: str = "fast") -> Generator[None]:
        """Not serving until the block ends; `immediate` is as a crash."""
        self._control("stop", "-m", mode)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def silent(self) -> Generator[None]:
        """There, and saying nothing, until the block ends."""
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

    def _offer_tls(self) -> None:
        key, root = certificate(self.folder)
        self._give(key)
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(f"\nssl = on\nssl_key_file = '{key}'\nssl_cert_file = '{root}'\n")

    def _give(self, path: Path) -> None:
        if self._as:
            shutil.chown(path, "postgres", "postgres")

    def _control(self, verb: str, *options: object) -> None:
        self._run("pg_ctl", verb, "--wait", "-D", self.folder / "data", *options)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # Not a pipe: the server would keep it open.
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                command, stdout=said, stderr=said, cwd="/", check=False, **self._as
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
            cluster.stop()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A new key, and a certificate for localhost that it signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files = folder / "root.key", folder / "root.crt"
    files[0].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    files[1].write_bytes(signed.public_bytes(pem))
    files[0].chmod(0o600)
    return files


def _version(path: Path) -> float:
    return float(path.parts[-3])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
