"""Rules for kinds of requests, and breaches of rules."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from support import contract
from support.words import id_of

# A backend that accepts everybody is broken, no matter which findings are accepted.
OPEN_DOOR = ("authentication/no-token", "authentication/unknown-token")


@dataclass(frozen=True)
class Rule:
    """The statuses that the contract requires for a kind of request, by default 400."""

    clause: str
    kind: str  # part of a finding's id, so never made from a value
    words: str  # describes the kind of request
    statuses: AbstractSet[int] = frozenset({400})
    is_open: bool = False  # the backend may also accept the request
    precedes_token: bool = False  # may be checked before the token

    @property
    def id(self) -> str:
        """Return the part of a finding's id that names the rule."""
        return id_of(self.clause, self.kind)

    @property
    def source(self) -> str:
        """Return where the clause is from."""
        return contract.CLAUSES[self.clause].source


@dataclass(frozen=True)
class Breach:
    """A rule that one exchange broke."""

    clause: str
    kind: str
    outcome: str  # what happened, in one stable word
    expected: str
    got: str
    subject: str = ""  # the subject of the title, by default a description of the request
    is_basic: bool = False  # a rule for every response; its breach hides later ones
    severity: str = "broken"  # or "note"
    explained_by: tuple[str, ...] = ()  # ids of broader findings with the same cause

    @property
    def id(self) -> str:
        """Return the finding's stable id."""
        return id_of(self.clause, self.kind, self.outcome)

    @property
    def rule(self) -> str:
        """Return the id without the outcome."""
        return id_of(self.clause, self.kind)

    @property
    def is_open_door(self) -> bool:
        """Whether the backend accepts updates without a valid token."""
        return self.rule in OPEN_DOOR
