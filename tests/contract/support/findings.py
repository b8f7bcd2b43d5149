"""Findings: all breaches with the same cause, counted, with up to three examples."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from support import contract
from support.deviations import Accepted
from support.exchange import Exchange
from support.rule import Breach

MOST_EXAMPLES = 3


class BrokenPromiseError(AssertionError):
    """A promise is broken; the exception contains the findings."""

    def __init__(self, findings: "list[Finding]") -> None:
        """Store the findings."""
        super().__init__("; ".join(finding.title for finding in findings))
        self.findings = findings


@dataclass
class Example:
    """One exchange that showed a finding."""

    sent: str  # in words
    exchange: Exchange

    @property
    def size(self) -> tuple[int, int]:
        """The sort key: short requests and short descriptions come first."""
        request = self.exchange.request
        return len(request.target) + len(request.body), len(self.sent)


@dataclass
class Finding:
    """One way in which the backend does not do what a clause says."""

    breach: Breach  # the first one
    finder: str  # the first promise that met it
    promise: str  # the promise that it breaks: the one about its clause, or the finder
    accepted: Accepted | None = None
    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Return the stable id."""
        return self.breach.id

    @property
    def clause(self) -> contract.Clause:
        """Return the clause that the finding breaks."""
        return contract.CLAUSES[self.breach.clause]

    @property
    def severity(self) -> str:
        """Return one of broken, accepted, note."""
        if self.accepted and not self.breach.is_open_door:
            return "accepted"
        return self.breach.severity

    @property
    def title(self) -> str:
        """Return the finding in one line."""
        subject = self.breach.subject or self.examples[0].sent
        got = self.breach.got.partition(": ")[0]
        return f"{subject[:1].upper()}{subject[1:]}: got {got}"

    def show(self, exchange: Exchange, sent: str) -> None:
        """Count an exchange; keep the shortest ones with different descriptions as examples."""
        self.count += 1
        shortest: dict[str, Example] = {}
        examples = [*self.examples, Example(sent, exchange)]
        for example in sorted(examples, key=lambda example: example.size):
            shortest.setdefault(example.sent, example)
        self.examples = list(shortest.values())[:MOST_EXAMPLES]


class Findings(dict[str, Finding]):
    """All findings of a run by id, and the rules that were checked."""

    def __init__(
        self,
        accepted: Mapping[str, Accepted],
        sources: Collection[str] = (),
        fail_on: Collection[str] = (),
    ) -> None:
        """Accept these ids; check only rules of these sources, or all rules if there are none."""
        super().__init__()
        self._accepted = accepted
        self._sources = sources
        self._fail_on = fail_on
        self.judged: set[str] = set()  # ids of rules

    def is_selected(self, source: str) -> bool:
        """Return whether `--source` selects rules of the source."""
        return not self._sources or source in self._sources

    def id_of(self, breach: Breach) -> str:
        """Return the id of the finding for the breach; a broader finding may explain the breach."""
        for broader in breach.explained_by:
            if broader in self and self[broader].severity != "accepted":
                return broader
        return breach.id

    def add(self, breach: Breach, finder: str, promise: str) -> Finding:
        """Return the finding that the breach belongs to; create it if it is new."""
        id = self.id_of(breach)
        if id not in self:
            self[id] = Finding(breach, finder, promise, self._accepted.get(id))
        return self[id]

    def decides(self, finding: Finding) -> bool:
        """Return whether the finding fails the run."""
        if finding.breach.is_open_door:
            return True
        is_deciding = not self._fail_on or finding.clause.source in self._fail_on
        return finding.severity == "broken" and is_deciding

    def add_stale(self, promise: str, *, is_whole: bool) -> None:
        """Add a finding for each accepted deviation that was tested and no longer occurs."""
        for id in self._accepted:
            rule, _, outcome = id.rpartition("/")
            if id not in self and (is_whole or rule in self.judged):
                clause, kind = rule.split("/")
                expected = "the accepted deviation, until somebody fixes it"
                got = "it no longer occurs; remove it from the deviations file"
                subject = f"the accepted deviation {id}"
                breach = Breach(clause, kind, outcome, expected, got, subject)
                self[id] = Finding(breach, promise, promise)
