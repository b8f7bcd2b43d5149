"""The Python interface: what a change of the contract means to callers of the client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
import pytest
import yaml

from scripts.compatibility import python_interface
from scripts.compatibility.findings import Change
from tests.compat.edits import contract, edited

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract

Edits = list[dict[str, Any]]
ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
PATH = "/paths/~1ai~1llm~1{id}"
OPERATION = f"{PATH}/put"
BODY = f"{OPERATION}/requestBody/content"
SCHEMAS = "/components/schemas"
FIELDS = f"{SCHEMAS}/UpdateAiLlmRequest/properties"
QUERY = {"name": "zzDryRun", "in": "query", "schema": {"type": "boolean"}}
CONFLICT = {"$ref": "#/components/responses/Forbidden"}
# Edits, the verdict on them and on the reverse, and what the findings mention.
CASES: dict[str, tuple[Edits, str, str, list[str]]] = {
    "additions": (
        [
            {"at": f"{OPERATION}/parameters/-", "set": QUERY},
            {"at": f"{FIELDS}/zzField", "set": {"type": "string"}},
            {"at": f"{SCHEMAS}/AiType/enum/-", "set": "ZZ_MEMBER"},
            {"at": f"{OPERATION}/responses/409", "set": CONFLICT},
        ],
        *("addition", "breaking", ["zz_dry_run", "zz_field", "ZZ_MEMBER", "ConflictError"]),
    ),
    "another operation name": (
        [{"at": f"{OPERATION}/operationId", "set": "zz"}],
        *("breaking", "breaking", ["zz"]),
    ),
    "another type": (
        [{"at": f"{FIELDS}/key", "set": {"type": "integer"}}],
        *("breaking", "breaking", ["key: "]),
    ),
    "another name of the path parameter": (
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
    "a required field": (
        [{"at": f"{SCHEMAS}/UpdateAiLlmRequest/required", "set": ["name"]}],
        *("breaking", "addition", ["name"]),
    ),
    "changes that types do not express": (
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


def made(edits: Edits) -> Contract:
    """Return the edited contract."""
    document = edited(CONTRACT, edits)
    return contract(document, yaml.safe_dump(document))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the client of the unchanged contract."""
    return python_interface.load_client(made([]), tmp_path_factory.mktemp("client") / "client")


def compared(base: Edits, head: Edits) -> tuple[str, str]:
    """Return the verdict on the Python interface, and the reason if nothing was compared."""
    findings, reason = python_interface.compare(made(base), made(head))
    return max((finding.change for finding in findings), default=Change.NONE).word, reason


@pytest.mark.parametrize(("edits", "there", "back", "mentioned"), CASES.values(), ids=CASES)
def test_edit_means_this_to_python_callers(  # noqa: PLR0913, PLR0917 # columns of a table
    client: Any, tmp_path: Path, edits: Edits, there: str, back: str, mentioned: list[str]
) -> None:
    """A change that callers must follow is breaking; a new option is an addition."""
    head = python_interface.load_client(made(edits), tmp_path / "head")
    assert isinstance(head, griffe.Object)
    assert (_weight(client, head), _weight(head, client)) == (there, back)
    findings = python_interface.compare_packages(client, head)
    text = "\n".join(f"{finding.place}: {finding.what}" for finding in findings)
    assert not [word for word in mentioned if word not in text]


def test_a_contract_without_a_client_is_undecided(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict's reason is the generator's error; without an old client, nothing breaks."""
    refused = [{"at": BODY, "set": {"text/plain": {"schema": {"type": "string"}}}}]
    load = python_interface.load_client

    def load_once(contract: Contract, folder: Path) -> Any:
        return client if contract.document == CONTRACT else load(contract, folder)

    monkeypatch.setattr(python_interface, "load_client", load_once)
    verdict, reason = compared([], refused)
    assert verdict == "undecided"
    assert reason.startswith("no client of the new contract: the generator rejects")
    assert compared(refused, [])[0] == "addition"
    assert compared(refused, refused)[0] == "none"


def test_the_reason_names_no_template(tmp_path: Path) -> None:
    """The reason why there is no client contains no advice for authors of the generator."""
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    map_body = made([{"at": f"{BODY}/application~1json/schema", "set": schema}])
    reason = python_interface.load_client(map_body, tmp_path / "head")
    assert str(reason).startswith(
        "the output is not valid Python: error: Failed to parse flashback_client/"
    )


def test_a_crash_of_the_generator_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names neither temporary files nor addresses of objects."""

    def crash(source: Path, _output: Path) -> Path:
        raise KeyError(str(source), object())

    monkeypatch.setattr(python_interface, "generate", crash)
    verdict, reason = compared([], [])
    assert verdict == "none"
    assert reason == "no client of the new contract: KeyError: ('openapi.yaml', <object object>)"


def test_types_and_bases_are_compared(tmp_path: Path) -> None:
    """A parameter's type may become wider and a return type narrower; base classes must stay."""
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


def test_names_from_the_runtime_are_compared() -> None:
    """Names that the client re-exports from the runtime belong to its interface."""
    package = python_interface.load_package(ROOT / "generated")
    assert "FlashbackClient" in package.all_members
    aliases = [member for member in package.members.values() if isinstance(member, griffe.Alias)]
    ours = [alias for alias in aliases if alias.target_path.startswith("flashback_")]
    assert ours
    assert all(alias.resolved for alias in ours)
