"""Whether a contract can be compared at all: valid OpenAPI 3.1, every reference leads somewhere."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scripts.compatibility.references import References
from scripts.compatibility.shapes import is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.compatibility.documents import Contract

# What stands under these keys is a value, in which `$ref` would be a word like any other.
VALUES = {"example", "examples", "default", "enum", "const"}


def must_be_valid(contract: Contract) -> None:
    """Raises CannotCompareError, with the place and the cure, where it is not valid."""
    references = References(contract)
    for each in _references(contract.document):
        references.target(each)
    # Half a second, so only here; it tells the type checkers nothing.
    validator: Any = import_module("openapi_spec_validator.schemas").openapi_v31_schema_validator
    for error in validator.iter_errors(contract.document):
        place = "/".join(map(str, error.absolute_path)) or "the document"
        what = error.message.partition("\n")[0][:200]
        raise references.wrong(f"{place} is not as OpenAPI 3.1 has it ({what}); mend it")


def _references(part: Any) -> Iterator[Any]:
    """Every reference in a part of the document."""
    if is_list(part):
        for each in part:
            yield from _references(each)
    elif is_mapping(part):
        for key, value in part.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            elif key not in VALUES:
                yield from _references(value)
