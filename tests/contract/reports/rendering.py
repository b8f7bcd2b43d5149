"""Renders the report templates, with filters that escape text from the backend."""

import base64
import hashlib
import json
import re
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape

from reports import words
from reports.words import Verdict

FOLDER = Path(__file__).parent / "templates"
CODE = re.compile(r"`([^`\n]+)`")
# Characters that Markdown or GitHub would interpret as markup, links, mentions or issue references.
SPECIAL = re.compile(r"([\\`*_\[\]<>#|~@&$])")


@cache
def template(name: str) -> jinja2.Template:
    """Return the template, which is cached because compiling takes longer than rendering."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=name.endswith((".html", ".xml")),  # other templates call a filter to escape text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code_html": code_html, "prose": prose, "code": code, "block": block}
    environment.filters |= {"csp_hash": csp_hash, "yaml": yaml_string}
    environment.globals["words"] = words
    return environment.get_template(name)


def write(verdict: Verdict, folder: Path) -> None:
    """Write the verdict to the folder as JSON and in the formats of the templates."""
    texts = {"verdict.json": json.dumps(verdict, indent=2) + "\n"}
    for name in ("verdict.html", "verdict.md", "junit.xml", "annotations.txt"):
        texts[name] = render(name, verdict)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        part = folder / f"{name}.part"  # an error must not leave a half-written report
        part.write_text(text, "utf-8")
        part.replace(folder / name)


def render(name: str, verdict: Verdict, **context: Any) -> str:
    """Render the verdict with the given template."""
    # Otherwise, text from the backend could control the terminal or make the XML invalid.
    escaped = words.map_strings(verdict, words.escape_invisible)
    return template(name).render(verdict=escaped, **context)


def yaml_string(text: str) -> str:
    """Return the text as a quoted YAML string on one line."""
    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=inf)
    return quoted.strip()


def csp_hash(text: str) -> str:
    """Return the expression that allows this style sheet or script in a Content-Security-Policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def code_html(text: str) -> Markup:
    """Escape the text for HTML, and convert text in backticks to `<code>` elements."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - already escaped


def prose(text: str) -> str:
    """Escape the text for Markdown, and convert text in backticks to code spans."""
    shown = ""
    line = " ".join(text.split())
    for number, part in enumerate(CODE.split(line)):
        is_code = number % 2 == 1
        shown += code(part) if is_code else SPECIAL.sub(r"\\\1", part)
    return shown


def code(text: str) -> str:
    """Convert the text to a Markdown code span."""
    fence = _fence(text, 1)
    if "`" in text:
        text = f" {text} "
    return f"{fence}{text}{fence}"


def block(text: str) -> str:
    """Convert the text to a Markdown code block."""
    fence = _fence(text, 3)
    return f"{fence}\n{text}\n{fence}"


def _fence(text: str, shortest: int) -> str:
    """Return a sequence of at least `shortest` backticks that does not occur in the text."""
    fence = "`" * shortest
    while fence in text:
        fence += "`"
    return fence
