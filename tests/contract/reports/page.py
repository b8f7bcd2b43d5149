"""The verdict as one HTML page, which loads nothing from elsewhere."""

import base64
import hashlib

from markupsafe import Markup

from reports import words
from reports.templates import FOLDER, environment
from reports.words import Verdict


def render(verdict: Verdict) -> str:
    """Return the page; its policy allows its own style and script by hash, and nothing else."""
    style = (FOLDER / "page.css").read_text("utf-8")
    script = (FOLDER / "page.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    verdict = words.readable(verdict)
    return (
        environment(html=True)
        .get_template("page.html.jinja")
        .render(
            verdict=verdict,
            words=words,
            promises={promise["name"]: promise for promise in verdict["promises"]},
            titles={finding["id"]: finding["title"] for finding in verdict["findings"]},
            style=Markup(style),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - the same
            policy=policy,
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
