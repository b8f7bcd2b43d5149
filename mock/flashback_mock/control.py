"""What a test may order and ask: answers that fail on purpose, a delay, and the journal."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

Fault = Literal["reset", "truncated", "malformed", "timeout"]
FAULTS: tuple[str, ...] = get_args(Fault)
SILENT = ("reset", "timeout")  # those after which no status is sent
MOST = 10_000
LONGEST_DELAY = 3600.0


class Entry(NamedTuple):
    """A request as the journal has it: never a value of a credential or a token.

    `status` is 0 where a fault swallowed the answer, `fields` are those that the request was to
    change, and `updated` says whether that was stored. `user`, `configuration` and `fields` stay
    empty for what was refused before they were known. `milliseconds` leave out a planned delay.
    """

    request_id: str
    method: str
    status: int
    milliseconds: float
    user: str = ""
    configuration: str = ""
    fields: tuple[str, ...] = ()
    updated: bool = False
    fault: str = ""


class Planned(NamedTuple):
    """How a request is answered, if not truly and at once: see `Control.answer_next`."""

    status: int = 0
    delay: float = 0
    fault: str = ""
    after_update: bool = True


AS_IT_IS = Planned()


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

        What they ask for is not stored, unless there is nothing but a delay (in seconds), or
        `after_update` is true: then only the answer is another. Raises `ValueError`.
        """
        if status not in (None, *self.statuses):
            raise ValueError(f"status: must be one of {_list(self.statuses)}")
        if fault not in (None, *FAULTS):
            raise ValueError(f"fault: must be one of {_list(FAULTS)}")
        if not 1 <= times <= MOST - len(self.planned):
            raise ValueError(f"times: must be at least 1, and at most {MOST} may be planned")
        if not 0 <= delay <= LONGEST_DELAY:
            raise ValueError(f"delay: must be from 0 to {LONGEST_DELAY:.0f} seconds")
        true = after_update or not (status or fault)
        self.planned.extend([Planned(status or 0, delay, fault or "", true)] * times)

    def next(self) -> Planned:
        """How this request is to be answered."""
        planned = self.planned.popleft() if self.planned else AS_IT_IS
        return planned._replace(delay=planned.delay + self.delay) if self.delay else planned

    def clear(self) -> None:
        """Forget all of it."""
        self.delay = 0
        self.planned.clear()
        self.journal.clear()


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
