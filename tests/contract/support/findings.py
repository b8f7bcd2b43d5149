"""Findings: breaches with one cause, counted, with up to three examples."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from support import contract
from support.deviations import Deviation
from support.exchange import Exchange
from support.rules import Breach, finding_id

MOST_EXAMPLES = 3

# An open backend is broken no matter what was accepted or selected.
OPEN_DOOR = {("authentication", "no-token"), ("authentication", "unknown-token")}


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
        """How much there is to read, in the request and in words."""
        request = self.exchange.request
        return len(request.target) + len(request.body), len(self.sent)


@dataclass
class Finding:
    """One way in which the backend does not do what a clause says."""

    breach: Breach  # the first one
    promise: str  # the first promise that met it
    deviation: Deviation | None = None
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
    def source(self) -> str:
        """Where the rule is from."""
        return self.clause.source

    @property
    def is_open_door(self) -> bool:
        """Whether anybody may update."""
        return (self.breach.clause, self.breach.kind) in OPEN_DOOR

    @property
    def severity(self) -> str:
        """One of broken, accepted, note."""
        if self.deviation and not self.is_open_door:
            return "accepted"
        return self.breach.severity

    @property
    def title(self) -> str:
        """The finding in one line."""
        subject = self.breach.subject or (self.examples[0].sent if self.examples else self.id)
        got = self.breach.got.partition(": ")[0]
        return f"{subject[:1].upper()}{subject[1:]}: got {got}"

    def show(self, exchange: Exchange, sent: str) -> None:
        """Count an exchange; keep the shortest as examples, each of them different in words."""
        self.count += 1
        others = [example for example in self.examples if example.sent != sent]
        same = [example for example in self.examples if example.sent == sent]
        candidates = [*same, Example(sent, exchange)]
        others.append(min(candidates, key=lambda example: example.size))
        self.examples = sorted(others, key=lambda example: example.size)[:MOST_EXAMPLES]


class Findings(dict[str, Finding]):
    """All findings of a run by id, and what was judged."""

    def __init__(
        self,
        deviations: Mapping[str, Deviation],
        sources: Collection[str],
        fail_on: Collection[str],
    ) -> None:
        """Accept the deviations; judge rules of these sources only, or of all."""
        super().__init__()
        self._deviations = deviations
        self._sources, self._fail_on = sources, fail_on
        self.judged: set[tuple[str, str]] = set()  # clause and kind

    def is_selected(self, source: str) -> bool:
        """Return whether `--source` selects rules of the source."""
        return not self._sources or source in self._sources

    def add(self, breach: Breach, exchange: Exchange, sent: str, promise: str) -> Finding:
        """Count the breach under the finding of its cause, a new one if there is none."""
        id = self._id_of(breach)
        if id not in self:
            self[id] = Finding(breach, promise, self._deviations.get(id))
        self[id].show(exchange, sent)
        return self[id]

    def is_new(self, breach: Breach) -> bool:
        """Return whether there is no finding of the breach's cause yet."""
        return self._id_of(breach) not in self

    def _id_of(self, breach: Breach) -> str:
        return next((cause for cause in breach.causes if self._is_open(cause)), breach.id)

    def decides(self, finding: Finding) -> bool:
        """Return whether the finding turns the run red."""
        if finding.is_open_door:
            return True
        deciding = not self._fail_on or finding.source in self._fail_on
        return finding.severity == "broken" and deciding

    def _is_open(self, id: str) -> bool:
        """Return whether there is such a finding, and nobody accepted it."""
        return id in self and self[id].severity != "accepted"

    def stale(self, *, is_whole: bool) -> list[Deviation]:
        """Return accepted deviations that were judged and did not occur; in a whole run, all."""
        kinds = {finding_id(*pair) for pair in self.judged}
        return [
            deviation
            for id, deviation in self._deviations.items()
            if id not in self and (is_whole or id.rpartition("/")[0] in kinds)
        ]
