"""The Python interface: what a change of the contract means to callers of the client."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
import pytest
import yaml

from scripts.compatibility import python_interface
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
PATH = "/ai/llm/{id}"


def operation(contract: dict[str, Any]) -> dict[str, Any]:
    """Return the only operation."""
    found: dict[str, Any] = contract["paths"][PATH]["put"]
    return found


def model(contract: dict[str, Any], name: str = "UpdateAiLlmRequest") -> dict[str, Any]:
    """Return a schema of the contract."""
    found: dict[str, Any] = contract["components"]["schemas"][name]
    return found


def add_query(contract: dict[str, Any], *, required: bool) -> None:
    """Add a query parameter."""
    parameter = {"name": "zzDryRun", "in": "query", "required": required}
    operation(contract)["parameters"].append({**parameter, "schema": {"type": "boolean"}})


def rename_path_parameter(contract: dict[str, Any]) -> None:
    """Give the path parameter another name."""
    item = contract["paths"].pop(PATH)
    item["put"]["parameters"][0]["name"] = "llm"
    contract["paths"]["/ai/llm/{llm}"] = item


CASES: list[tuple[str, Callable[[dict[str, Any]], Any], str, str, str]] = [
    ("operationId", lambda c: operation(c).update(operationId="zz"), "breaking", "breaking", "zz"),
    ("path parameter", rename_path_parameter, "breaking", "breaking", "id: "),
    ("optional", lambda c: add_query(c, required=False), "addition", "breaking", "zz_dry_run"),
    ("required", lambda c: add_query(c, required=True), "breaking", "breaking", "zz_dry_run"),
    (
        "field",
        lambda c: model(c)["properties"].update(zzField={"type": "string"}),
        *("addition", "breaking", "zz_field"),
    ),
    (
        "required field",
        lambda c: model(c).update(required=["name"]),
        "breaking",
        "addition",
        "name",
    ),
    (
        "type",
        lambda c: model(c)["properties"].update(key={"type": "integer"}),
        *("breaking", "breaking", "key: "),
    ),
    (
        "enum",
        lambda c: model(c, "AiType")["enum"].append("ZZ_MEMBER"),
        *("addition", "breaking", "ZZ_MEMBER"),
    ),
    ("order", lambda c: model(c, "AiType")["enum"].reverse(), "none", "none", ""),
    ("words", lambda c: model(c, "AiType").update(description="Else."), "none", "none", ""),
    ("length", lambda c: model(c)["properties"]["key"].update(maxLength=9), "none", "none", ""),
    (
        "error",
        lambda c: operation(c)["responses"].update({"409": operation(c)["responses"]["403"]}),
        *("addition", "breaking", "ConflictError"),
    ),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the client of the unchanged contract."""
    contract = Contract(CONTRACT, "made", yaml.safe_dump(CONTRACT))
    return python_interface.load_client(contract, tmp_path_factory.mktemp("client") / "client")


def compared(base: dict[str, Any], head: dict[str, Any]) -> tuple[str, str]:
    """Return the verdict on the Python interface, and all findings as text."""
    contracts = [Contract(document, "made", yaml.safe_dump(document)) for document in (base, head)]
    findings, reason = python_interface.compare(*contracts)
    change = max((finding.change for finding in findings), default=Change.NONE)
    lines = [f"{finding.place}: {finding.what} {finding.shown}" for finding in findings]
    return change.word, "\n".join([*lines, reason])


@pytest.mark.parametrize(
    ("edit", "there", "back", "mentioned"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_edit_means_this_to_python_callers(  # noqa: PLR0913, PLR0917 # columns of a table
    client: Any,
    tmp_path: Path,
    edit: Callable[[dict[str, Any]], Any],
    there: str,
    back: str,
    mentioned: str,
) -> None:
    """A change that callers must follow is breaking; a new option is an addition."""
    document = copy.deepcopy(CONTRACT)
    edit(document)
    contract = Contract(document, "made", yaml.safe_dump(document))
    head = python_interface.load_client(contract, tmp_path / "head")
    assert isinstance(head, griffe.Object)
    assert (_weight(client, head), _weight(head, client)) == (there, back)
    findings = python_interface.compare_packages(client, head)
    assert (
        any(mentioned in f"{finding.place}: {finding.what}" for finding in findings)
        or not mentioned
    )


def test_a_contract_without_a_client_is_undecided() -> None:
    """The generator's error is the reason; it is not a break if there was no client before."""
    refused = copy.deepcopy(CONTRACT)
    operation(refused)["requestBody"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    verdict, found = compared(CONTRACT, refused)
    assert verdict == "undecided"
    assert "no client of the new contract: GenerationError" in found
    assert compared(refused, CONTRACT)[0] == "addition"
    assert compared(refused, refused)[0] == "none"


def test_a_crash_of_the_generator_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names neither temporary files nor addresses of objects."""

    def crash(source: Path, _output: Path) -> Path:
        raise KeyError(str(source), object())

    monkeypatch.setattr(python_interface, "generate", crash)
    verdict, found = compared(CONTRACT, CONTRACT)
    assert verdict == "none"
    assert "no client of the new contract: KeyError: ('openapi.yaml', <object object>)" in found


def test_types_and_bases_are_compared(tmp_path: Path) -> None:
    """Parameters may accept more, results may promise more, base classes must stay."""
    changes = {
        "def f(a: int | str) -> int: ...": "addition",
        "def f(a: bool) -> int: ...": "breaking",
        "def f(a: int) -> int | None: ...": "breaking",
        "def f(a: int) -> int: ...\nclass E(KeyError): ...": "breaking",
    }
    old = "def f(a: int) -> int: ...\nclass E(ValueError): ..."
    for i, (new, expected) in enumerate(changes.items()):
        sides = [_package(tmp_path / f"{i}{side}", text) for side, text in (("a", old), ("b", new))]
        assert _weight(*sides) == expected


def _package(folder: Path, text: str) -> Any:
    folder.mkdir()
    text = text if "class E" in text else f"{text}\nclass E(ValueError): ..."
    (folder / "zz_package.py").write_text(text, "utf-8")
    return griffe.load("zz_package", search_paths=[folder], allow_inspection=False)


def _weight(before: Any, after: Any) -> str:
    findings = python_interface.compare_packages(before, after)
    return max((finding.change for finding in findings), default=Change.NONE).word


def test_the_runtime_is_loaded_where_it_exists() -> None:
    """Names that the client re-exports from the runtime are compared too."""
    package = python_interface.load_package(ROOT / "generated")
    assert "FlashbackClient" in package.all_members
    aliases = [member for member in package.members.values() if isinstance(member, griffe.Alias)]
    ours = [alias for alias in aliases if alias.target_path.startswith("flashback_")]
    assert ours
    assert all(alias.resolved for alias in ours)
