"""deviations.yaml: findings on named backends that somebody accepted, each with a reason."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from support import contract
from support.exchange import NoVerdictError

if TYPE_CHECKING:
    from support.findings import Finding

DEFAULT = Path(__file__).parents[1] / "deviations.yaml"
KEYS = ("finding", "reason", "link", "date")
ID = re.compile(r"[\w.-]+/[\w.-]+/[\w.-]+")
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Deviation:
    """One accepted finding."""

    id: str
    reason: str
    link: str
    date: str


def load(given: Path | None, url: str) -> dict[str, Deviation]:
    """Return the backend's accepted findings by id; raise `NoVerdictError` if the file is wrong."""
    file = given or DEFAULT
    try:
        hosts = yaml.safe_load(file.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(file, f"cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(hosts, dict):
        raise _wrong(file, "must map hosts to lists of accepted findings")
    for host, entries in hosts.items():
        if not isinstance(entries, list):
            raise _wrong(file, f"{host}: must be a list of accepted findings")
    matching = [host for host in hosts if str(host) in _names_of(url)]
    if given and not matching:
        known = ", ".join(str(host) for host in hosts) or "no host"
        wanted = " or ".join(sorted(_names_of(url)))
        raise _wrong(file, f"has no entry for this backend ({wanted}); it has {known}")
    found = [_read(file, host, entry) for host in matching for entry in hosts[host]]
    return {deviation.id: deviation for deviation in found}


def _names_of(url: str) -> set[str]:
    """Return how the file may name the backend: its host with port, or without the usual one."""
    parts = urlsplit(url)
    host, usual = parts.hostname or "", PORTS.get(parts.scheme)
    port = parts.port or usual
    names = {f"{host}:{port}"}
    return names | {host} if port == usual else names


def _read(file: Path, host: str, entry: Any) -> Deviation:
    where = f"{host}: "
    if not isinstance(entry, dict):
        raise _wrong(file, f"{where}an entry must have the keys {', '.join(KEYS)}")
    missing = [key for key in KEYS if not entry.get(key)]
    if missing:
        raise _wrong(file, f"{where}{entry.get('finding', 'an entry')} lacks {', '.join(missing)}")
    id = str(entry["finding"])
    clause, _, rest = id.partition("/")
    if not ID.fullmatch(id) or clause not in contract.CLAUSES:
        raise _wrong(file, f"{where}{id} is not the id of a finding; copy it from a verdict")
    if clause == "authentication" and rest.startswith(("no-token/", "unknown-token/")):
        raise _wrong(file, f"{where}{id}: an open backend cannot be accepted; remove the entry")
    try:
        accepted = date.fromisoformat(str(entry["date"]))
    except ValueError:
        raise _wrong(file, f"{where}{id}: date must be a date such as 2026-11-26") from None
    return Deviation(id, str(entry["reason"]), str(entry["link"]), accepted.isoformat())


def _wrong(file: Path, why: str) -> NoVerdictError:
    return NoVerdictError(f"{file}: {why}", "correct the file that --deviations names")


def write(file: Path, url: str, findings: Iterable["Finding"]) -> None:
    """Write entries to fill in for findings that are not accepted yet, and those that are."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme)}"
    entries: list[Mapping[str, str]] = []
    for finding in findings:
        if finding.breach.severity != "broken" or finding.is_open_door:
            continue
        known = finding.deviation or Deviation(finding.id, "", "", "")
        entries.append(
            {"finding": finding.id, "reason": known.reason, "link": known.link, "date": known.date}
        )
    head = "# Fill in reason, link and date of each entry; remove what should stay red.\n"
    file.write_text(head + yaml.safe_dump({host: entries}, sort_keys=False), "utf-8")
