"""A pydantic model of the request bodies that the contract allows."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    ConfigDict,
    Field,
    StrictFloat,
    StrictStr,
    TypeAdapter,
    ValidationError,
    create_model,
)

from support.contract import PROPERTIES
from tests.backends.store import RejectedError


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE) or "@" in urlsplit(url).netloc:
        raise ValueError(
            "must be an absolute http or https URL with only ASCII characters and no credentials"
        )
    TypeAdapter(AnyHttpUrl).validate_python(url)
    return url


def _integer(number: float) -> float:
    if not number.is_integer():
        raise ValueError("must be an integer")
    return number


Integer = Annotated[StrictFloat, AfterValidator(_integer)]  # in JSON Schema, 1.0 is an integer


def _type(schema: dict[str, Any]) -> Any:
    """Return the type that pydantic uses for a field with this schema."""
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if schema["type"] != "string":
        number = Integer if schema["type"] == "integer" else StrictFloat
        return Annotated[number, Field(ge=schema.get("minimum"), le=schema.get("maximum"))]
    shortest = schema.get("minLength")
    longest = schema.get("maxLength")
    if schema.get("format") == "uri":
        return Annotated[StrictStr, Field(max_length=longest), AfterValidator(_http_url)]
    pattern = schema.get("pattern")
    return Annotated[StrictStr, Field(min_length=shortest, max_length=longest, pattern=pattern)]


CONFIG = ConfigDict(extra="forbid", hide_input_in_errors=True)
# The defaults only make the fields optional; they are never stored.
FIELDS: dict[str, Any] = {name: (_type(schema), "") for name, schema in PROPERTIES.items()}
UpdateAiLlmRequest = create_model("UpdateAiLlmRequest", __config__=CONFIG, **FIELDS)


def validated_fields(body: bytes) -> dict[str, str]:
    """Return the fields in the body; reject an invalid body with status 400."""
    try:
        # pydantic's JSON parser is strict: it rejects NaN, lone surrogates and invalid UTF-8.
        model = UpdateAiLlmRequest.model_validate_json(body)
    except ValidationError as error:
        raise RejectedError(400, str(error.errors(include_url=False)[0]["msg"])) from None
    fields: dict[str, str] = model.model_dump(exclude_unset=True)
    return fields
