"""Whether one schema admits everything that another one admits, with a witness if it does not."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import jsonschema_rs
from jsonschema_rs.canonical import Containment, Satisfiability

from scripts.compatibility.carriers import TEXTS, Carrier
from scripts.compatibility.edges import Edges, Hints, validator
from scripts.compatibility.json_values import canonical_json, is_list, is_mapping, mapping_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Schema = dict[str, Any] | bool
DRAFT = jsonschema_rs.Draft202012
CANDIDATES = 5_000  # values tried to disprove what is not proved
DOUBTS = 1_000  # and what is: the library may err
LARGE = 8_000  # characters of schemas that are not subtracted: it takes minutes
SECONDS = 1.0  # of CPU for one search
STEPS = 3_000  # of one simplification, and its characters in all
LETTERS = 4_000_000


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
    """Call a function of a library: whatever it raises makes one schema undecided."""
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


def _covers_as_text(large: Schema, small: Schema, carrier: Carrier) -> bool:
    """Return whether each type is covered, as it is or as the texts that are sent for it."""
    definitions = mapping_at(small, "$defs")
    for name in (*TEXTS, "string", "array", "object"):
        part: Schema = {"allOf": [small, {"type": name}], "$defs": definitions}
        if covers(large, part) or admits_nothing(part):
            continue
        values = _few_values(part)
        if values:
            if not all(_is_accepted(large, value, carrier) for value in values):
                return False
        elif name not in TEXTS or not covers(large, TEXTS[name]):
            return False
    return True


def _few_values(part: Schema) -> list[Any]:
    """Return the values that a schema admits, if they are few."""
    form = attempt(lambda: canonical(part).to_json_schema(), None)
    if not is_mapping(form):
        return []
    return form.get("enum", [form["const"]] if "const" in form else [])


def _is_accepted(large: Schema, value: Any, carrier: Carrier) -> bool:
    is_valid = validator(large, {}).is_valid
    if is_list(value) or is_mapping(value):
        return is_valid(value)
    return any(map(is_valid, carrier.readings(value)))


class _Search:
    """A search for a value that one schema admits and the other one refuses."""

    def __init__(
        self, small: Schema, large: Schema, carrier: Carrier, examples: tuple[Any, ...]
    ) -> None:
        self.small = small
        self.large = large
        self.carrier = carrier
        self.admits = validator(small, {})
        self.accepts = validator(large, {})
        self.declared = canonical_json(small)
        self.hints = Hints()
        for schema in (small, large, self.form(small)):
            self.hints.read(schema)
        self.hints.values += examples

    def is_witness(self, value: Any) -> bool:
        """Return whether the value can be sent, is admitted, and is refused however it is read."""
        return attempt(lambda: self._is_witness(value), False)  # noqa: FBT003

    def _is_witness(self, value: Any) -> bool:
        if not self.admits.is_valid(value) or self.accepts.is_valid(value):
            return False
        if not self.carrier.can_carry(value) or not self.is_meant(value):
            return False
        readings = self.carrier.readings(value)
        return bool(readings) and not any(map(self.accepts.is_valid, readings))

    def is_meant(self, value: Any) -> bool:
        """Return whether the type is declared: text without a type is just text."""
        if not self.carrier.is_text or isinstance(value, str):
            return True
        if is_list(value):
            return '"array"' in self.declared
        return any(word in self.declared for word in ('"enum"', '"const"', '"type"'))

    def form(self, schema: Schema) -> Any:
        return attempt(lambda: canonical(schema).to_json_schema(), schema)

    def difference(self) -> Any:
        """Return a schema of what only the one admits, or None."""
        if len(self.declared) + len(canonical_json(self.large)) > LARGE:
            return None
        return attempt(
            lambda: canonical(self.small).subtract(canonical(self.large)).to_json_schema(), None
        )

    def values(self, most: int) -> Iterator[Any]:
        """Yield values at the edges, until the time is over."""
        yield from self.hints.values
        end = time.process_time() + SECONDS
        other = self.form(self.large)
        for schema in (self.difference(), self.form(self.small)):
            if schema is not None:
                for value in islice(Edges(schema, self.hints).values(schema, 0, other), most):
                    yield value
                    if time.process_time() > end:
                        return


def smallest(value: Any, holds: Callable[[Any], bool]) -> Any:
    """Return a value that no single simplification makes smaller while `holds` is true of it."""
    size = _size(value)
    steps = letters = 0
    improved = True
    while improved:
        improved = False
        for simpler in simplifications(value):
            simpler_size = _size(simpler)
            steps += 1
            letters += simpler_size[0]
            if steps > STEPS or letters > LETTERS:
                return value
            if simpler_size < size and holds(simpler):
                value = simpler
                size = simpler_size
                improved = True
                break
    return value


def _size(value: Any) -> tuple[int, str]:
    """Order short values before long ones, and lower case before upper case."""
    written = json.dumps(value)
    return len(written), written.swapcase()


def simplifications(value: Any) -> Iterator[Any]:
    """Yield values that are one step simpler."""
    if is_mapping(value):
        for name in value:
            yield {key: inner for key, inner in value.items() if key != name}
        for name, inner in value.items():
            yield from ({**value, name: simpler} for simpler in simplifications(inner))
    elif is_list(value):
        yield value[: len(value) // 2]
        for i, item in enumerate(value):
            rest = value[i + 1 :]
            yield [*value[:i], *rest]
            yield from ([*value[:i], simpler, *rest] for simpler in simplifications(item))
    elif isinstance(value, str):
        yield from _simpler_texts(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (0, 1, int(value), round(value, 1))


def _simpler_texts(value: str) -> Iterator[str]:
    """Yield shorter texts, halves first, then plain letters."""
    yield from ("", "a", value[: len(value) // 2])
    for size in (64, 8, 1):
        if len(value) > size:
            yield value[:-size]
            yield value[size:]
    yield "a" * len(value)
    for i, letter in enumerate(value[:40]):
        if letter not in "a0":
            rest = value[i + 1 :]
            yield f"{value[:i]}a{rest}"
            yield f"{value[:i]}0{rest}"
            yield value[:i] + rest
