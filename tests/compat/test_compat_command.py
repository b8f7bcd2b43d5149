"""The command as it is run: what it compares by default, what it says, how it exits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import compat as command
from scripts.compatibility import documents

ROOT = Path(__file__).parents[2]
GIT = {
    f"GIT_{who}_{what}": "a@b.example"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}
Edit = list[tuple[str, str]]
Compat = Callable[..., subprocess.CompletedProcess[str]]
Judged = Callable[[], dict[str, Any]]
NARROW = ("maxLength: 255\n          pattern", "maxLength: 100\n          pattern")
FIELD = (
    "        secret:\n          type: string",
    "        region: {type: string}\n        secret:\n          type: string",
)
WORDS = ("title: Flashback AI LLM API", "title: Flashback API")
CONTRACT = (ROOT / "openapi.yaml").read_text("utf-8")
VERSION = yaml.safe_load(CONTRACT)["info"]["version"]
SCHEMA = "'#/components/schemas/AiType'"
HEADER = "'#/components/headers/WwwAuthenticate'"


def stepped(version: str) -> tuple[str, str]:
    """The edit of the version."""
    return (
        f"version: {json.loads(json.dumps(yaml.safe_load(CONTRACT)['info']['version']))}",
        f"version: {version}",
    )


def edited(*edits: tuple[str, str]) -> str:
    """The contract with the edits made."""
    text = CONTRACT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with one commit, of a contract."""
    shutil.copytree(
        ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "openapi.yaml").write_text(edited(stepped("1.2.0")), "utf-8")
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    """Runs git there, whatever the machine's own settings are."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **GIT, **settings})


def commit(folder: Path) -> None:
    """Commits all that is there."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Contract")


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compat:
    """The command in this process, which saves a second a time, on this or another repository."""

    def call(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["compat", *arguments])
        for module in (command, documents):
            monkeypatch.setattr(module, "ROOT", at)
        monkeypatch.chdir(at)
        status = command.main()
        told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, told.out, told.err)

    return call


@pytest.fixture
def judged(compat: Compat, clone: Path) -> Judged:
    """What the command says of the clone, as JSON."""

    def call() -> dict[str, Any]:
        done = compat("--format", "json", at=clone)
        told: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if told["in_order"] else 1)
        return told

    return call


def write(folder: Path, *edits: tuple[str, str]) -> Path:
    """Another contract beside the one of the repository."""
    path = folder / "head.yaml"
    path.write_text(edited(*edits), "utf-8")
    return path


@pytest.mark.parametrize(
    ("edits", "version", "verdict"),
    [
        ([], "1.2.3", ("none", True)),
        ([], "1.2.2", ("none", False)),
        ([WORDS], "1.2.3", ("words", False)),
        ([WORDS], "1.2.4", ("words", True)),
        ([FIELD], "1.2.4", ("addition", False)),
        ([FIELD], "1.3.0", ("addition", True)),
        ([NARROW], "1.3.0", ("breaking", False)),
        ([NARROW], "2.0.0", ("breaking", True)),
        ([WORDS], "2.0.0", ("words", True)),
    ],
)
def test_version_steps_as_far_as_the_change_goes(
    tmp_path: Path, compat: Compat, edits: Edit, version: str, verdict: tuple[str, bool]
) -> None:
    """Words need a patch step, additions a minor one, breaks a major one; larger is fine."""
    base, head = tmp_path / "base.yaml", write(tmp_path, *edits, stepped(version))
    base.write_text(edited(stepped("1.2.3")), "utf-8")
    done = compat("--base", str(base), "--head", str(head), "--format", "json")
    told = json.loads(done.stdout)
    assert (told["found"], told["in_order"]) == verdict
    assert done.returncode == (0 if told["in_order"] else 1)


def test_people_see_the_request_that_breaks(tmp_path: Path, compat: Compat) -> None:
    """The witness is a whole request, with the versions that take and refuse it, and the cure."""
    head = write(tmp_path, NARROW, stepped("99.0.0"))
    done = compat("--base", "openapi.yaml", "--head", str(head))
    assert f"This request was valid in {VERSION}, 99.0.0 answers 400:" in done.stdout
    assert '      {"name": "a" × 101}' in done.stdout
    assert "      PUT /ai/llm/550e8400-e29b-41d4-a716-446655440000\n" in done.stdout
    assert "a major step is due" in done.stdout


def test_markdown_is_for_pull_requests(tmp_path: Path, compat: Compat) -> None:
    """A title, the verdict, and what shows it as a block of code."""
    head = write(tmp_path, NARROW)
    done = compat("--base", "openapi.yaml", "--head", str(head), "--format", "markdown")
    assert done.stdout.startswith(f"### ❌ {VERSION} (openapi.yaml) → {VERSION} (")
    assert "**Breaking**" in done.stdout
    assert "  ```text\n" in done.stdout


def test_base_is_the_newest_release(clone: Path, judged: Judged) -> None:
    """Of all release tags in the history the highest version counts, whatever came after it."""
    for version in ("1.2.0", "1.10.0", "1.9.0"):
        (clone / "openapi.yaml").write_text(edited(stepped(version)), "utf-8")
        git(clone, "commit", "--allow-empty", "-qam", "Release")
        git(clone, "tag", f"v{version}")
    (clone / "openapi.yaml").write_text(edited(FIELD, stepped("1.11.0")), "utf-8")
    commit(clone)
    told = judged()
    assert told["base"]["source"] == "v1.10.0"
    assert (told["found"], told["in_order"]) == ("addition", True)


