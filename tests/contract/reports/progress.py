"""The progress display of a run."""

from typing import Self

from rich import progress
from rich.console import Console


class Progress:
    """A line with the family under test, the requests so far and the time left.

    In a log, where a line cannot be redrawn, each family is printed once as it begins.
    """

    def __init__(self, console: Console, promises: int) -> None:
        """Prepare to show the progress of this many promises."""
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
        self._task = self._bar.add_task("", total=promises, requests=0)

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the line."""
        self._bar.stop()

    def update(self, family: str, done: int, requests: int) -> None:
        """Show the family under test, the promises that are done, and the requests sent."""
        if family != self._family and not self._console.is_terminal:
            self._console.print(f"{family} ...", markup=False, highlight=False)
        self._family = family
        self._bar.update(self._task, description=family, completed=done, requests=requests)
