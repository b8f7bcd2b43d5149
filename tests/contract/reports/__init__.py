"""Renders a verdict as reports. docs/verdict.schema.json describes the verdict's format."""

import json
from pathlib import Path

from reports.rendering import page, render
from reports.words import Verdict


def write(verdict: Verdict, folder: Path) -> None:
    """Write the verdict to the folder as JSON, HTML, Markdown and JUnit XML."""
    texts = {
        "verdict.json": json.dumps(verdict, indent=2) + "\n",
        "verdict.html": page(verdict),
        "verdict.md": render("verdict.md", verdict),
        "junit.xml": render("junit.xml", verdict),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        part = folder / f"{name}.part"  # an error must not leave a half-written report
        part.write_text(text, "utf-8")
        part.replace(folder / name)