def test_without_a_release_the_base_is_the_version_before(clone: Path, judged: Judged) -> None:
    """An edit is held against the last commit, a committed edit against the commit before."""
    (clone / "openapi.yaml").write_text(edited(FIELD, stepped("1.2.0")), "utf-8")
    assert (judged()["found"], judged()["due"]) == ("addition", "minor")
    commit(clone)
    git(clone, "commit", "--allow-empty", "-qm", "Something else")
    assert judged()["found"] == "addition"


def test_words_of_a_version_that_is_no_release_need_no_step(clone: Path, judged: Judged) -> None:
    """What was not released yet may be said better."""
    (clone / "openapi.yaml").write_text(edited(WORDS, stepped("1.2.0")), "utf-8")
    assert (judged()["found"], judged()["in_order"]) == ("words", True)


def test_without_history_there_is_nothing_to_compare(
    clone: Path, compat: Compat, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A first version, a shallow clone and an unpacked archive are in order, and say why."""
    assert "it is the first version" in compat(at=clone).stdout
    git(clone, "commit", "--allow-empty", "-qm", "Something else")
    shallow = tmp_path_factory.mktemp("shallow") / "clone"
    git(clone, "clone", "-q", "--depth", "1", f"file://{clone}", str(shallow))
    assert "git fetch --unshallow --tags" in compat(at=shallow).stdout
    shutil.rmtree(shallow / ".git")
    assert "this is no git checkout" in compat(at=shallow).stdout


def test_a_humans_word_is_heard_while_its_finding_lasts(
    clone: Path, judged: Judged, compat: Compat
) -> None:
    """An entry turns a finding into what it says; when the finding is gone, the entry must go."""
    (clone / "openapi.yaml").write_text(edited(NARROW, stepped("1.2.1")), "utf-8")
    ids = [each["id"] for each in judged()["findings"] if each["change"] == "breaking"]
    word = [
        {"finding": ids[0], "verdict": "words", "reason": "nobody has one", "date": "2026-01-31"}
    ]
    text = yaml.safe_dump(word).replace("'2026-01-31'", "2026-01-31")
    (clone / "compat.yaml").write_text(text, "utf-8")
    assert (judged()["found"], judged()["in_order"]) == ("words", True)
    assert "A human's word of 2026-01-31: words, since nobody has one" in compat(at=clone).stdout
    (clone / "openapi.yaml").write_text(edited(stepped("1.2.1")), "utf-8")
    assert (judged()["stale"], judged()["in_order"]) == (ids, False)
    assert "delete it" in compat(at=clone).stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {finding: a, verdict: fine, reason: r, date: 2026-01-31}", "verdict is one of"),
        ("- {finding: a, verdict: words, reason: '', date: 2026-01-31}", "a reason"),
        ("- {finding: a, verdict: words, reason: r, date: soon}", "a date"),
        ("- {finding: a}", "verdict, reason and date"),
        ("- [", "mend it"),
    ],
)
def test_a_word_needs_reason_and_date(tmp_path: Path, compat: Compat, text: str, told: str) -> None:
    """An entry that says less than why and when is refused."""
    (tmp_path / "compat.yaml").write_text(text, "utf-8")
    done = compat("--base", "openapi.yaml", "--head", str(write(tmp_path)))
    assert told in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (("openapi: 3.1.0", "openapi: 3.0.3"), "convert it to 3.1"),
        (("openapi: 3.1.0", "swagger: '2.0'"), "no OpenAPI 3 document"),
        (("openapi: 3.1.0", "openapi: ["), "no YAML"),
        ((f"version: {VERSION}", "version: tomorrow"), "MAJOR.MINOR.PATCH"),
        ((f"  version: {VERSION}\n", ""), "info.version"),
        ((SCHEMA, "'#/components/schemas/AiTypo'"), "leads nowhere"),
        ((SCHEMA, "other.yaml#/AiType"), "bundle it"),
        (("    AiType:\n", f"    AiType:\n      allOf: [{{$ref: {SCHEMA}}}]\n"), "made of itself"),
        (("    AiType:\n", f"    AiType:\n      $ref: {SCHEMA}\n"), "in a circle"),
        (("title: AiType\n", "minLength: short\n"), "no JSON Schema 2020-12"),
        (("operationId:", "operation:"), "not as OpenAPI 3.1 has it"),
        (("        - BearerAuth: []", "        - Bearer: []"), "'Bearer'"),
    ],
)
def test_what_cannot_be_compared_is_told_with_the_cure(
    tmp_path: Path, compat: Compat, edit: tuple[str, str], told: str
) -> None:
    """No trace: one message that names the thing and what to do, and status 2."""
    done = compat("--base", "openapi.yaml", "--head", str(write(tmp_path, edit)))
    assert told in done.stderr
    assert done.stderr.startswith("scripts/compat: ")
    assert len(done.stderr.splitlines()) < 10
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--base", "no-such-thing"], "neither a file nor a reference"),
        (["--base", "HEAD:README.md"], "no"),
        (["--head", "no-such-file.yaml"], "cannot be read"),
    ],
)
def test_what_cannot_be_found_is_named(compat: Compat, arguments: list[str], told: str) -> None:
    """A file or reference that is not there is no comparison."""
    done = compat(*arguments)
    assert told in done.stderr
    assert done.returncode == 2
