"""What an exchange may break, and the id by which every run names it."""

from dataclasses import dataclass

from support.words import id_of

# An open backend is broken no matter what was accepted or selected.
OPEN_DOOR = ("authentication/no-token", "authentication/unknown-token")


@dataclass(frozen=True)
class Breach:
    """One rule that one exchange broke."""

    clause: str
    kind: str  # kind of value; never made of a value itself
    outcome: str  # the outcome, in a stable word
    expected: str
    got: str
    subject: str = ""  # what the finding is about, unless it is what was sent
    is_basic: bool = False  # a rule for every response: it hides what comes after it
    severity: str = "broken"  # or "note"
    explained_by: tuple[str, ...] = ()  # ids of findings that would be the same cause

    @property
    def id(self) -> str:
        """The finding's stable id."""
        return id_of(self.clause, self.kind, self.outcome)

    @property
    def rule(self) -> str:
        """The id without what came."""
        return id_of(self.clause, self.kind)

    @property
    def is_open_door(self) -> bool:
        """Whether the backend accepts updates without a valid token."""
        return self.rule in OPEN_DOOR
