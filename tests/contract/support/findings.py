"""Findings: breaches with one cause, counted, with up to three examples."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from support import contract
from support.breach import Breach
from support.deviations import Accepted
from support.exchange import Exchange

MOST_EXAMPLES = 3


class BrokenPromiseError(AssertionError):
    """A promise is broken; the findings travel in the exception."""

    def __init__(self, findings: "list[Finding]") -> None:
        """Have the findings."""
        super().__init__("; ".join(finding.title for finding in findings))
        self.findings = findings


@dataclass
class Example:
    """One exchange that showed a finding."""

    sent: str  # in words
    exchange: Exchange

    @property
    def size(self) -> tuple[int, int]:
        """The length of request and description, to prefer short examples."""
        request = self.exchange.request
        return len(request.target) + len(request.body), len(self.sent)


@dataclass
class Finding:
    """One way in which the backend does not do what a clause says."""

    breach: Breach  # the first one
    promise: str  # the first promise that met it
    accepted: Accepted | None = None
    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The stable id."""
        return self.breach.id

    @property
    def clause(self) -> contract.Clause:
        """The clause that the finding breaks."""
        return contract.CLAUSES[self.breach.clause]

    @property
    def severity(self) -> str:
        """One of broken, accepted, note."""
        if self.accepted and not self.breach.is_open_door:
            return "accepted"
        return self.breach.severity

    @property
    def title(self) -> str:
        """The finding in one line."""
        subject = self.breach.subject or self.examples[0].sent
        got = self.breach.got.partition(": ")[0]
        return f"{subject[:1].upper()}{subject[1:]}: got {got}"

    def show(self, exchange: Exchange, sent: str) -> None:
        """Count an exchange; keep the shortest as examples, each of them different in words."""
        self.count += 1
        shortest = {example.sent: example for example in self.examples}
        example = Example(sent, exchange)
        shortest[sent] = min(shortest.get(sent, example), example, key=lambda example: example.size)
        self.examples = sorted(shortest.values(), key=lambda example: example.size)[:MOST_EXAMPLES]


class Findings(dict[str, Finding]):
    """All findings of a run by id, and what was judged."""

    def __init__(
        self,
        accepted: Mapping[str, Accepted],
        sources: Collection[str] = (),
        fail_on: Collection[str] = (),
    ) -> None:
        """Accept some ids; judge rules of these sources only, or of all."""
        super().__init__()
        self._accepted = accepted
        self._sources = sources
        self._fail_on = fail_on
        self.judged: set[str] = set()  # ids of rules

    def is_selected(self, source: str) -> bool:
        """Return whether `--source` selects rules of the source."""
        return not self._sources or source in self._sources

    def add(self, breach: Breach, exchange: Exchange, sent: str, promise: str) -> Finding:
        """Count the breach under the finding of its cause, a new one if there is none."""
        id = self._id_of(breach)
        if id not in self:
            self[id] = Finding(breach, promise, self._accepted.get(id))
        self[id].show(exchange, sent)
        return self[id]

    def is_new(self, breach: Breach) -> bool:
        """Return whether this is the first breach with its cause."""
        return self._id_of(breach) not in self

    def _id_of(self, breach: Breach) -> str:
        return next((cause for cause in breach.explained_by if self._is_open(cause)), breach.id)

    def _is_open(self, id: str) -> bool:
        """Return whether there is such a finding that is not accepted."""
        return id in self and self[id].severity != "accepted"

    def decides(self, finding: Finding) -> bool:
        """Return whether the finding turns the run red."""
        if finding.breach.is_open_door:
            return True
        is_deciding = not self._fail_on or finding.clause.source in self._fail_on
        return finding.severity == "broken" and is_deciding

    def add_stale(self, promise: str, *, is_whole: bool) -> None:
        """Add a finding for each accepted one that did not occur: if it was judged, or for all."""
        for id in self._accepted:
            rule, _, outcome = id.rpartition("/")
            if id not in self and (is_whole or rule in self.judged):
                clause, kind = rule.split("/")
                expected = "the accepted deviation, until somebody fixes it"
                got = "it no longer occurs; remove it from the deviations file"
                subject = f"the accepted deviation {id}"
                self[id] = Finding(Breach(clause, kind, outcome, expected, got, subject), promise)
