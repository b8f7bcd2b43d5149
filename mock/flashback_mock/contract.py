"""The parts of the contract that the mock uses, such as the path, schemas, limits and examples."""

import json
import re
from pathlib import Path
from textwrap import shorten
from typing import Any

import jsonschema_rs
import yaml

Json = dict[str, Any]

# In a wheel, the contract is next to this file. In a checkout, it is in the root directory.
# Do not search site-packages: an editable install leaves an outdated copy there.
HERE = Path(__file__).parent
BUNDLED = HERE / "openapi.yaml"
DEFAULT_CONTRACT = BUNDLED if BUNDLED.exists() else HERE.parents[1] / "openapi.yaml"
PARAMETER = re.compile(r"\{[^{}]*\}")  # a path parameter, such as `{id}`
REQUIRED_STATUSES = (200, 400, 401, 403, 404, 500)  # every contract must document these
# CSafeLoader is 8 times faster than SafeLoader, but PyYAML can be built without it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Error messages, keyed by schema keyword.
# `{}` is replaced with the keyword's value in the contract.
RULES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "minLength": "must have at least {} character(s)",
    "maxLength": "must have at most {} characters",
    "required": "missing required field {}",
}


class Contract:
    """The contract's only operation, with its schemas, limits and examples."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Read the contract from `path`, or the bundled contract if `path` is None.

        Raise `ValueError` if the contract cannot be read or lacks a part that the mock needs.
        """
        path = Path(path or DEFAULT_CONTRACT)
        try:
            parsed = yaml.load(path.read_text("utf-8"), LOADER)  # noqa: S506 - both are safe
            # The conversion to JSON and back turns unquoted status codes and dates into strings.
            self.document: Json = json.loads(json.dumps(parsed, default=str))
            self._read_operation()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
        except Exception as error:  # noqa: BLE001 - an invalid contract can cause any error
            problem = shorten(f"{type(error).__name__}: {error}", 200)
            raise ValueError(
                f"{path}: expected an OpenAPI document that has a PUT operation with one path "
                "parameter, a JSON body with x-max-bytes, and an example message for every error; "
                f"got {problem}"
            ) from None

    def _read_operation(self) -> None:
        paths: dict[str, Json] = self.document["paths"]
        self.path, item = next((path, item) for path, item in paths.items() if "put" in item)
        if len(PARAMETER.findall(self.path)) != 1:
            raise ValueError(self.path)
        operation = item["put"]
        body = self._resolve(operation["requestBody"])
        self.media_type, media = next(iter(body["content"].items()))
        self.max_body_bytes = int(body["x-max-bytes"])
        self.examples = self._examples(body)
        properties: Json = self._resolve(media["schema"])["properties"]
        self.fields = {name: self._resolve(schema) for name, schema in properties.items()}
        self._body = self.validator(media["schema"])
        # Responses must never contain these fields.
        self.credentials = frozenset(
            name for name, schema in self.fields.items() if schema.get("writeOnly")
        )
        listed = [*operation.get("parameters", []), *item.get("parameters", [])]
        parameters = map(self._resolve, listed)
        in_path = next(parameter for parameter in parameters if parameter["in"] == "path")
        self._id = self.validator(in_path["schema"])
        responses: Json = operation["responses"]
        self.response_examples: dict[int, dict[str, Json]] = {}
        for status, response in responses.items():
            if status.isdecimal():
                self.response_examples[int(status)] = self._examples(self._resolve(response))
        for required in REQUIRED_STATUSES:
            if not self.response_examples.get(required):
                raise ValueError(f"no example for status {required}")
            self.message(required)  # raises an error if the example has no message
        self.name_taken: str = self.response_examples[400]["nameTaken"]["message"]
        self.version = str(self.document["info"]["version"])

    def example(self, name: str, status: int | None = None) -> tuple[int, Json]:
        """Return the status and body of the first example with this name and, if given, status.

        If no example matches, raise a `ValueError` that lists all examples.
        """
        listed: list[str] = []
        for known_status, examples in self.response_examples.items():
            if name in examples and status in (None, known_status):
                return known_status, examples[name]
            if examples:
                listed.append(f"{known_status} ({', '.join(examples)})")
        raise ValueError("no such example; the contract defines " + ", ".join(listed))

    def message(self, status: int) -> str:
        """Return the message from the first example for a status."""
        message: str = next(iter(self.response_examples[status].values()))["message"]
        return message

    def id_error(self, value: str) -> str | None:
        """Return the error message for an invalid id, or None if the id is valid.

        The message does not contain the id.
        """
        for error in self._id.iter_errors(value):
            return f"id: {violation(error)}"
        return None

    def body_error(self, value: object) -> str | None:
        """Return the error message for an invalid body, or None if the body is valid.

        The message is a single line that contains no values from the body. It reports the first
        error in each field. An error in the body as a whole is reported under the name `body`.
        """
        messages: dict[str, str] = {}
        try:
            for error in self._body.iter_errors(value):
                field = str(error.instance_path[0]) if error.instance_path else "body"
                messages.setdefault(field, f"{field}: {self._field_error(field, error)}")
        except ValueError:  # the nesting is deeper than the validator supports
            return "body: is nested too deeply"
        return "; ".join(messages.values()) or None

    def _field_error(self, field: str, error: jsonschema_rs.ValidationError) -> str:
        if error.kind.name == "additionalProperties":
            # Do not quote the unknown name, which could be a misplaced credential.
            return f"has an unknown field; the known fields are {', '.join(self.fields)}"
        return violation(error, self.fields.get(field, {}).get("x-rule", ""))

    def _examples(self, message: Json) -> dict[str, Json]:
        """Return the examples, keyed by name, for the first media type of a request or response."""
        media: Json = next(iter(message.get("content", {}).values()), {})
        examples: dict[str, Json] = media.get("examples", {})
        return {name: self._resolve(example)["value"] for name, example in examples.items()}

    def _resolve(self, node: Json) -> Json:
        if "$ref" not in node:
            return node
        target: Any = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        return self._resolve(target)

    def validator(self, schema: Json) -> jsonschema_rs.Validator:
        """Return a validator for a schema. The schema can reference other parts of the contract."""
        return jsonschema_rs.validator_for({**self.document, **schema}, validate_formats=True)


def violation(error: jsonschema_rs.ValidationError, description: str = "") -> str:
    """Return the message for a violated rule. The message does not contain the invalid value.

    `description` is the message for keywords that are not in `RULES`, such as `pattern`.
    """
    kind = error.kind
    if kind.name in RULES:
        expected = str(kind.value).strip("[]").replace("'", "")
        return RULES[kind.name].format(expected)
    return description or f"violates the {kind.name} keyword"
