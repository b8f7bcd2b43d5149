"""The progress display for a run."""

from rich.console import Console


class Progress:
    """A status line with the family of promises and the numbers of promises and requests.

    If the output is not a terminal, the display prints each family's name once instead.
    """

    def __init__(self, console: Console) -> None:
        """Create a display that appears with the first update."""
        self._console = console
        self._family = ""
        self._status = console.status("")
        self.stop = self._status.stop

    def update(self, family: str, done: int, total: int, requests: int) -> None:
        """Show the family, the progress (`done` of `total` promises) and the number of requests."""
        if self._console.is_terminal:
            self._status.update(f"{family}: {done}/{total} promises · {requests:,} requests")
            self._status.start()
        elif family != self._family:
            self._console.print(f"{family} ...", markup=False, highlight=False)
        self._family = family
