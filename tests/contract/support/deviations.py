"""Reads and writes deviations.yaml, which lists the accepted findings for each backend."""

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from support import contract
from support.exchange import NoVerdictError
from support.rule import NO_AUTHENTICATION

if TYPE_CHECKING:
    from support.findings import Finding

DEFAULT = Path(__file__).parents[1] / "deviations.yaml"
REASONS = ("reason", "link", "date")
ID = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+")
PORTS = {"http": 80, "https": 443}

Accepted = dict[str, str]  # the reason, link and date of an accepted finding


def load(given: Path | None, url: str) -> dict[str, Accepted]:
    """Map ids to the backend's accepted findings; raise `NoVerdictError` if the file is invalid."""
    file = given or DEFAULT
    try:
        return _of_backend(_hosts(file), url, is_required=given is not None)
    except ValueError as error:
        raise NoVerdictError(f"{file}: {error}", "correct the deviations file") from None


def _hosts(file: Path) -> dict[str, list[Any]]:
    try:
        hosts = yaml.safe_load(file.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(hosts, dict):
        raise ValueError("expected a mapping of hosts to lists of accepted findings")
    for host, entries in hosts.items():
        if not isinstance(entries, list):
            raise ValueError(f"{host}: expected a list of accepted findings")
    return {str(host): entries for host, entries in hosts.items()}


def _of_backend(hosts: dict[str, list[Any]], url: str, *, is_required: bool) -> dict[str, Accepted]:
    names = _names_of(url)
    if is_required and not names & set(hosts):
        known = ", ".join(hosts) or "no hosts"
        wanted = " or ".join(sorted(names))
        raise ValueError(f"no entry for this backend: expected {wanted}, got {known}")
    accepted: dict[str, Accepted] = {}
    for host in names & set(hosts):
        for entry in hosts[host]:
            try:
                accepted[_id_of(entry)] = _reasons_of(entry)
            except ValueError as error:
                raise ValueError(f"{host}: {error}") from None
    return accepted


def _names_of(url: str) -> set[str]:
    """Return the host keys that match the URL; a key may omit the default port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    usual = PORTS.get(parts.scheme)
    port = parts.port or usual
    names = {f"{host}:{port}"}
    return names | {host} if port == usual else names


def _id_of(entry: Any) -> str:
    if not isinstance(entry, dict):
        raise ValueError(f"expected an entry with the keys finding, {', '.join(REASONS)}")
    id = str(entry.get("finding", ""))
    rule = id.rpartition("/")[0]
    if not ID.fullmatch(id) or id.partition("/")[0] not in contract.CLAUSES:
        raise ValueError(f"{id or entry} is not a finding id; copy the id from a verdict")
    if rule in NO_AUTHENTICATION:
        raise ValueError(f"{id}: missing authentication cannot be accepted; remove the entry")
    return id


def _reasons_of(entry: dict[str, Any]) -> Accepted:
    id = entry["finding"]
    missing = [key for key in REASONS if not entry.get(key)]
    if missing:
        raise ValueError(f"{id}: missing {', '.join(missing)}")
    try:
        date.fromisoformat(str(entry["date"]))
    except ValueError:
        raise ValueError(f"{id}: expected a date such as 2026-11-26, got {entry['date']}") from None
    return {key: str(entry[key]) for key in REASONS}


def write(file: Path, url: str, findings: Iterable["Finding"]) -> None:
    """Write an entry for each finding, with blanks to fill in for findings not accepted yet."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme)}"
    empty = dict.fromkeys(REASONS, "")
    entries = [
        {"finding": finding.id, **(finding.accepted or empty)}
        for finding in findings
        if finding.breach.severity == "broken" and not finding.breach.is_missing_authentication
    ]
    head = "# Fill in each reason, link and date. Remove entries that should fail the run.\n"
    file.write_text(head + yaml.safe_dump({host: entries}, sort_keys=False), "utf-8")
