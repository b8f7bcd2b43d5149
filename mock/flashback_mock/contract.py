"""What the contract says of its operation: path, body, limits and messages."""

from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote_to_bytes

import jsonschema_rs
import yaml

Json = dict[str, Any]

URN = "urn:contract"
STATUSES = (200, 400, 401, 403, 404, 500)  # those that the mock answers
MOST_REFERENCES = 100  # that lead from one to the next

# How a broken rule reads; {} is the rule's own value, which stands in the contract.
RULES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "minLength": "must have at least {} character(s)",
    "maxLength": "must have at most {} characters",
}


def default_path() -> Path:
    """Where the contract lies: beside this file in a wheel, at the root of a checkout."""
    here = Path(__file__).parent
    # An editable install leaves a stale copy in site-packages, which is not beside this file.
    packed = here / "openapi.yaml"
    return packed if packed.exists() else here.parents[1] / "openapi.yaml"


class Contract:
    """The contract's one operation, as the mock needs it.

    Raises `ValueError` that names the file, what is wrong and the cure.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read the contract from `path`; by default the one that came with this mock."""
        path = path or default_path()
        self.document = _read(path)
        try:
            self._read_operation()
        except Exception as error:  # noqa: BLE001 - a contract can be wrong in any way
            lacking = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise ValueError(
                f"{path}: the mock serves one PUT with a path parameter, a JSON body, its "
                f"x-max-bytes, and an example message for every error; here: {lacking}"
            ) from None

    def _read_operation(self) -> None:
        paths: dict[str, Json] = self.document["paths"]
        self.path, item = next((path, item) for path, item in paths.items() if "put" in item)
        self._segments = self.path.encode().split(b"/")
        operation, pointer = item["put"], ["paths", self.path, "put"]
        body = operation["requestBody"]
        self.media_type, media = next(iter(body["content"].items()))
        self.max_body_bytes = int(body["x-max-bytes"])
        self.fields = {
            name: self._resolve(schema)
            for name, schema in self._resolve(media["schema"])["properties"].items()
        }
        self._body = self._validator(*pointer, "requestBody", "content", self.media_type, "schema")
        self.parameters = [self._resolve(parameter) for parameter in operation["parameters"]]
        number = str([parameter["in"] for parameter in self.parameters].index("path"))
        self._id = self._validator(*pointer, "parameters", number, "schema")
        self.answers = {
            status: _examples(self._resolve(operation["responses"][str(status)]))
            for status in STATUSES
        }
        self.name_taken: str = self.answers[400]["nameTaken"]["message"]
        self.examples = {name: example["value"] for name, example in media["examples"].items()}
        self.version = str(self.document["info"]["version"])

    @cached_property
    def credentials(self) -> frozenset[str]:
        """The fields that no response may carry: those that the contract calls `writeOnly`."""
        return frozenset(name for name, schema in self.fields.items() if schema.get("writeOnly"))

    def id_of(self, raw_path: bytes) -> bytes | None:
        """The path parameter's octets after percent-decoding; None for any other path."""
        given, wanted = raw_path.split(b"/"), self._segments
        if b"%" in raw_path:
            given = [unquote_to_bytes(segment) for segment in given]
        if len(given) != len(wanted):
            return None
        found = b""
        for segment, literal in zip(given, wanted, strict=True):
            if literal.startswith(b"{"):
                found = segment
            elif segment != literal:
                return None
        return found

    def example(self, code: str = "", name: str = "") -> tuple[int, Json]:
        """The first example of this status, of this name, or both.

        Raises `LookupError` that names those that there are.
        """
        for status, examples in self.answers.items():
            for its_name, example in examples.items():
                if code in ("", str(status)) and name in ("", its_name):
                    return status, example
        named = (f"code={status} ({', '.join(its)})" for status, its in self.answers.items())
        raise LookupError("there is no such example; there are " + ", ".join(named))

    def message(self, status: int) -> str:
        """The message of a status's first example."""
        message: str = next(iter(self.answers[status].values()))["message"]
        return message

    def why_not_id(self, value: str) -> str | None:
        """The rule that an id breaks, without its value; None if it breaks none."""
        return next((f"id: {rule(e)}" for e in self._id.iter_errors(value)), None)

    def why_not_body(self, value: object) -> str | None:
        """The first rule that each field breaks, without any value; None if the body is valid."""
        whys = self.whys_not_body(value)
        return "; ".join(f"{field}: {why}" for field, why in whys.items()) or None

    def whys_not_body(self, value: object) -> dict[str, str]:
        """The same, by field; what breaks a rule of the whole is the field `body`."""
        whys: dict[str, str] = {}
        try:
            errors = list(self._body.iter_errors(value))
        except ValueError:  # nested deeper than the validator goes
            return {"body": "is nested too deeply"}
        for error in errors:
            field = str(error.instance_path[0]) if error.instance_path else "body"
            whys.setdefault(field, self._why_not_field(field, error))
        return whys

    def _why_not_field(self, field: str, error: jsonschema_rs.ValidationError) -> str:
        if error.kind.name == "additionalProperties":
            # Its name is the caller's, and could be a credential at the wrong place.
            return f"has an unknown field; the fields are {', '.join(self.fields)}"
        return rule(error, self.fields.get(field, {}).get("x-rule", ""))

    def _resolve(self, node: Json) -> Json:
        for _ in range(MOST_REFERENCES):
            if "$ref" not in node:
                return node
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        raise ValueError("a $ref leads to itself")

    def _validator(self, *pointer: str) -> jsonschema_rs.Validator:
        parts = (part.replace("~", "~0").replace("/", "~1") for part in pointer)
        return jsonschema_rs.validator_for(
            {"$ref": f"{URN}#/" + "/".join(map(quote, parts))},
            registry=jsonschema_rs.Registry([(URN, self.document)]),
            validate_formats=True,
        )


def _read(path: Path) -> Json:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError, yaml.YAMLError):  # a date that is none is a ValueError
        why = "cannot be read: it is not YAML in UTF-8"
    else:
        if isinstance(document, dict):
            return cast("Json", document)
        why = "is no OpenAPI document"
    raise ValueError(f"{path}: {why}; --contract names another")


def _examples(response: Json) -> dict[str, Json]:
    media = next(iter(response["content"].values()))
    examples = {name: example["value"] for name, example in media["examples"].items()}
    _ = [example["message"] for example in examples.values()]  # or it is no contract of ours
    return examples


def rule(error: jsonschema_rs.ValidationError, in_words: str = "") -> str:
    """What was asked for, in words, never what was given."""
    keyword, asked = error.kind.name, error.kind.value
    if keyword in RULES:
        return RULES[keyword].format(str(asked).strip("[]").replace("'", ""))
    # A regular expression explains itself to nobody.
    return in_words or f"breaks its {keyword}"
