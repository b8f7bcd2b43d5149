"""The verdict in a terminal: findings first, the result last."""

import textwrap

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from reports import rendering
from reports.words import Verdict

STYLES = {"kept": "green", "broken": "bold red", "accepted": "magenta", "not tested": "yellow"}

rendering.template("verdict.txt")  # compiled at import, once for all forks


def report(verdict: Verdict, console: Console, reports: str = "") -> None:
    """Print the verdict; `reports` says where the other reports are."""

    def whole(text: str, style: str) -> str:
        return f"[{STYLES.get(style, style)}]{escape(text)}[/]"

    def line(text: str, style: str, indent: int = 0) -> str:
        if console.is_terminal:  # in a log, a finding stays on one line, so that it can be searched
            text = _wrap(text, console.width, indent)
        return whole(text, style)

    def row(label: str, text: str) -> str:
        return line(f"   {label:<9} {text}", "default", indent=13)

    helpers = {"whole": whole, "line": line, "row": row, "STYLES": STYLES, "reports": reports}
    markup = rendering.render("verdict.txt", verdict, **helpers)
    # Soft wrap: a curl line is not broken, so that it can be pasted.
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
