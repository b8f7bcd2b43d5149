"""Findings: breaches grouped by cause, with examples."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field

from support import contract
from support.deviations import Accepted
from support.exchange import Exchange
from support.rule import ACCEPTED, Breach

MOST_EXAMPLES = 3


@dataclass
class Finding:
    """One way in which the backend breaks a clause, with up to three examples."""

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
        """The clause that the backend breaks."""
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
        """Keep the exchange if it is among the shortest examples, which are sorted by length."""
        without_details = sent.partition("; ")[0]
        if without_details in self.examples:  # then the details are not the cause
            sent = without_details
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
        """Add a finding for each accepted deviation that was tested but did not occur."""
        for id in self._accepted:
            clause, kind, outcome = id.split("/")
            if id not in self and (is_whole or f"{clause}/{kind}" in self.checked_rules):
                expected = "the response from the accepted finding"
                got = "other responses: remove the entry from the deviations file"
                subject = f"the accepted deviation {id} no longer occurs"
                breach = Breach(clause, kind, outcome, expected, got, subject)
                self[id] = Finding(breach, promise, promise)
