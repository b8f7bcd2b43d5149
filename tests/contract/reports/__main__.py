"""Print a verdict's findings as annotations for a GitHub job: `python -m reports FILE`."""

import json
import sys
from pathlib import Path

from reports.github import annotations

if len(sys.argv) != 2:
    sys.exit("usage: python -m reports reports/verdict.json")
try:
    print(annotations(json.loads(Path(sys.argv[1]).read_text("utf-8"))), end="")  # noqa: T201
except (OSError, ValueError) as error:
    sys.exit(f"{sys.argv[1]}: not a valid verdict ({error}); run scripts/contract first")
