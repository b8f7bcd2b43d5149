"""The curl lines of a verdict, pasted into a shell."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.contract import environment
from tests.backends.serving import serving
from tests.backends.store import IDS, TOKENS, Store
from tests.contract_command.conftest import Backend, Contract
from tests.faults.messages import Answer, Request


def paste(line: str, variables: dict[str, str], folder: Path) -> str:
    """Paste a curl line into bash and return the status that it gets."""
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    first_line = done.stdout.decode(errors="replace").partition("\r\n")[0]
    return first_line.split()[1] if first_line else done.stderr.decode()


pytestmark = pytest.mark.usefixtures("curl")


def test_pasted_lines_get_the_same_status(contract: Contract, tmp_path: Path) -> None:
    """The curl line of each finding gets the status that the verdict shows."""
    variables = environment(TOKENS, IDS)
    with serving("fastapi_naive", Store(unique_names=False)) as url:
        done = contract("-k", "not generated and not alone", url=url, **variables)
        findings = done.verdict["findings"]
        assert len(findings) >= 15
        for finding in findings:
            for example in finding["examples"]:
                status = paste(example["curl"], variables, tmp_path)
                assert status == str(example["response"]["status"]), example["curl"]


def test_unusual_requests_are_repeated_to_the_letter(
    contract: Contract, backend: Backend, tmp_path: Path
) -> None:
    """The backend receives the same HEAD, dot segments, chunks, empty headers and tokens again."""
    seen: list[tuple[str, str, bytes, str, str]] = []

    def refuse(request: Request, answer: Answer) -> None:
        headers = request.headers
        chunked = headers.get("transfer-encoding", "")
        shown = headers.get("authorization", "none")
        seen.append((request.method, request.path, request.body, chunked, shown))
        answer.set_status(418 if answer.status != 200 or request.key else 200)

    promises = "test_other_method or test_rewritten or test_missing_body or test_near_token"
    with backend(after=refuse) as given:
        done = contract("-k", promises, **given)
        during = {*seen}
        examples = [example for one in done.verdict["findings"] for example in one["examples"]]
        assert examples
        for example in examples:
            seen.clear()
            assert paste(example["curl"], given, tmp_path) == "418"
            assert during.issuperset(seen), example["curl"]
