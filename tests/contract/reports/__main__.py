"""`python -m reports FILE`: prints the findings of a verdict as annotations of a GitHub job."""

import json
import sys
from pathlib import Path

from reports.github import annotations

if len(sys.argv) != 2:
    sys.exit("usage: python -m reports reports/verdict.json")
try:
    print(annotations(json.loads(Path(sys.argv[1]).read_text("utf-8"))), end="")  # noqa: T201
except (OSError, ValueError) as error:
    sys.exit(f"{sys.argv[1]}: cannot be read as a verdict ({error}); run scripts/contract first")
