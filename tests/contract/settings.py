"""The run's settings: from pytest's options and, for all that is secret, the environment."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from backend import MEANINGS, WRITER, Backend, NoVerdictError
from contract import EXAMPLE_ID


@dataclass
class Settings:
    """What is tested, and how much."""

    backend: Backend
    seed: int
    max_examples: int
    ends: float  # time.monotonic() at which no further round of generated requests is begun
    report_dir: Path | None


def add_options(parser: pytest.Parser) -> None:
    """Declare the options that scripts/contract passes on."""
    group = parser.getgroup("contract")
    group.addoption("--backend-url", help="the backend to test")
    group.addoption("--id", default=EXAMPLE_ID, help="the configuration that the run overwrites")
    group.addoption("--max-examples", type=int, default=100, help="generated requests a property")
    group.addoption("--max-time", type=float, default=0, help="go on generating for S seconds")
    group.addoption("--rate-limit", type=float, default=0, help="requests a second, at most")
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
    )
    return Settings(
        backend,
        seed=random.SystemRandom().randrange(10**9) if option.seed is None else option.seed,
        max_examples=option.max_examples,
        ends=time.monotonic() + option.max_time,
        report_dir=option.report_dir,
    )


_current: list[Settings] = []


def begin(settings: Settings) -> None:
    """Make these the settings of the run."""
    _current[:] = [settings]


def current() -> Settings:
    """The settings of the run; test modules need them as they are collected."""
    return _current[0]
