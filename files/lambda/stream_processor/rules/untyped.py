# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DynamoDB JSON as plain values, with nothing of a number lost: what expressions compare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

_WHOLE = re.compile(r"-?[0-9]{1,130}")


class Unreadable(ValueError):
    """A value that is not DynamoDB JSON. Says nothing of the value."""

    def __init__(self) -> None:
        super().__init__("an attribute is not DynamoDB JSON")


def untyped(value: Any) -> Any:
    """The value without its DynamoDB type: text, int or Decimal, bool, None, list or dict.

    A set has no order, so it becomes a sorted list. Binary stays the base64 text that it is in a stream record.
    """
    try:
        ((kind, content),) = value.items()
        return _PLAIN[kind](content)
    except (AttributeError, InvalidOperation, KeyError, TypeError, ValueError):
        raise Unreadable from None


def number(text: str) -> int | Decimal:
    """The number that DynamoDB, or JSON, spells so. Decimal keeps all of the 38 digits that DynamoDB has."""
    if _WHOLE.fullmatch(text):
        return int(text)
    value = Decimal(text)
    if not value.is_finite():
        raise Unreadable
    return value


class Image:
    """The attributes of one item, each made plain when it is first asked for: an image can be 400 KB."""

    __slots__ = ("_plain", "_typed")

    def __init__(self, typed: dict[str, Any]):
        self._typed = typed
        self._plain: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        """The attribute's plain value, None when there is none of that name."""
        if name not in self._plain:
            typed = self._typed.get(name)
            self._plain[name] = None if typed is None else untyped(typed)
        return self._plain[name]

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._typed)

    def __len__(self) -> int:
        return len(self._typed)


def _as_it_is(kind: type) -> Callable[[Any], Any]:
    def checked(content: Any) -> Any:
        if not isinstance(content, kind):
            raise Unreadable
        return content

    return checked


_text = _as_it_is(str)


def _texts(content: list[str]) -> list[str]:
    return sorted(map(_text, content))


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": number,
    "B": _text,
    "BOOL": _as_it_is(bool),
    "NULL": lambda _content: None,
    "SS": _texts,
    "NS": lambda content: sorted(map(number, content)),
    "BS": _texts,
    "L": lambda content: [untyped(member) for member in content],
    "M": lambda content: {name: untyped(member) for name, member in content.items()},
}
