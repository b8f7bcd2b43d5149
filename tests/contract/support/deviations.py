"""Reads and writes deviations.yaml, which lists the accepted findings for each backend."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema_rs
import yaml

from support import contract
from support.exchange import NoVerdictError
from support.rule import NO_AUTHENTICATION

if TYPE_CHECKING:
    from support.findings import Finding

DEFAULT = Path(__file__).parents[1] / "deviations.yaml"
REASONS = ("reason", "link", "date")
ID = re.compile(r"([\w.-]+)/[\w.-]+/[\w.-]+")
PORTS = {"http": 80, "https": 443}
TEXT = {"type": "string", "minLength": 1}
ENTRY = {
    "type": "object",
    "required": ["finding", *REASONS],
    "properties": {"finding": TEXT, "reason": TEXT, "link": TEXT, "date": {"format": "date"}},
    "additionalProperties": False,
}
SCHEMA = jsonschema_rs.Draft202012Validator(
    {"type": "object", "additionalProperties": {"type": "array", "items": ENTRY}},
    validate_formats=True,
)

Accepted = dict[str, str]  # the reason, link and date of an accepted finding


def load(given: Path | None, url: str) -> dict[str, Accepted]:
    """Return the accepted findings by id; raise `NoVerdictError` if the file is invalid."""
    file = given or DEFAULT
    cure = "correct the deviations file"
    try:
        hosts = _read(file)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NoVerdictError(f"{file}: {' '.join(str(error).split())}", cure) from None
    names = _names_of(url)
    if given and not names & set(hosts):
        expected = " or ".join(sorted(names))
        raise NoVerdictError(f"{file}: no entry for this backend: expected {expected}", cure)
    accepted: dict[str, Accepted] = {}
    for name in names:
        for entry in hosts.get(name, []):
            accepted[entry.pop("finding")] = entry
    return accepted


def _read(file: Path) -> dict[str, list[dict[str, str]]]:
    # This loader keeps dates as text.
    hosts: Any = yaml.load(file.read_text("utf-8"), yaml.BaseLoader) or {}  # noqa: S506
    for error in SCHEMA.iter_errors(hosts):
        place = "/".join(map(str, error.instance_path))
        raise ValueError(f"{place}: {error.message}")
    for entries in hosts.values():
        for entry in entries:
            _check_id(entry["finding"])
    return dict(hosts)


def _check_id(id: str) -> None:
    parts = ID.fullmatch(id)
    if not parts or parts[1] not in contract.CLAUSES:
        raise ValueError(f"{id} is not a finding id; copy the id from a verdict")
    if id.rpartition("/")[0] in NO_AUTHENTICATION:
        raise ValueError(f"{id}: missing authentication cannot be accepted; remove the entry")


def _names_of(url: str) -> set[str]:
    """Return the file's possible keys for this backend; a key may omit the default port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    usual = PORTS.get(parts.scheme)
    port = parts.port or usual
    names = {f"{host}:{port}"}
    return names | {host} if port == usual else names


def write(file: Path, url: str, findings: Iterable["Finding"]) -> None:
    """Write an entry for each finding that can be accepted; new entries contain empty fields."""
    host = max(_names_of(url), key=len)  # prefer the name that includes the port
    empty = dict.fromkeys(REASONS, "")
    entries = [
        {"finding": finding.id, **(finding.accepted or empty)}
        for finding in findings
        if finding.breach.severity == "broken" and not finding.breach.is_missing_authentication
    ]
    head = "# Fill in each reason, link and date. Remove entries that should fail the run.\n"
    file.write_text(head + yaml.safe_dump({host: entries}, sort_keys=False), "utf-8")
