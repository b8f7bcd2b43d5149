"""A pydantic model of the request bodies that the contract allows."""

from typing import Annotated, Any

import jsonschema_rs
from pydantic import AfterValidator, ConfigDict, ValidationError, create_model

from support.contract import PROPERTIES
from tests.backends.store import RejectedError


def _type(schema: dict[str, Any]) -> Any:
    """Return the type of a field with this schema."""
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

    def check(value: Any) -> Any:
        if not validator.is_valid(value):
            raise ValueError("must conform to the contract")
        return value

    return Annotated[Any, AfterValidator(check)]


CONFIG = ConfigDict(extra="forbid")
# The defaults make the fields optional but are never stored.
FIELDS: dict[str, Any] = {name: (_type(schema), "") for name, schema in PROPERTIES.items()}
UpdateAiLlmRequest = create_model("UpdateAiLlmRequest", __config__=CONFIG, **FIELDS)


def validated_fields(body: bytes) -> dict[str, str]:
    """Return the fields in the body; reject an invalid body with a 400."""
    try:
        # pydantic's JSON parser is strict: it rejects NaN, lone surrogates and invalid UTF-8.
        model = UpdateAiLlmRequest.model_validate_json(body)
    except ValidationError as error:
        raise RejectedError(400, error.errors()[0]["msg"]) from None
    fields: dict[str, str] = model.model_dump(exclude_unset=True)
    return fields
