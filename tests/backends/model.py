"""A pydantic model of the request bodies that the contract allows."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    StrictStr,
    TypeAdapter,
)

LARGEST_BODY = 262_144  # bytes


def _without_controls(name: str) -> str:
    if re.search(r"[\x00-\x1f\x7f-\x9f]", name):
        raise ValueError("must not contain control characters")
    return name


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE) or "@" in urlsplit(url).netloc:
        raise ValueError("must be an absolute http or https URL in ASCII without credentials")
    TypeAdapter(AnyHttpUrl).validate_python(url)
    return url


Name = Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(_without_controls)]
Endpoint = Annotated[StrictStr, Field(max_length=2048), AfterValidator(_http_url)]
Credential = Annotated[StrictStr, Field(min_length=1, max_length=8192)]


class UpdateAiLlmRequest(BaseModel):
    """The fields to change. Defaults for missing fields are never stored."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Name = ""
    aiType: Literal["OPENAI", "GOOGLE", "ANTHROPIC", "AWS", "OTHER"] = "OTHER"  # noqa: N815
    endpoint: Endpoint | None = None
    key: Credential | None = None
    secret: Credential | None = None


def validated_fields(body: bytes) -> dict[str, str]:
    """Return the fields in the body, or raise `ValidationError` if the body is invalid."""
    # pydantic's JSON parser is strict: it rejects NaN, lone surrogates and invalid UTF-8.
    return UpdateAiLlmRequest.model_validate_json(body).model_dump(exclude_unset=True)
