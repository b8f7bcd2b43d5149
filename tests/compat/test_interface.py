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


def make_additions(contract: dict[str, Any]) -> None:
    """Add an optional parameter, an optional field, a member of an enum and a status."""
    add_query(contract, required=False)
    model(contract)["properties"]["zzField"] = {"type": "string"}
    model(contract, "AiType")["enum"].append("ZZ_MEMBER")
    responses = operation(contract)["responses"]
    responses["409"] = responses["403"]


def rename(contract: dict[str, Any]) -> None:
    """Give the operation another name."""
    operation(contract)["operationId"] = "zz"


def replace_types(contract: dict[str, Any]) -> None:
    """Change a type, and rename the path parameter."""
    model(contract)["properties"]["key"] = {"type": "integer"}
    rename_path_parameter(contract)


def require_parameter(contract: dict[str, Any]) -> None:
    """Add a required parameter."""
    add_query(contract, required=True)


def require_field(contract: dict[str, Any]) -> None:
    """Require a field."""
    model(contract)["required"] = ["name"]


def change_what_types_do_not_say(contract: dict[str, Any]) -> None:
    """Change a length, a description and the order of an enum."""
    model(contract)["properties"]["key"]["maxLength"] = 9
    model(contract, "AiType")["description"] = "Else."
    model(contract, "AiType")["enum"].reverse()


CASES: list[tuple[Callable[[dict[str, Any]], None], str, str, list[str]]] = [
    (
        make_additions,
        *("addition", "breaking", ["zz_dry_run", "zz_field", "ZZ_MEMBER", "ConflictError"]),
    ),
    (rename, "breaking", "breaking", ["zz"]),
    (replace_types, "breaking", "breaking", ["key: ", "(id"]),
    (require_parameter, "breaking", "breaking", ["zz_dry_run"]),
    (require_field, "breaking", "addition", ["name"]),
    (change_what_types_do_not_say, "none", "none", []),
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


@pytest.mark.parametrize(("edit", "there", "back", "mentioned"), CASES)
def test_edit_means_this_to_python_callers(  # noqa: PLR0913, PLR0917 # columns of a table
    client: Any,
    tmp_path: Path,
    edit: Callable[[dict[str, Any]], None],
    there: str,
    back: str,
    mentioned: list[str],
) -> None:
    """A change that callers must follow is breaking; a new option is an addition."""
    document = copy.deepcopy(CONTRACT)
    edit(document)
    contract = Contract(document, "made", yaml.safe_dump(document))
    head = python_interface.load_client(contract, tmp_path / "head")
    assert isinstance(head, griffe.Object)
    assert (_weight(client, head), _weight(head, client)) == (there, back)
    findings = python_interface.compare_packages(client, head)
    text = "\n".join(f"{finding.place}: {finding.what}" for finding in findings)
    assert not [word for word in mentioned if word not in text]


def test_a_contract_without_a_client_is_undecided(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator's error is the reason; it is not a break if there was no client before."""
    refused = copy.deepcopy(CONTRACT)
    operation(refused)["requestBody"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    load = python_interface.load_client

    def load_once(contract: Contract, folder: Path) -> Any:
        return client if contract.document == CONTRACT else load(contract, folder)

    monkeypatch.setattr(python_interface, "load_client", load_once)
    verdict, found = compared(CONTRACT, refused)
    assert verdict == "undecided"
    assert "no client of the new contract: the generator refuses" in found
    assert compared(refused, CONTRACT)[0] == "addition"
    assert compared(refused, refused)[0] == "none"


def test_the_reason_names_no_template(tmp_path: Path) -> None:
    """The reason why there is no client contains no advice for authors of the generator."""
    document = copy.deepcopy(CONTRACT)
    body = operation(document)["requestBody"]["content"]["application/json"]
    body["schema"] = {"type": "object", "additionalProperties": {"type": "string"}}
    contract = Contract(document, "made", yaml.safe_dump(document))
    reason = python_interface.load_client(contract, tmp_path / "head")
    assert str(reason).startswith("the output is not Python: error: Failed to parse flashback_client/")


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
