"""The reports of a run: pure functions of its verdict, the dict of docs/verdict.schema.json."""

import json
from pathlib import Path

from reports import junit, markdown, page
from reports.words import Verdict

FILES = ("verdict.html", "verdict.json", "verdict.md", "junit.xml")


def write(verdict: Verdict, folder: Path) -> None:
    """Write the verdict into the folder, as JSON, HTML, Markdown and JUnit XML."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = (
        page.render(verdict),
        json.dumps(verdict, indent=2) + "\n",
        markdown.render(verdict),
        junit.render(verdict),
    )
    for name, text in zip(FILES, texts, strict=True):
        (folder / name).write_text(text, "utf-8")
