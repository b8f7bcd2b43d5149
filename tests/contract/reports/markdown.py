"""The verdict as Markdown, for the summary of a CI job."""

from reports import words
from reports.templates import environment
from reports.words import Verdict


def render(verdict: Verdict) -> str:
    """Return the verdict as GitHub Flavored Markdown."""
    template = environment(html=False).get_template("verdict.md.jinja")
    return template.render(verdict=words.readable(verdict), words=words)
