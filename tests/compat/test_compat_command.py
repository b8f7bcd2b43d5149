"""The command: its default base, its output, its exit status and its speed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import compat as command
from scripts.compatibility import documents, findings, python_interface
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change, Finding

ROOT = Path(__file__).parents[2]
GIT = {
    **dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull),
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "A"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@b.example"),
}
Compat = Callable[..., subprocess.CompletedProcess[str]]
Judged = Callable[[], dict[str, Any]]
CONTRACT = (ROOT / "openapi.yaml").read_text("utf-8")
VERSION = str(yaml.safe_load(CONTRACT)["info"]["version"])
NARROW = ("maxLength: 255\n          pattern", "maxLength: 100\n          pattern")
FIELD = (
    "        secret:\n          type: string",
    "        zzField: {type: string}\n        secret:\n          type: string",
)
WORDS = ("title: Flashback AI LLM API", "title: Flashback API")
SCHEMA = "'#/components/schemas/AiType'"


def stepped(version: str) -> tuple[str, str]:
    """Return an edit that sets the version."""
    return f"version: {VERSION}", f"version: {version}"


def write(folder: Path, *edits: tuple[str, str]) -> str:
    """Write an edited contract to a folder, and return its path."""
    path = folder / "openapi.yaml"
    text = CONTRACT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, "utf-8")
    return str(path)


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder, independent of the machine's settings."""
    line = ["git", "-C", str(folder), *arguments]
    subprocess.run(line, check=True, capture_output=True, env={**os.environ, **GIT})


def commit(folder: Path, *edits: tuple[str, str]) -> None:
    """Commit an edited contract."""
    write(folder, *edits)
    git(folder, "add", "-A")
    git(folder, "commit", "--allow-empty", "-qm", "Contract")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a repository with one commit, whose contract has version 1.2.0."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, stepped("1.2.0"))
    return folder


LOAD = python_interface.load_client
CLIENTS: dict[str, Any] = {}


def load_once(contract: Contract, folder: Path) -> Any:
    """Generate each client only once, because it takes half a second."""
    client = CLIENTS.get(contract.text) or LOAD(contract, folder)
    if not isinstance(client, str):
        CLIENTS[contract.text] = client
    return client


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compat:
    """Return a function that runs the command in this process, which saves a second."""
    monkeypatch.setattr(python_interface, "load_client", load_once)

    def call(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["compat", *arguments])
        monkeypatch.setattr(documents, "ROOT", at)
        monkeypatch.chdir(at)
        status = command.main()
        output = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, output.out, output.err)

    return call


