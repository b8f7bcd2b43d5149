"""Tests for the examples, links and paths in the documentation."""

import os
import re
import sys
from pathlib import Path

import pytest

from flashback_mock import Mock
from tests.programs import run


def code_blocks(page: Path) -> list[str]:
    """Return the Python examples on a page."""
    return re.findall(r"(?s)```python\n(.*?)```", page.read_text("utf-8"))


def pages(root: Path) -> list[Path]:
    """Return the Markdown files in the root folder, docs/ and .github/."""
    return [*root.glob("*.md"), *(root / "docs").glob("*.md"), *(root / ".github").glob("*.md")]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates from the headings on a page."""
    found: set[str] = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", page.read_text("utf-8")):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def test_client_example_rotates_the_secret(root: Path, mock: Mock) -> None:
    """The README's client example rotates the secret without an error."""
    variables = {
        "FLASHBACK_BASE_URL": mock.base_url,
        "FLASHBACK_TOKEN": mock.tokens["owner"],
        "NEW_SECRET": "rotated-by-the-readme",
    }
    example = code_blocks(root / "README.md")[0]
    assert run(sys.executable, "-c", example, variables=variables) == "updated\n"
    assert mock.reveals(mock.ids["main"], secret="rotated-by-the-readme")


def test_example_tests_pass(root: Path, tmp_path: Path) -> None:
    """The example tests in the README and in docs/mock.md pass."""
    for page in (root / "README.md", root / "docs" / "mock.md"):
        example = code_blocks(page)[1]
        (tmp_path / f"test_{page.stem}.py").write_text(example, "utf-8")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "flashback_mock.pytest_plugin")
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # loading all plugins would take longer
    output = run(*command, cwd=tmp_path, variables=variables)
    assert "3 passed" in output


def test_example_promise_and_fault_match_the_tests(root: Path) -> None:
    """The promise and the fault in docs/changing-the-contract.md are the same as in the tests."""
    promise, fault, field_faults = code_blocks(root / "docs" / "changing-the-contract.md")
    assert promise in (root / "tests" / "contract" / "test_access.py").read_text("utf-8")
    assert fault in (root / "tests" / "faults" / "access.py").read_text("utf-8")
    assert field_faults in (root / "tests" / "test_changes.py").read_text("utf-8")


@pytest.mark.usefixtures("curl")
def test_curl_example_updates_the_mock(root: Path, mock: Mock) -> None:
    """The curl command in the README updates a configuration in the mock."""
    [example] = re.findall("(?s)```sh\n(curl .*?)```", (root / "README.md").read_text("utf-8"))
    command = example.replace("http://127.0.0.1:4010", mock.base_url)
    assert '"success":true' in run("/bin/sh", "-c", command)
    assert mock.configuration(mock.ids["main"])["name"] == "Updated OpenAI Config"


def test_relative_links_are_valid(root: Path) -> None:
    """Every relative link points to an existing file and, if it has an anchor, to a heading."""
    for page in pages(root):
        links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8"))
        for target, anchor in links:
            file = page.parent / (target or page.name)
            link = f"{page.relative_to(root)}: link to {target}#{anchor}"
            assert file.exists(), f"{link}: the file does not exist"
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file), f"{link}: the file has no such heading"


def test_paths_in_the_docs_exist(root: Path) -> None:
    """The docs mention only files, folders and commands that exist. The commands are executable."""
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
