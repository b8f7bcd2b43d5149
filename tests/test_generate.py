"""Tests for scripts/generate."""

import os
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

import flashback_runtime
from scripts import generate
from tests.compat.edits import edited
from tests.programs import run as run_program

TEMPLATES = sorted(template.name for template in generate.TEMPLATES.iterdir())

KEYS = Path(__file__).with_name("keys.yaml")
CALLS = """
import datetime, httpx, inspect, json, pytest, typing, uuid
from flashback_client import UNSET, FlashbackClient, errors, models
from flashback_client.api.keys import create_api_key
from flashback_client.models import LabelKeyBody, NewKey, Owner, Scope

requests, responses = [], []
def handle(request):
    requests.append(request)
    response = responses.pop(0)
    if isinstance(response, Exception):
        raise response
    return response
client = FlashbackClient("tok", base_url="http://127.0.0.1", transport=httpx.MockTransport(handle))
arguments = dict(label="ci", passphrase="hush", scope="write-all")

created = {"kind": "api-key", "scopes": ["read"], "owner": {"name": "o"}}
responses.append(httpx.Response(201, json=created))
others = dict(x_key=uuid.UUID(int=1), dry_run=True, days=3, region="read", x_trace="tt")
fields = dict(tags=["a"], ratio=1, alias=None, limit=2, code="abc", nested="abc")
key = client.create_api_key("w/1", **arguments, **fields, **others)
assert (key.kind, key.scopes, key.owner.name) == ("api-key", [Scope.READ], "o")
sent = requests[-1]
path = b"/workspaces/w%2F1/keys?dryRun=true&region=read&days=3"
assert (sent.method, sent.url.raw_path) == ("POST", path)
assert json.loads(sent.content) == {**arguments, **fields}
copied = NewKey.from_dict({**json.loads(sent.content), "zzField": 1}).to_dict()
assert copied == {**json.loads(sent.content), "zzField": 1}
assert sent.headers["authorization"] == "Bearer tok"
assert sent.headers["x-key"] == str(uuid.UUID(int=1))
options = client.with_options(headers={"x-trace": "a"})
responses.append(httpx.Response(204))
options.create_api_key("w", **arguments, x_trace="bb")
assert requests[-1].headers.get_list("x-trace") == ["bb"]

responses.append(httpx.Response(204))
named = dict(cls_="1", d_="2", field_="3", self_="4", to_dict_="5", owner=Owner(name="o"))
named |= dict(fields_=[Scope.READ], create_api_key="6", uuid=models.UUID_(text="7"))
named |= dict(parent=uuid.UUID(int=8))
assert client.create_api_key("w", **arguments, **named) is None
assert json.loads(requests[-1].content) == {
    **arguments, "cls": "1", "d": "2", "field": "3", "self": "4", "toDict": "5",
    "owner": {"name": "o"}, "fields": ["read"], "createApiKey": "6", "uuid": {"text": "7"},
    "parent": str(uuid.UUID(int=8)),
}
responses.append(httpx.Response(409, json={"message": "taken, hush"}))
with pytest.raises(errors.ConflictError, match=r"409 taken, \\*\\*\\*") as caught:
    client.create_api_key("w", **arguments)
assert caught.value.attempts == 1
responses.append(httpx.Response(503))  # POST is not idempotent, so it is not retried.
with pytest.raises(errors.UnexpectedServerError, match="1 attempt, may have been applied"):
    client.create_api_key("w", **arguments)
for invalid in ({"kind": "other"}, {"scopes": ["no"]}, {"scopes": {}}, {"note": 8}, {"owner": 1}):
    responses.append(httpx.Response(201, json={**created, **invalid}))
    with pytest.raises(errors.ResponseDecodeError):
        client.create_api_key("w", **arguments)
for invalid in ({"days": 0}, {"days": 1.5}, {"dry_run": "yes"}, {"label": "too long, this"},
              {"tags": ["a"] * 3}, {"tags": "a"}, {"ratio": 1.1}, {"scope": "none"},
              {"passphrase": 1}, {"label": "Upper"}, {"since": "2020"}, {"x_trace": "é"},
              {"x_trace": "a\\r\\nX-Y: 1"}, {"x_trace": "A"}, {"code": "abcd"}, {"code": 1.5},
              {"region": "none"}, {"scopes": ["none"]}, {"tags": [1]}, {"ratio": float("nan")},
              {"label": "a"}, {"label": "eightyyy"}, {"alias": 1}, {"alias": "long"},
              {"limit": 1.5},
              {"on": datetime.datetime(2020, 1, 2)}, {"x_key": "1"}):
    with pytest.raises(errors.ArgumentError):
        client.create_api_key("w", **{**arguments, **invalid})
with pytest.raises(errors.ArgumentError, match="^rank must be at least 1$"):
    Owner(rank=0)
with pytest.raises(errors.ArgumentError, match="^owner must be of type None or Owner, not dict"):
    client.create_api_key("w", **arguments, owner={"name": "o"})
for value in (UNSET, None):
    with pytest.raises(errors.ArgumentError, match="^label must be of type str, not [A-Za-z]*$"):
        client.create_api_key("w", **arguments | {"label": value})
responses.append(httpx.Response(201, json=created))
client.create_api_key("w", **arguments, pin=None)
assert json.loads(requests[-1].content)["pin"] is None
assert "1234" not in repr(NewKey(**arguments, pin="1234"))
with pytest.raises(errors.ArgumentError, match="workspace_id must be lower case"):
    client.create_api_key("W", **arguments)
with pytest.raises(errors.ArgumentError, match="^limit must .* int or ScopedLimitType1 or Scope"):
    client.create_api_key("w", **arguments, limit=b"")
with pytest.raises(errors.ArgumentError, match="^limit must be one of none, all, read, write-all$"):
    client.create_api_key("w", **arguments, limit="some")
with pytest.raises(errors.ArgumentError, match=r"^scopes\\[0\\] must be Scope.'read'.,"):
    client.create_api_key("w", **arguments, scopes=["read"])
responses.append(httpx.Response(201, json={"kind": "api-key", "scopes": []}))
assert create_api_key.sync("w", client=client, body=NewKey(**arguments), days=3).kind == "api-key"
assert "hush" not in repr(NewKey(**arguments))
responses.append(httpx.Response(200, json=created))
assert client.get_key("xy", id_query="x").kind == "api-key"
assert (requests[-1].method, requests[-1].content) == ("GET", b"")
responses.append(httpx.Response(200, json=[1]))
assert client.count_keys("x") == [1]
responses.append(httpx.Response(200, json=["1"]))
with pytest.raises(errors.ResponseDecodeError, match=r"body\\[0\\] must be of type int, not str"):
    client.count_keys("x")
responses.append(httpx.Response(202, json={}))
with pytest.raises(errors.ResponseDecodeError, match="body must be of type list, not dict"):
    client.count_keys("x")
assert "content-type" not in requests[-1].headers
responses.append(httpx.Response(200, json=created))
client.label_key("x", body=LabelKeyBody.from_dict({"team": "a"}))
assert json.loads(requests[-1].content) == {"team": "a"}
responses.append(httpx.Response(503))
with pytest.raises(errors.UnexpectedServerError, match="1 attempt[)]"):  # GET changes nothing.
    client.with_options(max_retries=0).get_key("x")
responses.append(httpx.Response(200, json={"name": "o"}))
assert client.get_owner().name == "o"
responses.append(httpx.Response(200, json=[1]))
with pytest.raises(errors.ResponseDecodeError, match=r"TypeError [(]1 attempt[)]"):
    client.get_owner()
for documented in (client.create_api_key, errors.ConflictError):
    assert r'"\\d"' in documented.__doc__
assert "reserved:\\n- one\\n- two" in inspect.getdoc(errors.ConflictError)
responses.append(httpx.ReadError("lost"))
with pytest.raises(errors.ApiConnectionError, match="1 attempt, may have been applied"):
    client.create_api_key("w", **arguments)
responses += [httpx.ConnectError("refused"), httpx.Response(204)]
client.create_api_key("w", **arguments)
responses += [httpx.Response(502)] * 2
with pytest.raises(errors.BadGatewayError, match="1 attempt[)]"):
    client.create_api_key("w", **arguments)
with pytest.raises(errors.BadGatewayError, match="1 attempt[)]"):
    client.with_options(max_retries=0).renew_key("x")
assert requests[-1].headers["content-length"] == "0"
assert not responses
for name in models.__all__:
    typing.get_type_hints(getattr(models, name))
"""


