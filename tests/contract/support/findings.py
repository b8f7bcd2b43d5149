"""Findings and the deviations file, which lists the accepted findings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import yaml

from support import contract
from support.exchange import Exchange
from support.rule import ACCEPTED, DATA, NO_AUTHENTICATION, slug

MOST_EXAMPLES = 3
DEFAULT = Path(__file__).parents[1] / "deviations.yaml"
HINT = "; check that "  # introduces the hint at the end of `got`
ID = re.compile(r"([\w.-]+)/[\w.-]+/[\w.-]+")
SCHEMA = jsonschema_rs.Draft202012Validator(DATA["deviations_schema"], validate_formats=True)

Accepted = dict[str, str]  # the reason, link and date of an accepted finding


@dataclass(eq=False)
class Finding:
    """One way in which the backend violates a clause, with up to three examples."""

    rule: str  # the id of the broken rule: a clause and a kind of request or response
    outcome: str  # what happened, in a few words
    expected: str
    got: str
    subject: str = ""  # the start of the title; by default, the request's description
    is_note: bool = False
    continues: bool = False  # whether the rest of the response can still be checked
    explained_by: tuple[str, ...] = ()  # ids of broader findings with the same cause
    finder: str = ""  # the promise whose test found it first
    promise: str = ""  # the promise that covers the clause, or `finder` if no promise covers it
    accepted: Accepted | None = None
    count: int = 0
    examples: dict[str, Exchange] = field(default_factory=dict)  # keyed by description

    @property
    def clause(self) -> str:
        """The id of the clause in the contract."""
        return self.rule.partition("/")[0]

    @property
    def id(self) -> str:
        """The id, which is the same in every run."""
        return f"{self.rule}/{slug(self.outcome)}"

    @property
    def is_missing_authentication(self) -> bool:
        """Whether the backend accepted an update without a valid token."""
        return self.rule in NO_AUTHENTICATION

    @property
    def severity(self) -> str:
        """One of `broken`, `accepted` and `note`."""
        if self.accepted:
            return "accepted"
        return "note" if self.is_note else "broken"

    @property
    def title(self) -> str:
        """A one-line summary of the finding."""
        subject = self.subject or next(iter(self.examples))
        got = self.got.partition(HINT)[0].removesuffix(ACCEPTED)
        return f"{subject[:1].upper()}{subject[1:]}: got {got}"

    def add_example(self, exchange: Exchange, finding: "Finding") -> None:
        """Add the exchange as an example; keep only the best examples, sorted by `_rank`.

        A finding's messages must describe its first example. If the new exchange becomes the first
        example, copy the messages from `finding`, which describes the new exchange.
        """
        sent = exchange.request.rule.words
        without_details = sent.partition("; ")[0]
        if without_details != sent and without_details in self.examples:
            return  # the request also fails without these details, so they are not the cause
        known = self.examples.setdefault(sent, exchange)
        if exchange.request.size < known.request.size:
            self.examples[sent] = exchange
        best = sorted(self.examples, key=self._rank)
        self.examples = {sent: self.examples[sent] for sent in best[:MOST_EXAMPLES]}
        if next(iter(self.examples.values())) is exchange:
            self.subject = finding.subject
            self.expected = finding.expected
            self.got = finding.got

    def _rank(self, sent: str) -> tuple[bool, bool, int]:
        """Return a sort key: related examples first, then permitted updates, then by size."""
        exchange = self.examples[sent]
        request = exchange.request
        is_unrelated = exchange.status not in request.rule.statuses
        if self.clause == "update":
            is_unrelated = not request.rule.must_succeed
        return is_unrelated, request.forbidden_by is not None, request.size


def load_deviations(given: Path | None, url: str) -> dict[str, Accepted]:
    """Return the accepted findings by id; raise `ValueError` if the file is invalid."""
    file = given or DEFAULT
    name = name_of(url)
    hosts: Any = {}
    try:
        # A BaseLoader keeps dates as text.
        hosts = yaml.load(file.read_text("utf-8"), yaml.BaseLoader) or {}  # noqa: S506
        problem = next(_problems(hosts), "")
    except (OSError, RecursionError, ValueError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
    if not problem and given and name not in hosts:
        problem = f"no entry for this backend: expected {name}"
    if problem:
        raise ValueError(f"{file}: {problem}; correct the deviations file")
    accepted = {}
    for entry in hosts.get(name, []):
        accepted[entry.pop("finding")] = entry
    return accepted


def _problems(hosts: Any) -> Iterator[str]:
    for error in SCHEMA.iter_errors(hosts):
        place = "/".join(map(str, error.instance_path)) or "the document"
        problem = error.message
        if error.kind.name == "pattern":
            problem = "must not be empty"
        yield f"{place}: {problem}"
    for entry in chain(*hosts.values()):
        parts = ID.fullmatch(entry["finding"])
        if not parts or parts[1] not in contract.CLAUSES:
            yield f"{entry['finding']} is not a finding id; copy the id from a verdict"


def name_of(url: str) -> str:
    """Return the backend's key in a deviations file: its host, and its port if the URL has one."""
    return urlsplit(url).netloc.lower()
