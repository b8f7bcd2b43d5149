"""The client validates arguments against the contract before it sends a request."""

import copy
import enum
import typing
import urllib.parse
from typing import Any

import pytest

from flashback_client import UNSET, AiType, FlashbackError, Secret, errors
from flashback_client.api.ai_llm import update_ai_llm
from flashback_client.models import UpdateAiLlmRequest
from tests.client.support import CONTRACT, ID, SECRET, Service, blocking, pickled, update_blocking

MEMBERS = ", ".join(member.value for member in AiType)
FIELDS = CONTRACT["components"]["schemas"]["UpdateAiLlmRequest"]["properties"]
LEAST = FIELDS["name"]["minLength"]
MOST = FIELDS["name"]["maxLength"]
INVALID_FIELDS: list[tuple[str, Any, str]] = [
    ("name", None, "must be of type str, not NoneType; an omitted field is UNSET"),
    ("name", "", f"contain {LEAST} to"),
    ("name", "n" * (MOST + 1), f"contain {LEAST} to {MOST} characters, not {MOST + 1}"),
    ("name", "line\n", "must not contain control characters"),
    ("name", "line\ud800", "surrogate"),
    ("name", 7, "must be of type str, not int"),
    ("name", Secret("n"), "must be of type str, not Secret"),
    ("ai_type", "ZZ_MEMBER", f"must be one of {MEMBERS}"),
    ("ai_type", None, "must be of type AiType, not NoneType; an omitted field is UNSET"),
    ("endpoint", "api.openai.com", "must be an absolute http or https URL"),
    ("endpoint", "https://user:pass@host/", "must be an absolute http or https URL"),
    ("endpoint", "https://host/\n", "must be an absolute http or https URL"),
    ("key", "", "contain 1 to"),
    ("secret", SECRET * 1000, f"1 to {FIELDS['secret']['maxLength']} characters"),
    ("secret", SECRET + "\ud800", "surrogate"),
    ("secret", str(Secret(SECRET)), "must not be asterisks"),
    ("secret", SECRET.encode(), "must be of type str, not bytes"),
    *(("id", segment, "change the path") for segment in ("..", ".")),
    *(("id", text, "contain 1 to 255 characters") for text in ("", "x" * 256)),
    *(("id", value, "must be of type str, not [A-Za-z]*$") for value in (None, 7, Secret("x"))),
    ("id", "\ud800", "surrogate"),
]


@pytest.mark.parametrize(("field", "value", "problem"), INVALID_FIELDS)
def test_invalid_field_raises_argument_error(
    update: Any, field: str, value: Any, problem: str
) -> None:
    """An invalid field or id raises an ArgumentError that names the field and the broken rule."""
    service = Service()
    with pytest.raises(errors.ArgumentError, match=problem) as caught:
        update(service, **{field: value})
    error = caught.value
    assert isinstance(error, FlashbackError)
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError) == ("of type" in problem)
    assert (error.field, error.maybe_applied, error.attempts) == (field, False, 0)
    assert str(error).startswith(f"{field} must ")
    assert SECRET not in str(error)
    assert service.requests == []


# A caller's own enum, whose members are not equal to their `str()`
Configurations: Any = enum.Enum("Configurations", {"MAIN": ID}, type=str)


@pytest.mark.parametrize(
    "id_", ["a/b", "%2e%2e", "?x", "#x", "ü", "\x00", "...", " ", Configurations.MAIN]
)
def test_id_is_sent_as_one_path_segment(id_: str) -> None:
    """An id with special characters reaches the service unchanged, as a single path segment."""
    service = Service()
    update_blocking(service, id_)
    path = service.requests[0].url.raw_path.decode()
    assert urllib.parse.unquote(path.removeprefix("/ai/llm/")) == id_
    assert path.count("/") == 3


def test_enum_field_accepts_a_member_or_its_value(update: Any) -> None:
    """`ai_type="OPENAI"` and `ai_type=AiType.OPENAI` send the same request body."""
    service = Service()
    update(service, ai_type="OPENAI")
    update(service, ai_type=AiType.OPENAI)
    assert service.requests[0].content == service.requests[1].content == b'{"aiType":"OPENAI"}'
    with pytest.raises(ValueError, match=f"AiType must be one of {MEMBERS}"):
        AiType("ZZ_MEMBER")


def test_unset_is_a_singleton() -> None:
    """UNSET is falsy, has a readable repr and remains the same object when copied or pickled."""
    assert pickled(UNSET) is copy.deepcopy(UNSET) is UNSET
    assert not UNSET
    assert "name=UNSET" in repr(UpdateAiLlmRequest())


def test_fields_are_keyword_only() -> None:
    """Model fields are keyword-only, so a new field in the contract cannot break callers."""
    make: Any = UpdateAiLlmRequest
    with pytest.raises(TypeError, match="positional"):
        make("n")


def test_from_dict_rejects_unknown_fields() -> None:
    """`from_dict` rejects a misspelled field name instead of silently ignoring it."""
    with pytest.raises(errors.ArgumentError, match="secrt is not a field of") as caught:
        UpdateAiLlmRequest.from_dict({"secrt": "rotated"})
    assert caught.value.field == "secrt"


def test_generated_modules_check_the_body_type() -> None:
    """The functions in generated modules raise ArgumentError if the body is not a request model."""
    wrong: Any = {"name": "new"}
    with pytest.raises(errors.ArgumentError, match="body must be"):
        update_ai_llm.sync(ID, client=blocking(Service()), body=wrong)


def test_type_hints_can_be_resolved() -> None:
    """`typing.get_type_hints` resolves the annotations of methods, modules and errors."""
    for function in (update_ai_llm.sync_detailed, update_ai_llm.asyncio):
        assert "client" in typing.get_type_hints(function)
    assert "secret" in typing.get_type_hints(type(blocking(Service())).update_ai_llm)
    assert "headers" in typing.get_type_hints(errors.BadRequestError)
