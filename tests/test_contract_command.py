"""scripts/contract tells a good backend from a bad one, and keeps what it was given to itself."""

import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flashback_mock
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
TOKEN = "token-of-a-live-backend-91c4"


@pytest.fixture
def contract(root: Path, tmp_path: Path) -> Run:
    """Runs scripts/contract; variables are set as given, all other FLASHBACK_* are unset."""

    def run(*options: str, tree: Path = root, **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FLASHBACK_")}
        paths = os.pathsep.join(str(tree / folder) for folder in ("mock", "generated"))
        command = [sys.executable, str(tree / "scripts" / "contract.py"), *options]
        return subprocess.run(
            [*command, "--report-dir", str(tmp_path / "reports")],
            env={**inherited, "PYTHONPATH": paths, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of the repository's own files, to be broken."""
    tree = tmp_path / "copy"
    tree.mkdir()
    for name in ("openapi.yaml", "pyproject.toml", "generated", "mock", "scripts", "tests"):
        source = root / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    return tree


def replace(file: Path, old: str, new: str) -> None:
    """Change one line of a file."""
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file.name}"
    file.write_text(text.replace(old, new), "utf-8")


def test_mock_keeps_the_contract(contract: Run, tmp_path: Path) -> None:
    """Against the mock every promise is kept and none is left untested; a JUnit report tells it."""
    done = contract("--max-examples", "30", FLASHBACK_TOKEN=TOKEN, FLASHBACK_BASE_URL="http://x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"The contract is kept: \d\d kept, 0 broken, 0 not tested\.", done.stdout)
    suite = ET.parse(tmp_path / "reports" / "junit.xml").getroot()[0]  # noqa: S314 - our own
    assert int(suite.attrib["tests"]) >= 20
    assert suite.attrib["failures"] == suite.attrib["errors"] == suite.attrib["skipped"] == "0"
    assert "The contract is kept" in (tmp_path / "reports" / "verdict.html").read_text("utf-8")


def test_same_seed_gives_the_same_requests(contract: Run) -> None:
    """Two runs with one seed send the same number of requests to the same effect."""
    runs = [contract("--seed", "7", "--max-examples", "20").stdout for _ in range(2)]
    assert "seed 7" in runs[0]
    tallies = [re.findall(r"^Statuses: .*$", run, re.MULTILINE) for run in runs]
    assert tallies[0] == tallies[1] != []


def test_what_is_not_given_is_not_tested(contract: Run) -> None:
    """Against a given backend, promises that need more tokens say which variable is missing."""
    with flashback_mock.running() as mock:
        done = contract(
            *("--backend-url", mock.base_url, "-k", "access", "--id", mock.ids["main"]),
            FLASHBACK_TOKEN=mock.tokens["owner"],
        )
    assert done.returncode == 0
    assert "not tested" in done.stdout
    assert "set FLASHBACK_READER_TOKEN: a token of a member" in done.stdout


def test_run_leaves_the_contracts_example(contract: Run) -> None:
    """After a run the configuration is what the contract's example says."""
    with flashback_mock.running() as mock:
        contract(
            *("--backend-url", mock.base_url, "--max-examples", "5", "-k", "valid"),
            FLASHBACK_AI_LLM_ID=mock.ids["main"],
            FLASHBACK_TOKEN=mock.tokens["owner"],
        )
        example = mock.contract.examples["everything"]
        assert mock.configuration(mock.ids["main"])["name"] == example["name"]
        assert mock.reveals(mock.ids["main"], secret=example["secret"])


@pytest.mark.parametrize(
    ("options", "variables", "cure"),
    [
        (["--backend-url", "127.0.0.1:1"], {}, "give an http or https URL"),
        (["--backend-url", "http://127.0.0.1:port"], {}, "give an http or https URL"),
        (["--backend-url", f"http://:{TOKEN}@127.0.0.1:1"], {}, "give an http or https URL"),
        (["--backend-url", "http://127.0.0.1:1"], {}, "set FLASHBACK_TOKEN"),
        (["--backend-url", "http://127.0.0.1:1"], {"FLASHBACK_TOKEN": f"{TOKEN}\n"}, "no token"),
        (["--backend-url", "https://backend.example"], {"FLASHBACK_TOKEN": TOKEN}, "--id"),
        (["--backend-url", "http://127.0.0.1:1"], {"FLASHBACK_TOKEN": TOKEN}, "does not answer"),
        (["--max-examples", "0"], {}, "must be more than 0"),
        (["--rate-limit", "fast"], {}, "--rate-limit"),
        (["-k", "nothing-is-called-so"], {}, "no promise was tested"),
    ],
)
def test_unusable_options_give_no_verdict(
    contract: Run, options: list[str], variables: dict[str, str], cure: str
) -> None:
    """What cannot be judged exits with 2 and the cure, never with a pass."""
    done = contract(*options, **variables)
    assert done.returncode == 2
    assert cure in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("token", "id", "cure"),
    [
        ("wrong", "main", "set FLASHBACK_TOKEN to one that may update the id"),
        ("reader-token", "main", "give a token with WRITE"),
        ("owner-token", "unknown", "give the id of a throwaway one"),
    ],
)
def test_control_request_that_fails_gives_no_verdict(
    contract: Run, token: str, id: str, cure: str
) -> None:
    """A token or an id that cannot work from the start exits with 2 and says which it is."""
    with flashback_mock.running() as mock:
        options = ("--backend-url", mock.base_url, "--id", mock.ids.get(id, id))
        done = contract(*options, FLASHBACK_TOKEN=token)
    assert done.returncode == 2
    assert cure in done.stderr


def test_broken_contract_is_drift(contract: Run, copy: Path) -> None:
    """A contract changed by a line gives no verdict until the client is generated anew."""
    replace(copy / "openapi.yaml", "enum: [OPENAI, GOOGLE,", "enum: [OPENAI, MISTRAL, GOOGLE,")
    done = contract(tree=copy)
    assert done.returncode == 2
    assert "MISTRAL" in done.stderr
    assert "mend it with: scripts/generate" in done.stderr


def test_new_field_needs_values_of_its_own(contract: Run, copy: Path) -> None:
    """A field that is new to the contract gives no verdict, but says what the tests lack."""
    field = "        region:\n          type: string\n          maxLength: 64\n"
    replace(copy / "openapi.yaml", "\n        endpoint:\n", f"\n{field}        endpoint:\n")
    subprocess.run([sys.executable, copy / "scripts" / "generate.py"], check=True)
    done = contract(tree=copy)
    assert done.returncode == 2
    assert "the example `everything` has no region" in done.stderr
    assert "ODD has no values of region" in done.stderr


@pytest.mark.parametrize("interrupt", ["by a terminal", "by SIGTERM"])
def test_interrupted_run_gives_no_verdict(root: Path, tmp_path: Path, interrupt: str) -> None:
    """A run that is stopped half-way says so, in its report too, and sends nothing more."""
    reports = tmp_path / "reports"
    command = [sys.executable, str(root / "scripts" / "contract.py"), "--report-dir", str(reports)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as run:
        assert run.stdout
        while "kept" not in run.stdout.readline():
            assert run.poll() is None
        if interrupt == "by SIGTERM":
            run.terminate()
        else:
            os.killpg(run.pid, signal.SIGINT)
        said, complained = run.communicate(timeout=20)
    assert run.returncode == 2
    for text in (said, (reports / "verdict.html").read_text("utf-8")):
        assert "No verdict: interrupted" in text
        assert "is kept" not in text
    assert "Traceback" not in said + complained


def test_edited_client_is_drift(contract: Run, copy: Path) -> None:
    """A generated file edited by a line gives no verdict, and the diff shows the line."""
    file = copy / "generated" / "flashback_client" / "models" / "ai_type.py"
    replace(file, '"OPENAI"\n', '"OPENAPI"\n')
    done = contract(tree=copy)
    assert done.returncode == 2
    assert '-    OPENAI = "OPENAPI"' in done.stderr
    assert "mend it with: scripts/generate" in done.stderr


def test_broken_mock_breaks_a_promise(contract: Run, copy: Path, tmp_path: Path) -> None:
    """A mock changed by a line is caught, with a curl line that shows it and hides the token."""
    replace(
        copy / "mock" / "flashback_mock" / "store.py",
        'MAY_UPDATE = ("WRITE", "ADMIN")',
        'MAY_UPDATE = ("WRITE", "ADMIN", "READ")',
    )
    done = contract("--max-examples", "5", tree=copy)
    assert done.returncode == 1
    broken = done.stdout.partition("\nBroken: ")[2]
    assert broken.startswith("A member with READ may not update the configuration")
    assert "expected 403, came 200" in broken
    assert "curl -i -X PUT http://127.0.0.1:" in broken
    assert """-H 'Authorization: Bearer '"${FLASHBACK_READER_TOKEN}\"""" in broken
    reports = [file.read_text("utf-8") for file in (tmp_path / "reports").iterdir()]
    for shown in (done.stdout, *reports):
        assert "reader-token" not in shown


def test_given_tokens_are_never_shown(contract: Run, copy: Path, tmp_path: Path) -> None:
    """A backend that sends the token back does not get it into the output or a report."""
    replace(
        copy / "mock" / "flashback_mock" / "app.py",
        '_respond(status, {"success": False, "message": message})',
        '_respond(status, {"success": True, "message": message + "owner-token"})',
    )
    done = contract("--max-examples", "5", tree=copy)
    assert done.returncode == 1
    reports = [file.read_text("utf-8") for file in (tmp_path / "reports").iterdir()]
    for shown in (done.stdout, done.stderr, *reports):
        assert "owner-token" not in shown
    assert "${FLASHBACK_TOKEN}" in done.stdout


DEVIATION = """
127.0.0.1:
  - promise: test_reader_may_not_update
    reason: readers may update until the roles are done
    link: https://tracker.example/1
    date: 2026-11-23
"""


def test_known_deviation_passes_only_while_it_occurs(
    contract: Run, copy: Path, tmp_path: Path
) -> None:
    """A known deviation does not turn a run red; one that no longer occurs does."""
    (tmp_path / "known.yaml").write_text(DEVIATION)
    options = ("-k", "reader", "--deviations", str(tmp_path / "known.yaml"))
    gone = contract(*options)
    assert gone.returncode == 1
    assert "it is gone: take it out" in gone.stdout
    replace(
        copy / "mock" / "flashback_mock" / "store.py",
        'MAY_UPDATE = ("WRITE", "ADMIN")',
        'MAY_UPDATE = ("WRITE", "ADMIN", "READ")',
    )
    occurs = contract(*options, tree=copy)
    assert occurs.returncode == 0, occurs.stdout
    assert "readers may update until the roles are done" in occurs.stdout


def test_unreadable_deviations_give_no_verdict(contract: Run, tmp_path: Path) -> None:
    """A file of deviations that cannot be read, or lacks a key, exits with 2 and names it."""
    for text in ("[", "127.0.0.1: [{promise: x}]", "- 1"):
        (tmp_path / "known.yaml").write_text(text)
        done = contract("--deviations", str(tmp_path / "known.yaml"))
        assert done.returncode == 2
        assert "known.yaml" in done.stderr
