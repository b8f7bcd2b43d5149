"""Prints the verdict to a terminal or a log, with the findings first and the result last."""

import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from reports import rendering
from reports.words import Verdict

STYLES = {"kept": "green", "broken": "bold red", "accepted": "magenta", "not tested": "yellow"}


class Output(Console):
    """A console for standard output that stops printing after the first write error."""

    def print(self, *objects: object, **options: Any) -> None:
        """Print the objects; after an error, such as a full disk, print nothing more."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            sys.stderr.write(f"scripts/contract: cannot write the output: {error.strerror}\n")
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        """Redirect standard output to the null device, but do not exit."""
        with suppress(SystemExit):
            super().on_broken_pipe()


def report(verdict: Verdict, console: Console, reports: str = "", deviations: str = "") -> None:
    """Print the verdict.

    If the other reports were written, `reports` is their folder. If a template for accepting the
    findings was written, `deviations` is the template's file.
    """
    context = {"escape": escape, "STYLES": STYLES, "reports": reports, "deviations": deviations}
    markup = rendering.render("verdict.txt", verdict, **context)
    # Do not wrap lines, so that curl commands can be copied and text in a log can be searched.
    console.print(Text.from_markup(markup, emoji=False), soft_wrap=True)
