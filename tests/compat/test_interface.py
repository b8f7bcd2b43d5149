"""The Python interface: what a change of the contract means to those who call the client."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.compatibility import interface
from scripts.compatibility.annotations import takes_in
from scripts.compatibility.documents import Contract
from scripts.compatibility.findings import Change

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
CONTRACT: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text("utf-8"))
PATH = "/ai/llm/{id}"


def operation(contract: dict[str, Any]) -> dict[str, Any]:
    """The only one."""
    found: dict[str, Any] = contract["paths"][PATH]["put"]
    return found


def model(contract: dict[str, Any], name: str = "UpdateAiLlmRequest") -> dict[str, Any]:
    """A schema of the contract."""
    found: dict[str, Any] = contract["components"]["schemas"][name]
    return found


def query(contract: dict[str, Any], *, required: bool) -> None:
    """Adds a query parameter."""
    parameter = {"name": "dryRun", "in": "query", "required": required}
    operation(contract)["parameters"].append({**parameter, "schema": {"type": "boolean"}})


def renamed(contract: dict[str, Any]) -> None:
    """Gives the path parameter another name."""
    contract["paths"]["/ai/llm/{key}"] = contract["paths"].pop(PATH)
    contract["paths"]["/ai/llm/{key}"]["put"]["parameters"][0]["name"] = "llm"
    contract["paths"]["/ai/llm/{llm}"] = contract["paths"].pop("/ai/llm/{key}")


CASES: list[tuple[str, Callable[[dict[str, Any]], Any], str, str, str]] = [
    (
        "operationId",
        lambda c: operation(c).update(operationId="change"),
        "breaking",
        "breaking",
        "is gone",
    ),
    ("path parameter", renamed, "breaking", "breaking", "has no parameter id any more"),
    ("optional query", lambda c: query(c, required=False), "addition", "breaking", "takes dry_run"),
    ("required query", lambda c: query(c, required=True), "breaking", "breaking", "needs dry_run"),
    (
        "field",
        lambda c: model(c)["properties"].update(region={"type": "string"}),
        "addition",
        "breaking",
        "region",
    ),
    (
        "required field",
        lambda c: model(c).update(required=["name"]),
        "breaking",
        "addition",
        "needs name",
    ),
    (
        "type",
        lambda c: model(c)["properties"].update(key={"type": "integer"}),
        "breaking",
        "breaking",
        "type of key",
    ),
    (
        "enum",
        lambda c: model(c, "AiType")["enum"].append("MISTRAL"),
        "addition",
        "breaking",
        "MISTRAL",
    ),
    ("order", lambda c: model(c, "AiType")["enum"].reverse(), "none", "none", ""),
    (
        "answer",
        lambda c: model(c, "UpdateAiLlmResponse").update(required=["success"]),
        "addition",
        "breaking",
        "returns bool",
    ),
    ("words", lambda c: model(c, "AiType").update(description="Else."), "none", "none", ""),
    ("length", lambda c: model(c)["properties"]["key"].update(maxLength=9), "none", "none", ""),
    ("server", lambda c: c["servers"].reverse(), "breaking", "breaking", "DEFAULT_BASE_URL"),
]


def compared(base: dict[str, Any], head: dict[str, Any]) -> tuple[str, str]:
    """The verdict on the Python interface, and all that was found."""
    contracts = [Contract(each, "made", yaml.safe_dump(each)) for each in (base, head)]
    found = interface.compare(*contracts)
    weight = max((each.change for each in found), default=Change.NONE)
    return weight.word, "\n".join(each.what for each in found) + "".join(
        each.place for each in found
    )


@pytest.mark.parametrize(
    ("edit", "there", "back", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_edit_means_this_to_python_callers(
    edit: Callable[[dict[str, Any]], Any], there: str, back: str, told: str
) -> None:
    """What callers must change is breaking, what they may use is an addition."""
    head = copy.deepcopy(CONTRACT)
    edit(head)
    verdict, found = compared(CONTRACT, head)
    assert verdict == there
    assert told in found
    assert compared(head, CONTRACT)[0] == back


def test_a_contract_that_gives_no_client_is_undecided() -> None:
    """What the generator refuses cannot be compared; what it refused before can only get better."""
    refused = copy.deepcopy(CONTRACT)
    operation(refused)["requestBody"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    assert compared(CONTRACT, refused)[0] == "undecided"
    assert compared(refused, CONTRACT)[0] == "addition"
    assert compared(refused, refused)[0] == "none"


def test_what_a_contract_may_leave_out_is_no_trouble() -> None:
    """A contract without servers, and operations without a name, give a client all the same."""
    head = copy.deepcopy(CONTRACT)
    head["paths"]["/new/of-them"] = {"get": {"responses": {"200": {"description": "New."}}}}
    assert compared(CONTRACT, head)[0] == "addition"
    del head["servers"]
    verdict, found = compared(CONTRACT, head)
    assert verdict == "breaking"
    assert "DEFAULT_BASE_URL" in found


def test_a_crash_of_the_generator_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made for other contracts: what it says is told, without names of temporary files."""

    def crash(source: Path, _output: Path) -> Path:
        raise KeyError(str(source))

    monkeypatch.setattr(interface, "generate", crash)
    verdict, found = compared(CONTRACT, CONTRACT)
    assert verdict == "none"
    assert "either contract: KeyError: 'openapi.yaml'" in found


@pytest.mark.parametrize(
    ("wide", "narrow", "holds"),
    [
        ("str | Unset", "str", True),
        ("str", "str | Unset", False),
        ("int | str", "str | int", True),
        ("Literal['a', 'b']", "Literal['b']", True),
        ("list[str | None]", "list[str]", True),
        ("list[str]", "list[int]", False),
        ("dict[str, Any]", "dict[str, int]", True),
        ("Response[A | B]", "Response[A]", True),
        ("Any", "str", True),
    ],
)
def test_types_are_compared_as_unions(wide: str, narrow: str, holds: bool) -> None:  # noqa: FBT001 # a column
    """The order of members does not count, and brackets are looked into."""
    assert takes_in(wide, narrow) is holds
