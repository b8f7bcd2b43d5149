"""The progress display for a run."""

from rich import progress
from rich.console import Console


class Progress:
    """A status line with the current family of promises, request count and remaining time.

    If the output is not a terminal, the display prints the name of each family once instead.
    """

    def __init__(self, console: Console) -> None:
        """Create a display that appears with the first update."""
        self._console = console
        self._family = ""
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=20),
            progress.MofNCompleteColumn(),
            progress.TextColumn("promises · {task.fields[requests]:,} requests ·"),
            progress.TimeRemainingColumn(compact=True),
            progress.TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", requests=0)
        self.stop = self._bar.stop

    def update(self, family: str, done: int, total: int, requests: int) -> None:
        """Show the family, the progress (`done` of `total` promises) and the number of requests."""
        if family != self._family and not self._console.is_terminal:
            self._console.print(f"{family} ...", markup=False, highlight=False)
        self._family = family
        self._bar.start()
        self._bar.update(
            self._task, description=family, completed=done, total=total, requests=requests
        )