def test_templates_support_other_operations(tmp_path: Path) -> None:
    """Templates support query parameters, other HTTP methods, and bodies without fixed fields."""
    generate.generate(KEYS, tmp_path / "flashback_client")
    runtime = Path(flashback_runtime.__file__).parents[1]
    variables = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{runtime}"}
    assert run_program(sys.executable, "-W", "error", "-c", CALLS, variables=variables) == ""


def test_every_module_is_marked_as_generated_and_has_a_docstring() -> None:
    """Each module has a docstring and starts with a comment that marks it as generated."""
    for path in generate.OUTPUT.rglob("*.py"):
        text = path.read_text("utf-8")
        assert text.startswith(generate.MARK)
        assert '"""' in text
    client = (generate.OUTPUT / "client.py").read_text("utf-8")
    assert "id: Unique identifier of the AI LLM configuration." in client
    assert not re.search("(?m)^.{101}", client)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_overrides_a_generator_template(name: str) -> None:
    """Each template has the same name as a generator template; otherwise, it would be ignored."""
    upstream = files("openapi_python_client") / "templates" / name
    ours = (generate.TEMPLATES / name).read_text(encoding="utf-8")
    assert upstream.read_text(encoding="utf-8").strip() not in ours
    assert ours.startswith("{# Why: ")


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make scripts/generate use a copy of the generated package, and return the copy's path."""
    copied = tmp_path / "flashback_client"
    shutil.copytree(generate.OUTPUT, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(generate, "OUTPUT", copied)
    readme = tmp_path / "README.md"
    shutil.copyfile(generate.README, readme)
    monkeypatch.setattr(generate, "README", readme)
    return copied


def run(*arguments: str) -> int:
    """Run scripts/generate and return its exit status."""
    with patch("sys.argv", ["scripts/generate", *arguments]):
        return generate.main()


def test_check_lists_changed_files(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """scripts/generate updates outdated files or, with --check, only lists them."""
    committed = generate.files(generated)
    (generated / "errors.py").write_text("changed\n", encoding="utf-8")
    (generated / "py.typed").unlink()
    (generated / "extra.py").write_text("extra\n", encoding="utf-8")
    readme = generate.README.read_text("utf-8")
    generate.README.write_text(generate.VERSION.sub("v0.0.1", readme, count=1), "utf-8")
    assert run("--check") == 1
    output = capsys.readouterr().out
    assert output.endswith("(run scripts/generate):\nREADME.md\nerrors.py\nextra.py\npy.typed\n")
    assert run() == 0
    assert generate.files(generated) == committed
    assert generate.README.read_text("utf-8") == readme


INFO = b"openapi: 3.1.0\ninfo: {title: t, version: '1'}\n"


@pytest.mark.parametrize(
    ("contract", "problem"),
    [
        (b"\xff", "cannot be read"),
        (b"openapi: 3.1.0\npaths: &a {/x: *a}", "is not valid YAML: Circular reference"),
        (b"a: [", "is not valid YAML: line 1: "),
        (INFO + b"x-a: &a.b 1", "is not valid YAML 1.1: line 3: did not find expected alphabetic"),
        (b"a: 1\na: 2", 'line 2: found duplicate key "a"'),
        (INFO + b"paths: {/x: {get: {tags: [NO]}}}", 'paths./x.get.tags: without "NO", with false'),
        (INFO + b"x-size: 1e3", 'x-size: 1000.0 → "1e3"'),
        (INFO + b"on: 1", "on: 1 → none"),
        (b"swagger: '2.0'", "expected OpenAPI 3.1, got None"),
        (
            INFO + b"paths: {/x: {get: {responses: 7}}}",
            "paths//x/get/responses is not valid OpenAPI 3.1",
        ),
        (
            INFO + b"components: {schemas: {A: {properties: {value: {$ref: '#/components/b'}}}}}",
            "fix the reference (in components.schemas.A.properties.value)",
        ),
        (
            INFO + b"components: {examples: {a: {$ref: '#/components/examples/b'}}}",
            "$ref '#/components/examples/b' points to nothing",
        ),
    ],
)
def test_invalid_contract_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    contract: bytes,
    problem: str,
) -> None:
    """scripts/generate prints the problem and exits with status 2 if the contract is invalid."""
    path = tmp_path / "openapi.yaml"
    monkeypatch.setattr(generate, "CONTRACT", path)
    path.write_bytes(contract)
    assert run("--check") == 2
    assert problem in capsys.readouterr().err


UNSUPPORTED_PARTS = yaml.safe_load(Path(__file__).with_name("unsupported.yaml").read_text("utf-8"))


@pytest.mark.parametrize("part", UNSUPPORTED_PARTS, ids=str)
def test_error_for_an_unsupported_part_gives_its_location(
    tmp_path: Path, part: dict[str, Any]
) -> None:
    """The error says where the unsupported part is and why it is not supported."""
    contract = yaml.safe_load(generate.CONTRACT.read_text("utf-8"))
    path = tmp_path / "openapi.yaml"
    path.write_text(yaml.safe_dump(edited(contract, [part])), "utf-8")
    with pytest.raises(generate.GenerationError) as caught:
        generate.generate(path, tmp_path / "out")
    assert part["error"] in str(caught.value)
