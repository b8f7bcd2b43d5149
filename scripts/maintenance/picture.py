"""Create the README image that shows a verdict: `python -m scripts.maintenance.picture`."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import flashback_mock
from scripts.contract import ROOT, environment

PICTURE = ROOT / ".github" / "verdict.png"
PORT = 4010  # fixed, because the picture shows the port
WIDTH = 900
SCALE = 1.5  # sharp enough on most screens; scale 2 would double the file size
MARGIN = 20


def main() -> None:
    """Test a mock that grants two users too much access, and take a screenshot of the report."""
    with tempfile.TemporaryDirectory() as reports:
        with flashback_mock.running(port=PORT) as mock:
            mock.add_member("reader", access="WRITE")
            mock.add_member("stranger", access="WRITE", workspace="acme")
            command = [str(ROOT / "scripts" / "contract"), "--seed", "1", "--report-dir", reports]
            command += ["--backend-url", mock.base_url]
            variables = environment(mock.tokens, mock.ids)
            subprocess.run(command, env={**os.environ, **variables}, check=False)
        draw(Path(reports) / "verdict.html")


def draw(report: Path) -> None:
    """Take a screenshot of the report, down to the end of the first finding."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 600}, device_scale_factor=SCALE)
        page.goto(report.as_uri())
        card = page.get_by_role("article").first
        bottom = card.evaluate("card => card.getBoundingClientRect().bottom")
        page.screenshot(
            path=PICTURE,
            full_page=True,
            clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom + MARGIN},
        )
        browser.close()


if __name__ == "__main__":
    main()
