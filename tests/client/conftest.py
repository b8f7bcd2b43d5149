"""What every test of the client starts from: no setting of this machine counts."""

from __future__ import annotations

import os
import sys

import pytest

if under_test := os.environ.get("CLIENT_UNDER_TEST"):
    sys.path.insert(0, under_test)


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("FLASHBACK_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
