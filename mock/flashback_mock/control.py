"""What a test may order and ask: answers that fail on purpose, a delay, and the journal."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

Fault = Literal["reset", "truncated", "malformed", "timeout"]
FAULTS: tuple[str, ...] = get_args(Fault)
MOST = 10_000
LONGEST_DELAY = 3600.0


class Entry(NamedTuple):
    """A request as the journal has it: never a value of a credential or a token.

    `user`, `configuration` and `fields` stay empty for what was refused before they were known.
    """

    request_id: str
    method: str
    status: int
    milliseconds: float
    user: str = ""
    configuration: str = ""
    fields: tuple[str, ...] = ()
    fault: str = ""


class Planned(NamedTuple):
    """An answer that is given instead of the true one, after a delay in seconds."""

    status: int | None = None
    delay: float = 0
    fault: str = ""
    after_update: bool = False


@dataclass
class Control:
    """Planned answers, the delay of every answer in seconds, and the journal of requests."""

    statuses: tuple[int, ...]
    delay: float = 0
    planned: deque[Planned] = field(default_factory=deque[Planned])
    journal: deque[Entry] = field(default_factory=lambda: deque[Entry](maxlen=MOST))

    def answer_next(
        self,
        status: int | None = None,
        *,
        times: int = 1,
        delay: float = 0,
        fault: Fault | None = None,
        after_update: bool = False,
    ) -> None:
        """Have the next requests answered so: by a documented status, late, or by a fault.

        They are not carried out, unless there is nothing but a delay, or `after_update` is true:
        then an update is stored, and only its answer is another. Raises `ValueError`.
        """
        if status not in (None, *self.statuses):
            raise ValueError(f"status: must be one of {_list(self.statuses)}")
        if fault not in (None, *FAULTS):
            raise ValueError(f"fault: must be one of {_list(FAULTS)}")
        if not 1 <= times <= MOST:
            raise ValueError(f"times: must be from 1 to {MOST}")
        planned = Planned(status, seconds("delay", delay), fault or "", after_update)
        self.planned.extend([planned] * times)

    def next(self) -> Planned:
        """The answer that is planned for this request; nothing special if none is."""
        planned = self.planned.popleft() if self.planned else Planned()
        return planned._replace(delay=planned.delay + self.delay) if self.delay else planned

    def clear(self) -> None:
        """Forget all of it."""
        self.delay = 0
        self.planned.clear()
        self.journal.clear()


def seconds(name: str, value: float) -> float:
    """The value, if it is a delay; raises `ValueError`."""
    if not 0 <= value <= LONGEST_DELAY:
        raise ValueError(f"{name}: must be from 0 to {LONGEST_DELAY:.0f} seconds")
    return value


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
