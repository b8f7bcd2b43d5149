"""`$ref` followed: the thing that is meant, or an error that names what leads nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from scripts.compatibility.documents import CannotCompareError
from scripts.compatibility.shapes import is_list, is_mapping

if TYPE_CHECKING:
    from scripts.compatibility.documents import Contract


class References:
    """The references of one contract."""

    def __init__(self, contract: Contract) -> None:
        """Follows nothing yet."""
        self.contract = contract

    def wrong(self, what: str) -> CannotCompareError:
        """The error that names the contract."""
        return CannotCompareError(f"{self.contract.source}: {what}")

    def target(self, reference: object) -> Any:
        """What stands at a reference; raises CannotCompareError where nothing does."""
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise self.wrong(
                f"$ref {reference!r} leads out of the document; bundle it into one file"
            )
        found: Any = self.contract.document
        for part in reference[2:].split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if is_list(found) else found[key]
            except (KeyError, TypeError, ValueError, IndexError):
                raise self.wrong(f"$ref {reference!r} leads nowhere; mend it or add it") from None
        return found

    def inlined(self, part: Any, inside: tuple[str, ...] = ()) -> Any:
        """The part with every reference in it followed but those to what it stands in; no words."""
        if is_list(part):
            return [self.inlined(each, inside) for each in part]
        if not is_mapping(part):
            return part
        reference = part.get("$ref")
        if isinstance(reference, str) and reference not in inside:
            return self.inlined(self.target(reference), (*inside, reference))
        return {
            key: self.inlined(each, inside)
            for key, each in part.items()
            if key not in {"description", "summary"} or not isinstance(each, str)
        }

    def follow(self, thing: Any) -> dict[str, Any]:
        """The mapping that is meant, through any chain of references."""
        seen: list[object] = []
        while is_mapping(thing) and "$ref" in thing:
            reference = thing["$ref"]
            if reference in seen:
                raise self.wrong(f"$ref {reference!r} leads in a circle; one must say what it is")
            seen.append(reference)
            thing = self.target(reference)
        if not is_mapping(thing):
            where = f"$ref {seen[-1]!r} leads to" if seen else "there stands"
            raise self.wrong(f"{where} {str(thing)[:40]!r}, which is no mapping; mend it")
        return thing
