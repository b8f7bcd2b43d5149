"""Tests for verdicts on changes that affect callers of the Python client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
import pytest
import yaml

from scripts.compatibility import python_interface
from tests.compat.edits import contract, edited, worst

if TYPE_CHECKING:
    from scripts.documents import Contract

Edits = list[dict[str, Any]]
ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
PATH = "/paths/~1ai~1llm~1{id}"
OPERATION = f"{PATH}/put"
BODY = f"{OPERATION}/requestBody/content"
SCHEMAS = "/components/schemas"
FIELDS = f"{SCHEMAS}/UpdateAiLlmRequest/properties"
QUERY = {"name": "zzDryRun", "in": "query", "schema": {"type": "boolean"}}
TEAPOT = {"$ref": "#/components/responses/Forbidden"}
# Each case consists of edits, the expected verdict on the edits, the expected verdict on reversing
# them, and texts that the findings for the edits must contain.
CASES: dict[str, tuple[Edits, str, str, list[str]]] = {
    "additions": (
        [
            {"at": f"{OPERATION}/parameters/-", "set": QUERY},
            {"at": f"{FIELDS}/zzField", "set": {"type": "string"}},
            {"at": f"{SCHEMAS}/AiType/enum/-", "set": "ZZ_MEMBER"},
            {"at": f"{OPERATION}/responses/418", "set": TEAPOT},
        ],
        *("none", "breaking", []),
    ),
    "a different operation name": (
        [{"at": f"{OPERATION}/operationId", "set": "zz"}],
        *("breaking", "breaking", ["update_ai_llm"]),
    ),
    "another type": (
        [{"at": f"{FIELDS}/key", "set": {"type": "integer"}}],
        *("breaking", "breaking", ["key: "]),
    ),
    "a newly required field": (
        [{"at": f"{SCHEMAS}/UpdateAiLlmRequest/required", "set": ["name"]}],
        *("breaking", "none", ["Parameter is now required (name)"]),
    ),
    "a different name for the path parameter": (
        [
            {"at": f"{OPERATION}/parameters/0/name", "set": "llm"},
            {"at": PATH, "move": "/paths/~1ai~1llm~1{llm}"},
        ],
        *("breaking", "breaking", ["(id"]),
    ),
    "a required parameter": (
        [{"at": f"{OPERATION}/parameters/-", "set": {**QUERY, "required": True}}],
        *("breaking", "breaking", ["zz_dry_run"]),
    ),
    "a response field with a different Python type": (
        [{"at": f"{SCHEMAS}/UpdateAiLlmResponse/properties/aiLlmId/format", "set": "uuid"}],
        *("breaking", "breaking", ["UUID"]),
    ),
    "changes that do not affect types": (
        [
            {"at": f"{FIELDS}/key/maxLength", "set": 9},
            {"at": f"{SCHEMAS}/AiType/description", "set": "Else."},
            {
                "at": f"{SCHEMAS}/AiType/enum",
                "set": CONTRACT["components"]["schemas"]["AiType"]["enum"][::-1],
            },
        ],
        *("none", "none", []),
    ),
}


def edited_contract(edits: Edits) -> Contract:
    """Return an edited copy of the contract."""
    document = edited(CONTRACT, edits)
    return contract(document, yaml.safe_dump(document))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the client generated from the unchanged contract."""
    return python_interface.load_client(
        edited_contract([]), tmp_path_factory.mktemp("client") / "client"
    )


@pytest.mark.parametrize(("edits", "there", "back", "mentioned"), CASES.values(), ids=CASES)
def test_verdict_is_correct_in_both_directions(  # noqa: PLR0913, PLR0917 # columns of a table
    client: Any, tmp_path: Path, edits: Edits, there: str, back: str, mentioned: list[str]
) -> None:
    """Changes that force callers to adapt are reported as breaking; optional additions are not."""
    head = python_interface.load_client(edited_contract(edits), tmp_path / "head")
    assert isinstance(head, griffe.Object)
    assert (_verdict(client, head), _verdict(head, client)) == (there, back)
    findings = python_interface.compare_packages(client, head)
    text = "\n".join(f"{finding.place}: {finding.what}" for finding in findings)
    for word in mentioned:
        assert word in text


def test_verdict_without_a_client_is_undecided() -> None:
    """If no client can be generated from the new contract, the verdict is undecided."""
    supported = edited_contract([])
    text = {"text/plain": {"schema": {"type": "string"}}}
    unsupported = edited_contract([{"at": BODY, "set": text}])
    findings, reason = python_interface.compare(supported, unsupported)
    assert worst(findings).word == "undecided"
    assert reason.startswith("no client for the new contract: openapi.yaml contains unsupported")
    findings, reason = python_interface.compare(unsupported, supported)
    assert not findings
    assert reason.startswith("no client for the old contract: openapi.yaml contains unsupported")


def test_report_gives_the_reason_for_a_generator_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report says why the generator crashed, without temporary paths or memory addresses."""

    def crash(source: Path, _output: Path) -> Path:
        raise KeyError(str(source), object())

    monkeypatch.setattr(python_interface, "generate", crash)
    findings, reason = python_interface.compare(edited_contract([]), edited_contract([]))
    assert not findings
    assert reason == "no client for the new contract: KeyError: ('openapi.yaml', <object object>)"


def test_types_and_base_classes_are_compared(tmp_path: Path) -> None:
    """Narrower parameter types, wider return types and removed base classes are breaking."""
    changes = {
        "def f(a: int | str) -> int: ...": "none",
        "def f(a: float | None) -> int: ...": "none",  # an int is valid where a float is expected
        "def f(a: list[str | float | None]) -> int: ...": "breaking",
        "def f(a: bool) -> int: ...": "breaking",
        "def f(a: int) -> int | None: ...": "breaking",
        "def f(a: int) -> int: ...\nclass E(KeyError): ...": "breaking",
    }
    old = "def f(a: int) -> int: ...\nclass E(ValueError): ..."
    for number, (new, expected) in enumerate(changes.items()):
        base = _package(tmp_path / f"{number}base", old)
        head = _package(tmp_path / f"{number}head", new)
        assert _verdict(base, head) == expected


def _package(folder: Path, text: str) -> Any:
    folder.mkdir()
    text = text if "class E" in text else f"{text}\nclass E(ValueError): ..."
    (folder / "zz_package.py").write_text(text, "utf-8")
    return griffe.load("zz_package", search_paths=[folder], allow_inspection=False)


def _verdict(base: Any, head: Any) -> str:
    return worst(python_interface.compare_packages(base, head)).word


def test_names_from_the_runtime_are_compared() -> None:
    """The Python interface includes names that the client imports from the runtime."""
    package = python_interface.load_package(ROOT / "generated")
    assert "FlashbackClient" in package.all_members
    ours: list[griffe.Alias] = []
    for member in package.members.values():
        if isinstance(member, griffe.Alias) and member.target_path.startswith("flashback_"):
            ours.append(member)
            assert member.resolved
    assert ours