@pytest.fixture
def wire_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not compare the Python interface; test_interface.py does."""
    monkeypatch.setattr(python_interface, "compare", lambda _base, _head: ([], ""))


@pytest.fixture
def judged(compat: Compat, clone: Path, wire_only: None) -> Judged:  # noqa: ARG001 # no client
    """Return a function that returns the JSON report about the clone."""

    def call() -> dict[str, Any]:
        done = compat("--format", "json", at=clone)
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if report["in_order"] else 1)
        return report

    return call


@pytest.mark.parametrize(
    ("change", "old", "new", "in_order"),
    [
        (Change.NONE, "1.2.3", "1.2.3", True),
        (Change.NONE, "1.2.3", "1.2.2", False),
        (Change.WORDS, "1.2.3", "1.2.3", False),
        (Change.WORDS, "1.2.3", "1.2.4", True),
        (Change.ADDITION, "1.2.3", "1.2.4", False),
        (Change.ADDITION, "1.2.3", "1.3.0", True),
        (Change.UNDECIDED, "1.2.3", "1.3.0", False),
        (Change.BREAKING, "1.2.3", "1.3.0", False),
        (Change.BREAKING, "1.2.3", "2.0.0", True),
        (Change.WORDS, "0.2.3", "0.2.4", True),
        (Change.ADDITION, "0.2.3", "0.2.3", False),
        (Change.ADDITION, "0.2.3", "0.2.4", True),
        (Change.UNDECIDED, "0.2.3", "0.2.4", False),
        (Change.BREAKING, "0.2.3", "0.2.4", False),
        (Change.BREAKING, "0.2.3", "0.3.0", True),
        (Change.BREAKING, "0.2.3", "1.0.0", True),
    ],
)
def test_version_steps_as_semver_says(
    change: Change, old: str, new: str, *, in_order: bool
) -> None:
    """A break needs a major step and an addition a minor one; before 1.0, one level less."""
    base, head = (Contract({"info": {"version": version}}, "", "") for version in (old, new))
    found = [Finding(change, "place", "what")] if change else []
    result = findings.make_verdict(base, head, found, [])
    assert result.in_order is in_order
    needed = Contract({"info": {"version": ".".join(map(str, result.least))}}, "", "")
    assert findings.make_verdict(base, needed, found, []).in_order


@pytest.mark.usefixtures("wire_only")
def test_a_version_that_is_high_enough_passes(tmp_path: Path, compat: Compat) -> None:
    """The command exits with 0 and says that the version is OK."""
    done = compat("--base", "openapi.yaml", "--head", write(tmp_path, FIELD, stepped("99.0.0")))
    assert done.returncode == 0
    assert "Version OK: expected " in done.stdout


def test_text_shows_the_request_that_breaks_and_the_fix(tmp_path: Path, compat: Compat) -> None:
    """The text names the field, a request that the new version refuses, and the version needed."""
    head = write(tmp_path, NARROW, stepped("0.0.1"))
    done = compat("--base", "openapi.yaml", "--head", head)
    assert done.stdout.startswith(f"{VERSION} (openapi.yaml) → 0.0.1 (")
    assert "field name: refuses values that were valid (maxLength: 255 → 100)" in done.stdout
    assert f"Valid in {VERSION}, refused in 0.0.1:\n      PUT /ai/llm/{{id}}\n" in done.stdout
    assert '      {"name": "a" × 101}' in done.stdout
    assert "Version too low: expected " in done.stdout
    assert done.returncode == 1


@pytest.mark.usefixtures("wire_only")
def test_markdown_keeps_every_character_of_the_contract(tmp_path: Path, compat: Compat) -> None:
    """Text from the contracts is in code spans, so that Markdown does not interpret it."""
    field = (FIELD[0], FIELD[1].replace("zzField", "'__zz__ `@type` *b*'"))
    head = write(tmp_path, NARROW, field)
    done = compat("--base", "openapi.yaml", "--head", head, "--format", "markdown")
    assert done.stdout.startswith(f"### ❌ `{VERSION} (openapi.yaml) → {VERSION} (")
    assert "**Breaking**" in done.stdout
    assert "  ```text\n" in done.stdout
    assert "``PUT /ai/llm/{id}, body, field __zz__ `@type` *b*``" in done.stdout


@pytest.mark.usefixtures("wire_only")
def test_github_annotations_are_one_line_each(tmp_path: Path, compat: Compat) -> None:
    """Each finding and the result are one line, with file, title and encoded line breaks."""
    head = write(tmp_path, NARROW, FIELD)
    done = compat("--base", "openapi.yaml", "--head", head, "--format", "github")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"::error file={head},title=breaking%3A PUT /ai/llm/{{id}}%2C body")
    assert "%0A" in lines[0]
    assert all(re.match(r"::(error|warning|notice) file=", line) for line in lines)
    assert lines[-1].startswith("::error")
    assert "Version too low" in lines[-1]


def test_without_a_client_python_is_not_compared(tmp_path: Path, compat: Compat) -> None:
    """The result says why the Python interface was not compared, and a second run prints the same.

    The ids of the findings have to be the same in every run.
    """
    body = "        content:\n          application/json:\n            schema:\n"
    head = write(tmp_path, (body, body.replace("json", "xml")), NARROW)
    first, second = (compat("--base", "openapi.yaml", "--head", head) for _ in range(2))
    assert "Python: not compared (no client of the new contract: " in first.stdout
    assert "    finding " in first.stdout
    assert first.stdout == second.stdout
    assert first.returncode == 1


@pytest.mark.usefixtures("wire_only")
def test_a_removed_status_has_a_heading(tmp_path: Path, compat: Compat) -> None:
    """A removed response has its own heading, not `Additions`."""
    status = "        '429':\n          $ref: '#/components/responses/TooManyRequests'\n"
    done = compat("--base", "openapi.yaml", "--head", write(tmp_path, (status, "")))
    assert "Removed responses\n  PUT /ai/llm/{id}, response 429" in done.stdout


def test_base_is_the_newest_release(clone: Path, judged: Judged) -> None:
    """The default base is the highest release in the history, even if a lower one is newer."""
    for version in ("1.2.0", "1.10.0", "1.9.0"):
        commit(clone, stepped(version))
        git(clone, "tag", f"v{version}")
    commit(clone, FIELD, stepped("1.11.0"))
    report = judged()
    assert report["base"]["source"] == "v1.10.0"
    assert (report["found"], report["in_order"]) == ("addition", True)


def test_a_version_collects_several_commits(clone: Path, judged: Judged) -> None:
    """Several commits of an unreleased version are all compared with the last release."""
    git(clone, "tag", "v1.2.0")
    commit(clone, FIELD, stepped("2.0.0"))
    write(clone, FIELD, NARROW, stepped("2.0.0"))
    report = judged()
    assert report["base"]["source"] == "v1.2.0"
    assert (report["found"], report["in_order"]) == ("breaking", True)


def test_without_a_release_the_base_is_the_version_before(clone: Path, judged: Judged) -> None:
    """Without a release, the default base is the last commit of another version."""
    commit(clone, FIELD, stepped("2.0.0"))
    commit(clone, FIELD, WORDS, stepped("2.0.0"))
    write(clone, FIELD, NARROW, stepped("2.0.0"))
    report = judged()
    assert report["base"]["version"] == "1.2.0"
    assert (report["found"], report["in_order"]) == ("breaking", True)


def test_without_history_there_is_nothing_to_compare(
    clone: Path, compat: Compat, tmp_path: Path
) -> None:
    """The command says why there is no base: first version, shallow clone or no git checkout."""
    assert "it is the first version" in compat(at=clone).stdout
    git(clone, "commit", "--allow-empty", "-qm", "Something else")
    shallow = tmp_path / "shallow"
    git(clone, "clone", "-q", "--depth", "1", f"file://{clone}", str(shallow))
    assert "git fetch --unshallow --tags" in compat(at=shallow).stdout
    shutil.rmtree(shallow / ".git")
    assert "this is not a git checkout" in compat(at=shallow).stdout


def test_a_decision_counts_while_its_finding_exists(
    clone: Path, judged: Judged, compat: Compat
) -> None:
    """An entry of compat.yaml replaces a verdict; an entry without a finding is an error."""
    write(clone, NARROW, stepped("1.2.1"))
    ids = [found["id"] for found in judged()["findings"] if found["change"] == "breaking"]
    entry = f"- {{finding: '{ids[0]}', verdict: words, reason: None is sent., date: 2026-01-31}}"
    (clone / "compat.yaml").write_text(entry, "utf-8")
    assert (judged()["found"], judged()["in_order"]) == ("words", True)
    assert "Decided on 2026-01-31: words. None is sent." in compat(at=clone).stdout
    write(clone, stepped("1.2.1"))
    assert (judged()["stale"], judged()["in_order"]) == (ids, False)
    assert "delete the entry" in compat(at=clone).stdout


@pytest.mark.parametrize(
    "text",
    [
        "- {finding: a, verdict: fine, reason: r, date: 2026-01-31}",
        "- {finding: a, verdict: words, reason: '', date: 2026-01-31}",
        "- {finding: a, verdict: words, reason: r, date: soon}",
        "- {finding: a}",
        "- [",
    ],
)
def test_a_decision_needs_reason_and_date(tmp_path: Path, compat: Compat, text: str) -> None:
    """The command exits with 2 if an entry of compat.yaml is incomplete or invalid."""
    (tmp_path / "compat.yaml").write_text(text, "utf-8")
    done = compat("--base", "openapi.yaml", "--head", write(tmp_path))
    assert "compat.yaml" in done.stderr
    assert "fix it" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("openapi: 3.1.0", "openapi: 3.0.3"), "convert it to 3.1"),
        (("openapi: 3.1.0", "swagger: '2.0'"), "not an OpenAPI 3 document"),
        (("openapi: 3.1.0", "openapi: ["), "not valid YAML"),
        ((f"version: {VERSION}", "version: tomorrow"), "MAJOR.MINOR.PATCH"),
        ((f"  version: {VERSION}\n", ""), "info.version"),
        ((SCHEMA, "'#/components/schemas/AiTypo'"), "points to nothing"),
        ((SCHEMA, "other.yaml#/AiType"), "bundle"),
        (("title: AiType\n", "minLength: short\n"), "body: not a valid JSON Schema 2020-12"),
        (("operationId:", "operation:"), "not valid OpenAPI 3.1"),
        (("        - BearerAuth: []", "        - Bearer: []"), "'Bearer'"),
    ],
)
def test_an_unusable_contract_is_named_with_the_fix(
    tmp_path: Path, compat: Compat, edit: tuple[str, str], message: str
) -> None:
    """The command prints one line that names the problem, and exits with 2."""
    done = compat("--base", "openapi.yaml", "--head", write(tmp_path, edit))
    assert message in done.stderr
    assert done.stderr.startswith("scripts/compat: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "no-such-thing"], "neither a file nor a git reference"),
        (["--base=--output=no-such-file"], "neither a file nor a git reference"),
        (["--base", "HEAD:pyproject.toml"], "not"),
        (["--head", "no-such-file.yaml"], "cannot be read"),
    ],
)
def test_a_missing_contract_is_named(compat: Compat, arguments: list[str], message: str) -> None:
    """The command exits with 2 if a file or a git reference does not exist."""
    done = compat(*arguments)
    assert message in done.stderr
    assert done.returncode == 2


def test_six_breaks_take_less_than_four_seconds(tmp_path: Path, compat: Compat) -> None:
    """Six breaks in parameters, fields, enum, response and security take less than 4 s of CPU."""
    edits = [
        NARROW,
        ("maxLength: 255\n          example", "maxLength: 9\n          example"),
        ("          maxLength: 2048", "          maxLength: 99"),
        ("enum: [OPENAI, ", "enum: ["),
        ("          const: true", "          const: false"),
        ("      scheme: bearer", "      scheme: basic"),
    ]
    started = time.process_time()
    done = compat("--base", "openapi.yaml", "--head", write(tmp_path, *edits), "--format", "json")
    wire = [found for found in json.loads(done.stdout)["findings"] if found["part"] == "wire"]
    assert len([found for found in wire if found["change"] == "breaking"]) == len(edits)
    assert time.process_time() - started < 4
