"""Whether one schema admits everything that another one admits, with a witness if it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from jsonschema_rs.canonical import Containment

from scripts.compatibility.edges import (
    Edges,
    Effort,
    ExhaustedError,
    attempt,
    canonical,
    constants,
    plain_form,
)
from scripts.compatibility.values import TEXTS, Carrier, canonical_json, is_list, is_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Schema = dict[str, Any] | bool
ALL = 60_000  # values that all searches of a comparison try: about 2 seconds
ONE = 10_000  # values that one search tries
DOUBTS = 500  # values that may refute a proof: the library may be wrong
LETTERS = 2_000_000  # of all simplifications that are tried for one witness
TRY = 1_000  # letters that a try is worth
SHORT = 40  # letters of a text that are simplified one by one
SCALARS = {"type": ["string", "number", "boolean"]}
LIST = {"$schema", "type", "items", "minItems", "maxItems"}


@dataclass(frozen=True)
class Proof:
    """Whether containment holds; None if it is neither proved nor disproved by a witness."""

    holds: bool | None
    witness: Any = None


HOLDS = Proof(holds=True)
UNKNOWN = Proof(holds=None)


@dataclass
class Prover:
    """The proofs of one comparison, which share an effort: the same in every run."""

    effort: Effort = field(default_factory=lambda: Effort(ALL))
    known: dict[tuple[str, str, Carrier], Proof] = field(default_factory=dict)

    def contained(
        self, small: Schema, large: Schema, carrier: Carrier, examples: list[Any]
    ) -> Proof:
        """Return whether every value that can be sent and `small` admits is admitted by `large`.

        jsonschema_rs proves containment; a value that its validators judge disproves it.
        """
        key = (canonical_json(small), canonical_json(large), carrier)
        if key[0] == key[1]:
            return HOLDS
        if key not in self.known:
            self.known[key] = self._contained(small, large, carrier, examples)
        return self.known[key]

    def _contained(
        self, small: Schema, large: Schema, carrier: Carrier, examples: list[Any]
    ) -> Proof:
        is_proved = proved(small, large, carrier)
        search = attempt(lambda: _Search(small, large, carrier, examples), None)
        if search:
            effort = self.effort.part(DOUBTS if is_proved else ONE)
            for value in search.values(effort):
                if search.is_witness(value):
                    return Proof(holds=False, witness=smallest(value, search.is_witness))
        return HOLDS if is_proved else UNKNOWN


def proved(small: Schema, large: Schema, carrier: Carrier) -> bool:
    """Return whether containment is proved."""
    if large in (True, {}) or canonical_json(small) == canonical_json(large):
        return True
    if carrier.where == "path":  # a segment of a path is not empty
        small = {"allOf": [small, {"not": {"const": ""}}]}
    if covers(large, small):
        return True
    return carrier.is_text and covers(_readable(large, carrier, list(constants(small))), small)


def covers(large: Schema, small: Schema) -> bool:
    """Return whether jsonschema_rs proves that `large` admits everything `small` admits."""
    return attempt(lambda: canonical(large).covers(canonical(small)) == Containment.YES, False)  # noqa: FBT003


def _readable(schema: Schema, carrier: Carrier, values: list[Any]) -> Schema:
    """Return a schema of values whose text the schema accepts, `values` among them."""
    is_valid = validator(schema).is_valid
    accepted = [value for value in values if any(map(is_valid, carrier.readings(value)))]
    options: list[Schema] = [schema, {"enum": accepted}]
    options += [{"type": name} for name, texts in TEXTS.items() if covers(schema, texts)]
    plain = plain_form(schema)
    if carrier.where == "query" and is_mapping(plain) and plain.get("type") == "array":
        sizes = {name: plain[name] for name in ("minItems", "maxItems") if name in plain}
        if plain.keys() <= LIST:  # other rules may depend on what the items are
            items = _readable(plain.get("items", True), carrier, values)
            options.append({"type": "array", "items": items, **sizes})
            if covers({"type": "array", **sizes}, {"type": "array", "minItems": 1, "maxItems": 1}):
                options.append({"allOf": [items, SCALARS]})
    return {"anyOf": [option for option in options if option != {"enum": []}]}


def validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a schema, formats included."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


class _Search:
    """A search for a value that one schema admits and the other one refuses."""

    def __init__(self, small: Schema, large: Schema, carrier: Carrier, examples: list[Any]) -> None:
        self.carrier = carrier
        self.declared = canonical_json(small)
        self.admits = validator(small).is_valid
        self.accepts = validator(large).is_valid
        self.schemas: list[Any] = [small, large]
        difference = attempt(lambda: canonical(small).subtract(canonical(large)), None)
        if difference is not None:
            self.schemas.insert(0, difference.to_json_schema())
        self.examples = examples

    def is_witness(self, value: Any) -> bool:
        """Return whether the value can be sent, is admitted, and is refused however it is read."""
        return attempt(lambda: self._is_witness(value), False)  # noqa: FBT003

    def _is_witness(self, value: Any) -> bool:
        if not self.admits(value) or self.accepts(value) or not self.carrier.can_carry(value):
            return False
        if self.carrier.is_text and not isinstance(value, str):  # without a type, text is a string
            words = ['"array"'] if is_list(value) else ['"type"', '"enum"', '"const"']
            if not any(word in self.declared for word in words):
                return False
        return not any(map(self.accepts, self.carrier.readings(value)))

    def values(self, effort: Effort) -> Iterator[Any]:
        """Yield values at the edges, until the effort is exhausted."""
        try:
            edges = Edges(self.schemas, self.examples, effort)
            yield from edges.values(self.schemas[0])
        except ExhaustedError:
            return


def smallest(value: Any, holds: Callable[[Any], bool]) -> Any:
    """Return a value that no single simplification makes smaller while `holds` is true of it."""
    letters = LETTERS
    while True:
        for simpler in simplifications(value):
            size = _size(simpler)
            letters -= size[0] + TRY
            if letters < 0:
                return value
            if size < _size(value) and holds(simpler):
                value = simpler
                break
        else:
            return value


def _size(value: Any) -> tuple[int, str]:
    """Order short values before long ones, and lower case before upper case."""
    written = canonical_json(value)
    return len(written), written.swapcase()


def simplifications(value: Any) -> Iterator[Any]:
    """Yield values that are one step simpler."""
    if is_mapping(value):
        for name, inner in value.items():
            yield {key: part for key, part in value.items() if key != name}
            for simpler in simplifications(inner):
                yield {**value, name: simpler}
    elif is_list(value):
        yield value[: len(value) // 2]
        for i, item in enumerate(value):
            yield [*value[:i], *value[i + 1 :]]
            for simpler in simplifications(item):
                yield [*value[:i], simpler, *value[i + 1 :]]
    elif isinstance(value, str):
        yield from ("", "a", value[: len(value) // 2], value[1:], value[:-1], "a" * len(value))
        for i, letter in enumerate(value[:SHORT]):
            if letter not in "a0":
                for plain in ("", "a", "0"):
                    yield value[:i] + plain + value[i + 1 :]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (0, 1, int(value), round(value, 1))
