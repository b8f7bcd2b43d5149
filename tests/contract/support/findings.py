"""Findings, which group breaches by cause, and the deviations file, which lists accepted ones."""

import argparse
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import yaml

from support import contract
from support.exchange import Exchange, NoVerdictError
from support.rule import ACCEPTED, NO_AUTHENTICATION, Breach

MOST_EXAMPLES = 3
DEFAULT = Path(__file__).parents[1] / "deviations.yaml"
REASONS = ("reason", "link", "date")
ID = re.compile(r"([\w.-]+)/[\w.-]+/[\w.-]+")
PORTS = {"http": 80, "https": 443}
TEXT = {"type": "string", "pattern": r"\S"}
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


@dataclass
class Finding:
    """One way in which the backend violates a clause, with up to three examples."""

    breach: Breach
    finder: str  # the promise whose test found it first
    promise: str  # the promise that covers the clause, or `finder` if no promise covers it
    accepted: Accepted | None = None
    count: int = 0
    examples: dict[str, Exchange] = field(default_factory=dict)  # keyed by description

    @property
    def id(self) -> str:
        """The id, which is the same in every run."""
        return self.breach.id

    @property
    def clause(self) -> contract.Clause:
        """The clause that the backend violates."""
        return contract.CLAUSES[self.breach.clause]

    @property
    def severity(self) -> str:
        """One of `broken`, `accepted` and `note`."""
        if self.accepted and not self.breach.is_missing_authentication:
            return "accepted"
        return self.breach.severity

    @property
    def title(self) -> str:
        """A one-line summary of the finding."""
        subject = self.breach.subject or next(iter(self.examples))
        got = self.breach.got.removesuffix(ACCEPTED)
        return f"{subject[:1].upper()}{subject[1:]}: got {got}"

    def add_example(self, exchange: Exchange, sent: str) -> None:
        """Add the exchange as an example; keep only the shortest examples, sorted by length."""
        without_details = sent.partition("; ")[0]
        if without_details != sent and without_details in self.examples:
            return  # the request also fails without these details, so they are not the cause
        known = self.examples.setdefault(sent, exchange)
        if exchange.request.size < known.request.size:
            self.examples[sent] = exchange
        self.examples = dict(sorted(self.examples.items(), key=_length)[:MOST_EXAMPLES])


def _length(example: tuple[str, Exchange]) -> int:
    sent, exchange = example
    return len(sent) + exchange.request.size


class Findings(dict[str, Finding]):
    """All findings in a run, keyed by id, and the ids of the rules that the run checked."""

    def __init__(self, accepted: Mapping[str, Accepted], option: argparse.Namespace) -> None:
        """Store the accepted findings and the options."""
        super().__init__()
        self._accepted = accepted
        self._option = option
        self.checked_rules: set[str] = set()

    def is_selected(self, clause: str) -> bool:
        """Return whether `--source` includes the source of the clause."""
        sources = self._option.source
        return not sources or contract.CLAUSES[clause].source in sources

    def id_of(self, breach: Breach) -> str:
        """Return the id of a broader finding that explains the breach, or else the breach's id."""
        for broader in breach.explained_by:
            if broader in self and self[broader].severity != "accepted":
                return broader
        return breach.id

    def add(self, breach: Breach, finder: str, promise: str) -> Finding:
        """Return the finding for the breach; create it if it does not exist yet."""
        id = self.id_of(breach)
        return self.setdefault(id, Finding(breach, finder, promise, self._accepted.get(id)))

    def decides(self, finding: Finding) -> bool:
        """Return whether the finding makes the run fail."""
        if finding.breach.is_missing_authentication:
            return True
        fail_on = self._option.fail_on
        is_deciding = not fail_on or finding.clause.source in fail_on
        return finding.severity == "broken" and is_deciding

    def broken_promises(self) -> set[str]:
        """Return the names of the promises whose findings make the run fail."""
        return {finding.promise for finding in self.values() if self.decides(finding)}

    def add_stale(self, promise: str, *, is_whole: bool) -> None:
        """Add a finding for each accepted deviation that did not recur when its rule was tested."""
        for id in self._accepted:
            clause, kind, outcome = id.split("/")
            if id not in self and (is_whole or f"{clause}/{kind}" in self.checked_rules):
                expected = "the response from the accepted finding"
                got = "other responses: remove the entry from the deviations file"
                subject = f"the accepted deviation {id} no longer occurs"
                breach = Breach(clause, kind, outcome, expected, got, subject)
                self[id] = Finding(breach, promise, promise)


def load_deviations(given: Path | None, url: str) -> dict[str, Accepted]:
    """Return the accepted findings by id; raise `NoVerdictError` if the file is invalid."""
    file = given or DEFAULT
    names = _names_of(url)
    cure = "correct the deviations file"
    try:
        hosts = _read(file)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise NoVerdictError(f"{file}: {' '.join(str(error).split())}", cure) from None
    if given and not names & set(hosts):
        expected = " or ".join(sorted(names))
        raise NoVerdictError(f"{file}: no entry for this backend: expected {expected}", cure)
    accepted: dict[str, Accepted] = {}
    for name in names:
        for entry in hosts.get(name, []):
            accepted[entry.pop("finding")] = entry
    return accepted


class _Loader(yaml.BaseLoader):
    """A loader that keeps dates as text and refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, *options: Any, **more: Any) -> Any:
        mapping = super().construct_mapping(node, *options, **more)
        if len(mapping) < len(node.value):
            raise yaml.MarkedYAMLError(problem="duplicate key", problem_mark=node.start_mark)
        return mapping


def _read(file: Path) -> dict[str, list[dict[str, str]]]:
    hosts: Any = yaml.load(file.read_text("utf-8"), _Loader) or {}  # noqa: S506 - a BaseLoader
    for error in SCHEMA.iter_errors(hosts):
        place = "/".join(map(str, error.instance_path))
        raise ValueError(f"{place}: {error.message}")
    for host, entries in hosts.items():
        ids = [entry["finding"] for entry in entries]
        for id in ids:
            _check_id(id)
            if ids.count(id) > 1:
                raise ValueError(f"{host}: {id} is listed twice; remove one of the entries")
    return dict(hosts)


def _check_id(id: str) -> None:
    parts = ID.fullmatch(id)
    if not parts or parts[1] not in contract.CLAUSES:
        raise ValueError(f"{id} is not a finding id; copy the id from a verdict")
    if id.rpartition("/")[0] in NO_AUTHENTICATION:
        raise ValueError(f"{id}: missing authentication cannot be accepted; remove the entry")


def _names_of(url: str) -> set[str]:
    """Return the backend's keys in a deviations file. The port is optional if it is the default."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    usual = PORTS.get(parts.scheme)
    port = parts.port or usual
    names = {f"{host}:{port}"}
    return names | {host} if port == usual else names


def write_deviations(file: Path, url: str, findings: Iterable[Finding]) -> None:
    """Write an entry for each finding that can be accepted; new ones have no reason yet."""
    host = max(_names_of(url), key=len)  # prefer the key that includes the port
    empty = dict.fromkeys(REASONS, "")
    entries: list[Accepted] = []
    for finding in findings:
        if finding.breach.severity == "broken" and not finding.breach.is_missing_authentication:
            entries.append({"finding": finding.id, **(finding.accepted or empty)})
    head = "# Fill in each reason, link and date. Remove entries that should fail the run.\n"
    file.write_text(head + yaml.safe_dump({host: entries}, sort_keys=False), "utf-8")
