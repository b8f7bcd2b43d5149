"""Whether one schema admits everything that another one admits, with a witness if it does not."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema_rs
from jsonschema_rs.canonical import Containment, Satisfiability

from scripts.compatibility.edges import Edges, validator
from scripts.compatibility.values import (
    TEXTS,
    Carrier,
    canonical_json,
    is_list,
    is_mapping,
    mapping_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Schema = dict[str, Any] | bool
DRAFT = jsonschema_rs.Draft202012
CANDIDATES = 5_000  # values tried to disprove an unproved containment
DOUBTS = 1_000  # values tried to refute a proof: the library may be wrong
LARGE = 8_000  # characters of schemas that are not subtracted: it takes minutes
SECONDS = 0.6  # of CPU for one search
LETTERS = 4_000_000  # of all simplifications that are tried for one witness
SHORT = 40  # letters of a text that are simplified one by one
ONE_ITEM = {"minItems": 1, "maxItems": 1}
COST = 1_000  # letters that a try is worth


@dataclass(frozen=True)
class Proof:
    """Whether containment holds; None if it is neither proved nor disproved by a witness."""

    holds: bool | None
    witness: Any = None


HOLDS = Proof(holds=True)
UNKNOWN = Proof(holds=None)
_KNOWN: dict[tuple[str, str, Carrier], Proof] = {}


def contained(
    small: Schema, large: Schema, carrier: Carrier, examples: tuple[Any, ...] = ()
) -> Proof:
    """Return whether every value that can be sent and `small` admits is admitted by `large`.

    jsonschema_rs proves containment; a value that its validators judge disproves it.
    """
    key = (canonical_json(small), canonical_json(large), carrier)
    if key not in _KNOWN:
        same = key[0] == key[1]
        _KNOWN[key] = HOLDS if same else _contained(small, large, carrier, examples)
    return _KNOWN[key]


def _contained(small: Schema, large: Schema, carrier: Carrier, examples: tuple[Any, ...]) -> Proof:
    small = carrier.sendable(small)
    is_proved = proved(small, large, carrier)
    search = attempt(lambda: _Search(small, large, carrier, examples), None)
    for value in search.values(DOUBTS if is_proved else CANDIDATES) if search else ():
        if search and search.is_witness(value):
            return Proof(holds=False, witness=smallest(value, search.is_witness))
    return HOLDS if is_proved else UNKNOWN


def proved(small: Schema, large: Schema, carrier: Carrier) -> bool:
    """Return whether containment is proved."""
    is_trivial = large in (True, {}) or canonical_json(small) == canonical_json(large)
    if is_trivial or covers(large, small):
        return True
    return carrier.is_text and _covers_as_text(large, carrier.sendable(small), carrier)


def attempt(function: Callable[[], T], otherwise: T) -> T:
    """Call a library function; any exception makes the schema undecided."""
    try:
        return function()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 # a panic of a Rust library is not an Exception
        return otherwise


def covers(large: Schema, small: Schema) -> bool:
    """Return whether jsonschema_rs proves that `large` admits everything `small` admits."""
    return attempt(lambda: canonical(large).covers(canonical(small)) == Containment.YES, False)  # noqa: FBT003


def admits_nothing(schema: Schema) -> bool:
    """Return whether jsonschema_rs proves that no value is admitted."""
    return attempt(lambda: canonical(schema).satisfiability() == Satisfiability.NO, False)  # noqa: FBT003


def canonical(schema: Schema) -> jsonschema_rs.CanonicalSchema:
    """Return the canonical form; formats are assertions."""
    return jsonschema_rs.canonicalize(schema, draft=DRAFT, validate_formats=True)


def _plain_form(schema: Schema) -> Any:
    """Return the canonical form as a schema; the schema itself if there is none."""
    form: Any = attempt(lambda: canonical(schema).to_json_schema(), None)
    return schema if form is None else form


def _covers_as_text(large: Schema, small: Schema, carrier: Carrier) -> bool:
    """Return whether each type is covered, directly or by its text forms."""
    definitions = mapping_at(small, "$defs")
    for name in (*TEXTS, "string", "array", "object"):
        part: Schema = {"allOf": [small, {"type": name}], "$defs": definitions}
        if covers(large, part) or admits_nothing(part):
            continue
        form = mapping_at({"form": _plain_form(part)}, "form")
        values: list[Any] = form.get("enum", [form["const"]] if "const" in form else [])
        if values and all(_is_accepted(large, value, carrier) for value in values):
            continue
        is_list_item = carrier.where == "query" and name not in {"null", "array", "object"}
        if name in TEXTS and covers(large, TEXTS[name]):
            continue
        if is_list_item and covers(large, {"type": "array", "items": part, **ONE_ITEM}):
            continue
        if not (name == "array" and _covers_items(large, form, carrier)):
            return False
    return True


def _covers_items(large: Schema, small: Schema, carrier: Carrier) -> bool:
    """Return whether lists are covered if each item is, as it is or as its text."""
    plain = _plain_form(large)
    if carrier.where != "query" or not (is_mapping(plain) and is_mapping(small)):
        return False
    if {*plain, *small} - {"$schema", "type", "items", "minItems", "maxItems"}:
        return False  # other rules may depend on what the items are
    sizes = [{**side, "items": True} for side in (plain, small)]
    is_item_covered = _covers_as_text(plain.get("items", True), small.get("items", True), carrier)
    return is_item_covered and covers(*sizes)


def _is_accepted(large: Schema, value: Any, carrier: Carrier) -> bool:
    is_composed = is_list(value) or is_mapping(value)
    readings = [value] if is_composed else carrier.readings(value)
    is_valid = validator(large, {}).is_valid
    return any(map(is_valid, readings))


class _Search:
    """A search for a value that one schema admits and the other one refuses."""

    def __init__(
        self, small: Schema, large: Schema, carrier: Carrier, examples: tuple[Any, ...]
    ) -> None:
        self.carrier = carrier
        self.declared = canonical_json(small)
        self.admits = validator(small, {}).is_valid
        self.accepts = validator(large, {}).is_valid
        # As they are, too: the canonical form merges alternatives that differ in the other schema.
        self.forms = [(_plain_form(small), _plain_form(large)), (small, large)]
        if len(self.declared) + len(canonical_json(large)) < LARGE:
            difference = attempt(lambda: canonical(small).subtract(canonical(large)), None)
            if difference is not None:
                self.forms.insert(0, (difference.to_json_schema(), self.forms[0][1]))
        self.edges = Edges([large, *(form for form, _ in self.forms)], examples)

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

    def values(self, most: int) -> Iterator[Any]:
        """Yield values at the edges, until the time is over."""
        yield from self.edges.mentioned
        end = time.process_time() + SECONDS
        for form, other in self.forms:
            for i, value in enumerate(islice(self.edges.values(form, 0, other), most)):
                yield value
                if i % 16 == 0 and time.process_time() - self.edges.waited > end:
                    return


def smallest(value: Any, holds: Callable[[Any], bool]) -> Any:
    """Return a value that no single simplification makes smaller while `holds` is true of it."""
    letters = LETTERS
    found: Any = value
    while letters > 0:
        value = found
        for simpler in simplifications(value):
            letters -= len(canonical_json(simpler)) + COST
            if letters < 0 or (_size(simpler) < _size(value) and holds(simpler)):
                found = simpler if letters > 0 else value
                break
        else:
            return value
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
            yield from ({**value, name: simpler} for simpler in simplifications(inner))
    elif is_list(value):
        yield value[: len(value) // 2]
        for i, item in enumerate(value):
            yield value[:i] + value[i + 1 :]
            for simpler in simplifications(item):
                yield [*value[:i], simpler, *value[i + 1 :]]
    elif isinstance(value, str):
        yield from ("", "a", value[: len(value) // 2], value[1:], value[:-1], "a" * len(value))
        for i, letter in enumerate(value[:SHORT]):
            if letter not in "a0":
                yield from (value[:i] + plain + value[i + 1 :] for plain in ("", "a", "0"))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (0, 1, int(value), round(value, 1))
