"""UNSET, the value of a field that is left out."""

from __future__ import annotations

from typing import Final, Literal, Self, final


@final
class Unset:
    """The type of UNSET: a field that is left out. There is one, in copies and pickles too."""

    __slots__ = ()
    _only: Self | None = None

    def __new__(cls) -> Self:
        """Return the only one."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
