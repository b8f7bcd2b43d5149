"""The templates of the reports that are documents, and the filters that they use."""

import re
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

FOLDER = Path(__file__).parent
CODE = re.compile(r"`([^`\n]+)`")
# What Markdown or GitHub would take for markup, a link, a mention or an issue.
SPECIAL = re.compile(r"([\\`*_\[\]<>#|~@&$])")


def environment(*, html: bool) -> jinja2.Environment:
    """Return an environment that fails on a name that the verdict does not have."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=html,  # noqa: S701 - Markdown escapes by its own filters
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code_html": code_html, "prose": prose, "code": code, "block": block}
    return environment


def code_html(text: str) -> Markup:
    """Return HTML of the text, with what is in backticks as code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - is escaped


def prose(text: str) -> str:
    """Return Markdown that shows the text as it is, with what is in backticks as code."""
    parts = CODE.split(" ".join(text.split()))
    shown = [SPECIAL.sub(r"\\\1", part) for part in parts]
    shown[1::2] = [code(part) for part in parts[1::2]]
    return "".join(shown)


def code(text: str) -> str:
    """Return Markdown that shows the text as code in a line."""
    fence = "`" * (_longest_run(text) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def block(text: str) -> str:
    """Return Markdown that shows the text as a block of code."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
