"""Tests for the examples, links and paths in the documentation."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flashback_mock import Mock


def code_blocks(root: Path, language: str) -> list[str]:
    """Return the README's code blocks in this language."""
    return re.findall(rf"(?s)```{language}\n(.*?)```", (root / "README.md").read_text("utf-8"))


def pages(root: Path) -> list[Path]:
    """Return the Markdown files in the root, docs/ and .github/."""
    return [*root.glob("*.md"), *(root / "docs").glob("*.md"), *(root / ".github").glob("*.md")]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates from the headings on a page."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text("utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_client_example_rotates_the_secret(root: Path, mock: Mock) -> None:
    """The README's client example rotates the secret without an error."""
    variables = {
        "FLASHBACK_BASE_URL": mock.base_url,
        "FLASHBACK_TOKEN": mock.tokens["owner"],
        "NEW_SECRET": "rotated-by-the-readme",
    }
    completed = subprocess.run(
        [sys.executable, "-c", code_blocks(root, "python")[0]],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "updated\n", "")
    assert mock.reveals(mock.ids["main"], secret="rotated-by-the-readme")


def test_example_tests_pass(root: Path, tmp_path: Path) -> None:
    """The example tests in the README pass."""
    (tmp_path / "test_readme.py").write_text(code_blocks(root, "python")[1], "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in completed.stdout, completed.stdout + completed.stderr


def test_example_promise_and_fault_are_copies(root: Path) -> None:
    """The promise and the fault in docs/changing-the-contract.md are the same as in the tests."""
    page = (root / "docs" / "changing-the-contract.md").read_text("utf-8")
    promise, fault, field_faults = re.findall(r"(?s)```python\n(.*?)```", page)
    assert promise in (root / "tests" / "contract" / "test_access.py").read_text("utf-8")
    assert fault in (root / "tests" / "faults" / "access.py").read_text("utf-8")
    assert field_faults in (root / "tests" / "test_changes.py").read_text("utf-8")


@pytest.mark.usefixtures("curl")
def test_curl_example_updates_the_mock(root: Path, mock: Mock) -> None:
    """The curl command in the README updates a configuration in the mock."""
    example = next(text for text in code_blocks(root, "sh") if text.startswith("curl "))
    command = ["/bin/sh", "-c", example.replace("http://127.0.0.1:4010", mock.base_url)]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '"success":true' in completed.stdout
    assert mock.configuration(mock.ids["main"])["name"] == "Updated OpenAI Config"


def test_relative_links_are_valid(root: Path) -> None:
    """Every relative link points to an existing file and, if it has an anchor, to a heading."""
    for page in pages(root):
        links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8"))
        for target, anchor in links:
            file = page.parent / target if target else page
            link = f"{page.relative_to(root)}: link to {target}#{anchor}"
            assert file.exists(), f"{link}: the file does not exist"
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file), f"{link}: the file has no such heading"


def test_paths_in_the_docs_exist(root: Path) -> None:
    """Files, folders and commands that the docs mention exist. The commands are executable."""
    folders = "docs|examples|generated|mock|runtime|scripts|tests"
    for page in pages(root):
        if page.name == "CHANGELOG.md":  # The changelog mentions files from earlier versions.
            continue
        # Skip Python examples, because they mention files in the reader's own project.
        text = re.sub(r"(?s)```python\n.*?```", "", page.read_text("utf-8"))
        for name in re.findall(rf"(?<![\w/.$])(?:\./)?((?:{folders})/[\w./*-]+)", text):
            matches = list(root.glob(name.rstrip("./")))
            assert matches, f"{page.relative_to(root)}: {name} does not exist"
            if re.fullmatch("scripts/[a-z]+", name) and matches[0].is_file():
                assert os.access(matches[0], os.X_OK), f"{name} is not executable"
