"""Rotate AI provider credentials in Flashback.

    python rotate.py plan.toml

The token is read from $FLASHBACK_TOKEN. The exit status is 0 if all credentials were rotated, 1 if
a rotation failed, and 2 if the script could not start.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flashback_client import UNSET, FlashbackClient, Unset, errors


class Rotation(NamedTuple):
    """A configuration to update, and the environment variables that hold its new credentials."""

    id: str
    label: str
    key: str = ""
    secret: str = ""


class Outcome(NamedTuple):
    """The outcome of a rotation.

    `result` is `rotated`, `failed` or `unknown`. If it is `unknown`, the update may or may not
    have been applied.
    """

    result: str
    label: str
    detail: str = ""


def read_plan(path: Path) -> list[Rotation]:
    """Read the rotations from a TOML file; raise OSError or ValueError if the file is unusable."""
    entries = tomllib.loads(path.read_text("utf-8")).get("rotation")
    if not entries:
        raise ValueError("the plan has no [[rotation]]; add one for each configuration")
    try:
        return [parse_rotation(entry) for entry in entries]
    except TypeError:  # a field is missing or unknown, or the entry is not a table
        raise ValueError(
            "each [[rotation]] needs an id, a label, and at least one of key and secret; "
            "all must be non-empty strings"
        ) from None


def parse_rotation(entry: Mapping[str, str]) -> Rotation:
    """Parse a [[rotation]] table; raise TypeError if it is invalid."""
    rotation = Rotation(**entry)
    has_credential = "key" in entry or "secret" in entry
    if not has_credential or "" in entry.values() or set(map(type, rotation)) != {str}:
        raise TypeError
    return rotation


def new_credential(variable: str) -> str | Unset:
    """Return the environment variable's value, or UNSET if the variable's name is empty."""
    return os.environ[variable] if variable else UNSET


def rotate(rotation: Rotation, flashback: FlashbackClient) -> Outcome:
    """Rotate one configuration's credentials; return the outcome instead of raising an error."""
    try:
        key = new_credential(rotation.key)
        secret = new_credential(rotation.secret)
        flashback.update_ai_llm(rotation.id, key=key, secret=secret)
    except errors.FlashbackError as error:
        # If the result is unknown, do not revoke the old credential. Rotate again instead.
        result = "unknown" if error.maybe_applied else "failed"
        return Outcome(result, rotation.label, str(error))
    except KeyError as error:
        return Outcome("failed", rotation.label, f"the variable {error} is not set")
    return Outcome("rotated", rotation.label)


def report(outcomes: Sequence[Outcome]) -> str:
    """Format the outcomes as a table with a total."""
    width = max((len(outcome.label) for outcome in outcomes), default=0)
    lines: list[str] = []
    rotated = 0
    for outcome in outcomes:
        lines.append(f"{outcome.result:<8} {outcome.label:<{width}}  {outcome.detail}".rstrip())
        rotated += outcome.result == "rotated"
    return "\n".join([*lines, f"{rotated} of {len(outcomes)} rotated"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(description="Rotate AI provider credentials.")
    parser.add_argument("plan", type=Path, help="TOML file with the rotations (see plan.toml)")
    options = parser.parse_args(arguments)
    try:
        plan = read_plan(options.plan)
        flashback = FlashbackClient()
    except (OSError, ValueError, errors.FlashbackError) as error:
        print(f"rotate.py: {error}", file=sys.stderr)
        return 2
    with flashback:
        outcomes = [rotate(rotation, flashback) for rotation in plan]
    print(report(outcomes))
    return int(any(outcome.result != "rotated" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
