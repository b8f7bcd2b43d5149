"""The examples in the docs work, and every link and path leads somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flashback_mock import Mock


def code_blocks(root: Path, language: str) -> list[str]:
    """Return the README's code blocks in a language."""
    return re.findall(rf"(?s)```{language}\n(.*?)```", (root / "README.md").read_text("utf-8"))


def pages(root: Path) -> list[Path]:
    """Return the Markdown pages of the repository."""
    return [*root.glob("*.md"), *(root / "docs").glob("*.md"), *(root / ".github").glob("*.md")]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub creates for the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text("utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_client_example_rotates_the_secret(root: Path, mock: Mock) -> None:
    """The client example in the README rotates the secret."""
    variables = {
        "FLASHBACK_BASE_URL": mock.base_url,
        "FLASHBACK_TOKEN": mock.tokens["owner"],
        "NEW_SECRET": "rotated-by-the-readme",
    }
    done = subprocess.run(
        [sys.executable, "-c", code_blocks(root, "python")[0]],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert mock.reveals(mock.ids["main"], secret="rotated-by-the-readme")


def test_test_example_passes(root: Path, tmp_path: Path) -> None:
    """The example of a test in the README passes."""
    (tmp_path / "test_readme.py").write_text(code_blocks(root, "python")[1], "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_examples_of_a_promise_and_a_fault_exist(root: Path) -> None:
    """The example of a promise and of a fault are copies of real ones."""
    page = (root / "docs" / "changing-the-contract.md").read_text("utf-8")
    promise, fault = re.findall(r"(?s)```python\n(.*?)```", page)
    assert promise in (root / "tests" / "contract" / "test_access.py").read_text("utf-8")
    assert fault in (root / "tests" / "faults" / "access.py").read_text("utf-8")


@pytest.mark.usefixtures("curl")
def test_curl_example_updates_the_mock(root: Path, mock: Mock) -> None:
    """The curl line in the README updates the configuration."""
    example = next(text for text in code_blocks(root, "sh") if text.startswith("curl "))
    line = example.replace("http://127.0.0.1:4010", mock.base_url)
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert '"success":true' in done.stdout
    assert mock.configuration(mock.ids["main"])["name"] == "Updated OpenAI Config"


def test_relative_links_lead_to_files_and_headings(root: Path) -> None:
    """Every relative link leads to a file, and every anchor to a heading in it."""
    for page in pages(root):
        for target, anchor in re.findall(
            r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8")
        ):
            file = page.parent / target if target else page
            where = f"{page.relative_to(root)}: link to {target}#{anchor}"
            assert file.exists(), f"{where}: no such file"
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file), f"{where}: no such heading"


def test_paths_in_the_docs_exist(root: Path) -> None:
    """Every file, folder and command in the docs exists, and every command is executable."""
    folders = "docs|examples|generated|mock|runtime|scripts|tests"
    for page in pages(root):
        if page.name == "CHANGELOG.md":  # names files of earlier versions
            continue
        text = re.sub(r"(?s)```python\n.*?```", "", page.read_text("utf-8"))  # a user's own files
        for name in re.findall(rf"(?<![\w/.$])(?:\./)?((?:{folders})/[\w./*-]+)", text):
            found = list(root.glob(name.rstrip("./")))
            assert found, f"{page.relative_to(root)}: {name} does not exist"
            if re.fullmatch("scripts/[a-z]+", name) and found[0].is_file():
                assert os.access(found[0], os.X_OK), f"{name} is not executable"


def test_docs_name_the_version_of_the_contract(root: Path) -> None:
    """The README and the release steps name the version of the contract."""
    version = re.search(r"(?m)^  version: (\S+)$", (root / "openapi.yaml").read_text("utf-8"))
    assert version
    assert f"version {version[1]} " in (root / "README.md").read_text("utf-8")
    contributing = (root / ".github" / "CONTRIBUTING.md").read_text("utf-8")
    assert set(re.findall(r"v(\d+\.\d+\.\d+)", contributing)) == {version[1]}
