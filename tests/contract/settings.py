"""The run's settings: from pytest's options and, for all that is secret, the environment."""

import os
import random
import string
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from backend import MEANINGS, WRITER, Backend, NoVerdictError
from contract import EXAMPLE_ID

LETTERS = string.ascii_letters + string.digits
DEVIATIONS = Path(__file__).with_name("deviations.yaml")


@dataclass
class Settings:
    """What is tested, and how much."""

    backend: Backend
    seed: int
    max_examples: int
    ends: float  # time.monotonic() at which no further round of generated requests is begun
    report_dir: Path | None
    deviations: dict[str, str]  # known ones of this backend: test's name to its reason

    def __post_init__(self) -> None:
        """Begin to draw."""
        self._random = random.Random()  # noqa: S311 - to be repeated, not to be secret

    def begin_promise(self, name: str) -> None:
        """Draw the same for a promise in every run with the seed, whatever else is run."""
        self._random.seed(f"{self.seed} {name}")

    def unique(self) -> str:
        """A UUID that nobody has used."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def canary(self) -> str:
        """A credential that cannot be in an answer by chance, not even in part."""
        return "Canary" + "".join(self._random.choices(LETTERS, k=26))


def add_options(parser: pytest.Parser) -> None:
    """Declare the options that scripts/contract passes on."""
    group = parser.getgroup("contract")
    group.addoption("--backend-url", help="the backend to test")
    group.addoption("--id", default=EXAMPLE_ID, help="the configuration that the run overwrites")
    group.addoption("--max-examples", type=int, default=100, help="generated requests a property")
    group.addoption("--max-time", type=float, default=0, help="go on generating for S seconds")
    group.addoption("--rate-limit", type=float, default=0, help="requests a second, at most")
    group.addoption("--timeout", type=float, default=10, help="longest time to answer, in seconds")
    group.addoption("--deviations", type=Path, default=DEVIATIONS, help="known deviations, YAML")
    group.addoption("--seed", type=int, help="the same seed gives the same requests")
    group.addoption("--report-dir", type=Path, help="where the reports go")


def read(config: pytest.Config) -> Settings:
    """The settings of this run; raises `NoVerdictError` when something is missing."""
    given = {name: os.environ[name] for name in MEANINGS if os.environ.get(name)}
    option = config.option
    if not option.backend_url or WRITER not in given:
        raise NoVerdictError(f"name a backend: --backend-url, and {WRITER}: {MEANINGS[WRITER]}")
    backend = Backend(
        option.backend_url.rstrip("/"),
        option.id,
        given,
        pause=1 / option.rate_limit if option.rate_limit else 0,
        seconds=option.timeout,
    )
    return Settings(
        backend,
        seed=random.SystemRandom().randrange(10**9) if option.seed is None else option.seed,
        max_examples=option.max_examples,
        ends=time.monotonic() + option.max_time,
        report_dir=option.report_dir,
        deviations=_known_deviations(option.deviations, urlsplit(backend.url).hostname or ""),
    )


def _known_deviations(file: Path, host: str) -> dict[str, str]:
    """What is known of a host: each promise with its reason, link and date."""
    try:
        known = yaml.safe_load(file.read_text("utf-8"))[host]
        return {
            entry["promise"]: f"{entry['reason']} ({entry['link']}, {entry['date']})"
            for entry in known
        }
    except KeyError as missing:
        if missing.args[0] == host:
            return {}
        raise NoVerdictError(f"{file}: an entry for {host} lacks {missing}") from None
    except (OSError, TypeError, yaml.YAMLError):
        raise NoVerdictError(
            f"{file}: must be YAML, for each host a list of promise, reason, link, date"
        ) from None


_current: list[Settings] = []


def begin(settings: Settings) -> None:
    """Make these the settings of the run."""
    _current[:] = [settings]


def current() -> Settings:
    """The settings of the run; test modules need them as they are collected."""
    return _current[0]
