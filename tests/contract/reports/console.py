"""Prints the verdict to a terminal or a log, with the findings first and the result last."""

import textwrap

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from reports import rendering
from reports.words import Verdict

STYLES = {"kept": "green", "broken": "bold red", "accepted": "magenta", "not tested": "yellow"}

rendering.template("verdict.txt")  # compile at import, before tests/faults forks processes


def report(verdict: Verdict, console: Console, reports: str = "") -> None:
    """Print the verdict; `reports` is the folder that contains the other reports, if any."""

    def whole(text: str, style: str) -> str:
        return f"[{STYLES.get(style, style)}]{escape(text)}[/]"

    def line(text: str, style: str, indent: int = 0) -> str:
        # In a log, do not wrap lines, because wrapped text is hard to search.
        if console.is_terminal:
            text = _wrap(text, console.width, indent)
        return whole(text, style)

    def row(label: str, text: str) -> str:
        return line(f"   {label:<9} {text}", "default", indent=13)

    helpers = {"whole": whole, "line": line, "row": row, "STYLES": STYLES, "reports": reports}
    markup = rendering.render("verdict.txt", verdict, **helpers)
    # Keep each curl command on one line so that it can be copied.
    console.print(Text.from_markup(markup, emoji=False), soft_wrap=True)


def _wrap(text: str, width: int, indent: int) -> str:
    start = text[: len(text) - len(text.lstrip())]
    wrapper = textwrap.TextWrapper(
        width=max(width, 40),
        initial_indent=start,
        subsequent_indent=" " * indent or 2 * start,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.fill(text.strip())
