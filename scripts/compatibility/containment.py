"""Whether everything that one schema admits is admitted by another, with a witness where not."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs
from hypothesis import HealthCheck, find, settings
from hypothesis.errors import HypothesisException
from jsonschema_rs.canonical import CanonicalizationError, Containment, Satisfiability

from scripts.compatibility.candidates import Candidates, validator
from scripts.compatibility.documents import CannotCompareError
from scripts.compatibility.domains import TEXTS, Domain, parsed
from scripts.compatibility.findings import told
from scripts.compatibility.hints import Hints
from scripts.compatibility.schemas import MANY, NAMED, ONE
from scripts.compatibility.shapes import is_list, is_mapping, listed, mapping
from scripts.compatibility.shrink import smallest
from scripts.compatibility.trees import proofs

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.compatibility.schemas import Closed, Schema

DRAFT = jsonschema_rs.Draft202012
# How many values at the edges are tried to disprove what is open, and what seems to be proved.
CANDIDATES = 20_000
DOUBTS = 1_000
# The longest schemas, as JSON, that are subtracted: a hundred fields take seconds, more a minute.
LARGE = 8_000
SEARCH = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
Canonical = jsonschema_rs.CanonicalSchema


@dataclass(frozen=True)
class Proof:
    """What came out: it holds, it does not and this value shows it, or nobody knows."""

    holds: bool | None
    witness: Any = None


HOLDS = Proof(holds=True)
UNKNOWN = Proof(holds=None)


_KNOWN: dict[tuple[str, str, Domain], Proof] = {}


def contained(inner: Closed, outer: Closed, domain: Domain) -> Proof:
    """Whether every value that can be sent and that `inner` admits is admitted by `outer`.

    jsonschema_rs proves; a value that both validators were asked about disproves. What is neither
    proved nor disproved is unknown. A proof is held against values at the edges all the same.
    """
    key = (inner.text, outer.text, domain)
    if key not in _KNOWN:
        _KNOWN[key] = _contained(inner, outer, domain)
    return _KNOWN[key]


def _contained(inner: Closed, outer: Closed, domain: Domain) -> Proof:
    if inner.text == outer.text:
        return HOLDS
    if inner.opaque or outer.opaque:
        return UNKNOWN
    small, large = domain.narrowed(inner.schema), domain.narrowed(outer.schema)
    proved = covers(large, small) or (
        _covers_as_text(large, small) if domain.is_text else covers_as_tree(large, small)
    )
    search = _Search(small, large, domain)
    search.hints.values += [*inner.examples, *outer.examples]
    found = search.edges(DOUBTS if proved else CANDIDATES) or (None if proved else search.inner())
    if found is not None:
        return Proof(holds=False, witness=smallest(found.value, search.is_witness))
    return HOLDS if proved else UNKNOWN


def covers(large: Schema, small: Schema) -> bool:
    """Whether jsonschema_rs proves that `large` admits whatever `small` admits."""
    return canonical(large).covers(canonical(small)) == Containment.YES


def covers_as_tree(large: Schema, small: Schema) -> bool:
    """The same by induction, for schemas that hold themselves."""
    return any(all(covers(*each) for each in steps) for steps in proofs(large, small))


def admits_nothing(schema: Schema) -> bool:
    """Whether jsonschema_rs proves that no value is admitted."""
    return canonical(schema).satisfiability() == Satisfiability.NO


def canonical(schema: Schema) -> Canonical:
    """The canonical form; raises CannotCompareError where the schema is none."""
    try:
        return jsonschema_rs.canonicalize(schema, draft=DRAFT, validate_formats=True)
    except (jsonschema_rs.ValidationError, CanonicalizationError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise CannotCompareError(f"a schema is no JSON Schema 2020-12: {what}; mend it") from None


def _covers_as_text(large: Schema, small: Schema) -> bool:
    """The same type by type, where a type may be covered as the texts that spell it."""
    definitions = mapping(small, "$defs")
    for name in (*TEXTS, "string", "array", "object"):
        part: Schema = {"allOf": [small, {"type": name}], "$defs": definitions}
        if covers(large, part) or admits_nothing(part):
            continue
        texts = TEXTS.get(name) or _spelt(part)
        if texts is None or not covers(large, texts):
            return False
    return True


def _spelt(part: Schema) -> Schema | None:
    """The few texts that a schema admits, as what each of them may be read as, if it is few."""
    form = canonical(part).to_json_schema()
    values = listed(form, "enum") or (
        [form["const"]] if is_mapping(form) and "const" in form else []
    )
    return {"enum": [parsed(each) for each in values]} if values else None


@dataclass(frozen=True)
class _Found:
    value: Any


class _Search:
    """A search for a value that one schema admits and the other one refuses."""

    def __init__(self, small: Schema, large: Schema, domain: Domain) -> None:
        self.small, self.large, self.domain = canonical(small), canonical(large), domain
        self.admitted, self.refused = small, large
        self.admits, self.refuses = validator(small, {}), validator(large, {})
        self.hints = Hints()
        for schema in (small, large, self.small.to_json_schema()):
            self.hints.read(schema)

    def is_witness(self, value: Any) -> bool:
        """Whether the value can be sent, the one validator says yes, and the other one no."""
        readings = self.domain.readings(value)
        if any(map(self.refuses.is_valid, readings)) or not any(
            map(self.admits.is_valid, readings)
        ):
            return False
        return self.domain.can_carry(value)

    def difference(self) -> Any:
        """A schema of what only the one admits; None where it cannot be said, or takes long."""
        if len(told([self.admitted, self.refused])) > LARGE:
            return None
        try:
            return self.small.subtract(self.large).to_json_schema()
        except ValueError:
            return None

    def edges(self, most: int) -> _Found | None:
        """The first witness among the values at the edges."""
        for schema in (self.difference(), self.small.to_json_schema()):
            if schema is None:
                continue
            values = Candidates(schema, self.hints).values(schema, 0, self.large.to_json_schema())
            for each in islice(values, most):
                if self.is_witness(each):
                    return _Found(each)
        return None

    def inner(self) -> _Found | None:
        """A witness made around one that was generated for the only part that differs."""
        small, large = _innermost(self.small.to_json_schema(), self.large.to_json_schema())
        part = _Search(small, large, self.domain)
        found = part.generated()
        if found is None or self.is_witness(found.value):
            return found
        self.hints.values.insert(0, found.value)
        return self.edges(CANDIDATES)

    def generated(self) -> _Found | None:
        """A witness by generating from the difference, else from the one and the other side."""
        for schema in (self.difference(), self.small.to_json_schema(), self.large.to_json_schema()):
            try:
                if schema is not None and '"$ref"' not in told(schema):  # a minute for a tree
                    return _Found(_generated(schema, self.is_witness))
            except (HypothesisException, ValueError, OverflowError, RecursionError):
                continue
        return None


def _generated(schema: Any, wanted: Callable[[Any], bool]) -> Any:
    """A small value that is wanted; the same one in every run."""
    same = random.Random(0)  # noqa: S311 # chance that is the same in every run is meant
    return find(_values(schema), wanted, settings=SEARCH, random=same)


def _innermost(small: Any, large: Any) -> tuple[Any, Any]:
    """The two parts that differ where only one part does, else the whole."""
    definitions = [mapping(each, "$defs") for each in (small, large)]
    one, other = small, large
    while (pair := _only(one, other)) is not None:
        one, other = pair
    made: list[Any] = [
        {**part, "$defs": named} if is_mapping(part) and named else part
        for part, named in zip((one, other), definitions, strict=True)
    ]
    return made[0], made[1]


def _only(small: Any, large: Any) -> tuple[Any, Any] | None:
    """The only schema inside either in which the two differ, if that is all."""
    keyword = _differing(small, large)
    if keyword is None:
        return None
    one, other = small[keyword], large[keyword]
    if keyword in ONE:
        return one, other
    if keyword in NAMED | MANY | {"$defs"}:
        held = [dict(enumerate(each)) if is_list(each) else each for each in (one, other)]
        name = _differing(*held)
        return None if name is None else (held[0][name], held[1][name])
    return None


def _differing(small: Any, large: Any) -> Any:
    """The only key at which two mappings differ, where both have it."""
    if not (is_mapping(small) and is_mapping(large)):
        return None
    one, other = small, large
    found = [key for key in one.keys() | other.keys() if told(one.get(key)) != told(other.get(key))]
    return found[0] if len(found) == 1 and found[0] in one and found[0] in other else None


def _values(schema: Any) -> Any:
    """The strategy that schemathesis makes of a schema; raises ValueError where it makes none."""
    from schemathesis.core.errors import SchemathesisError  # noqa: PLC0415 # slow, and seldom needed
    from schemathesis.generation.jsonschema import builder  # noqa: PLC0415
    from schemathesis.specs.openapi import formats  # noqa: PLC0415

    try:
        return builder.build(schema, draft=DRAFT, formats=formats.get_default_format_strategies())
    except SchemathesisError as error:
        raise ValueError(str(error)) from None
