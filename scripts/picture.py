"""`python -m scripts.picture`: draws the verdict on a faulty mock, which the README shows."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile

from rich.console import Console
from rich.text import Text

from scripts.contract import ROOT, environment
from tests.faults.faults import FAULTS
from tests.faults.backend import serving

FAULT = "anybody_may_update_foreign"
PROMISES = "foreign_configuration or reader or stranger or member or id_and_token"
WIDTH = 106


def main() -> int:
    """Write the picture."""
    with serving(FAULTS[FAULT]) as mock, tempfile.TemporaryDirectory() as reports:
        options = [
            "--backend-url",
            mock.base_url,
            "--id",
            mock.ids["main"],
            "--report-dir",
            reports,
        ]
        done = subprocess.run(
            [ROOT / "scripts" / "contract", "-k", PROMISES, "--max-examples", "5", *options],
            env={**os.environ, **environment(mock), "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
            capture_output=True,
            text=True,
            check=False,
        )
    text = re.sub(r"\x1b\[(\?25[hl]|1A|2K)", "", done.stdout).replace(reports, "reports")
    text = re.sub(r"(?m)^\x1b\[32m[\u2800-\u28ff].*\n|\r", "", text)  # what moved, and is gone
    text = re.sub(r"(?m)^  (date|server|content-length|x-request-id): .*\n", "", text)
    text = re.sub(r"\n(?:\s|\x1b\[0m)*\n(?=\x1b\[[\d;]*m  (kept|broken) )", "\n", text)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ ./scripts/contract --backend-url … --id …\n", "bold"))
    console.print(Text.from_ansi(text.strip()))
    # Without its fonts, which would be fetched from elsewhere.
    picture = console.export_svg(title="Does the backend keep the contract?")
    picture = re.sub(r"(?s)@font-face \{.*?\n    \}\n", "", picture)
    (ROOT / ".github" / "verdict.svg").write_text(picture, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
