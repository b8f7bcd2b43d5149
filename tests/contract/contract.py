"""What the tests read from the contract, so that no rule of it is typed here again."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

FILE = Path(__file__).parents[2] / "openapi.yaml"
TEXT = FILE.read_text("utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)

PATH = "/ai/llm/{id}"
OPERATION: dict[str, Any] = DOCUMENT["paths"][PATH]["put"]
MEDIA: dict[str, Any] = OPERATION["requestBody"]["content"]["application/json"]
EXAMPLES: dict[str, dict[str, str]] = {k: v["value"] for k, v in MEDIA["examples"].items()}
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
PROPERTIES: dict[str, Any] = {
    name: SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for name, schema in SCHEMAS["UpdateAiLlmRequest"]["properties"].items()
}
CREDENTIALS = [name for name, schema in PROPERTIES.items() if schema.get("writeOnly")]
EXAMPLE_ID: str = OPERATION["parameters"][0]["example"]
STATUSES = {int(status) for status in OPERATION["responses"]}


def path_of(id: str, *, escaped: bool = False) -> str:
    """The operation's path for an id, of which every octet may be percent-encoded."""
    octets = "".join(f"%{octet:02X}" for octet in id.encode())
    return PATH.replace("{id}", octets if escaped else quote(id, safe=""))
