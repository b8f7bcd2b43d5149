"""A rule for a kind of request, and what an exchange breaks if the response is another one."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from support import contract
from support.words import id_of

# An open backend is broken no matter what was accepted or selected.
OPEN_DOOR = ("authentication/no-token", "authentication/unknown-token")


@dataclass(frozen=True)
class Rule:
    """How the contract says that a kind of request is answered, by default with 400."""

    clause: str
    kind: str  # part of a finding's id: never made of a value
    words: str  # what is special about the request
    statuses: AbstractSet[int] = frozenset({400})
    is_open: bool = False  # the backend may also do as asked
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
    """One rule that one exchange broke."""

    clause: str
    kind: str
    outcome: str  # what was received, in a stable word
    expected: str
    got: str
    subject: str = ""  # what the finding is about, unless it is what was sent
    is_basic: bool = False  # a rule for every response: it hides what comes after it
    severity: str = "broken"  # or "note"
    explained_by: tuple[str, ...] = ()  # ids of findings that would be the same cause

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
