# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What expressions compute with: JMESPath's types, truth, equality, order and functions, numbers exact.

JMESPath's own Python library computes with floats and refuses Decimal, so its parser is used and not its interpreter.
https://jmespath.org/specification.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from .untyped import Image, Unreadable, number

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class EvaluationError(Exception):
    """A function was given a value it has no answer for. Names types and never values."""


def kind_of(value: Any) -> str:
    """The value's type as JMESPath names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, Decimal)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def is_true(value: Any) -> bool:
    """Everything is, but null, false and what is empty. The number 0 is true, in JMESPath."""
    return bool(value) or is_number(value)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def same(one: Any, other: Any) -> bool:
    """Equality by value: 1 is 1.0, and true is not 1, however deep inside."""
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    kind = kind_of(one)
    if kind != kind_of(other):
        return False
    if kind == "array":
        return len(one) == len(other) and all(same(member, other[place]) for place, member in enumerate(one))
    if kind == "object":
        return set(one) == set(other) and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


@dataclass(frozen=True)
class Function:
    """A function: the types that each argument may have (empty: any), and what it does."""

    takes: tuple[tuple[str, ...], ...]
    run: Callable[..., Any]
    variadic: bool = False

    def misfit(self, arguments: Sequence[Any]) -> tuple[str, str] | None:
        """The type of the first argument that does not fit, and what is wanted instead. Null always fits."""
        for place, kinds in enumerate(self.takes):
            kind = kind_of(arguments[place])
            if kinds and kind != "null" and kind not in kinds:
                return kind, " or ".join(kinds)
        return None

    def call(self, name: str, arguments: Sequence[Any]) -> Any:
        """The answer; null where an argument that must have a type is null, because its attribute is not there."""
        misfit = self.misfit(arguments)
        if misfit:
            raise EvaluationError(f"{name}() was given {misfit[0]} where it takes {misfit[1]}")
        if any(kinds and arguments[place] is None for place, kinds in enumerate(self.takes)):
            return None
        return self.run(*arguments)


def _abs(value: int | Decimal) -> int | Decimal:
    # abs() would round a Decimal to 28 digits.
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


def _contains(subject: str | list[Any], search: Any) -> bool:
    if isinstance(subject, str):
        return isinstance(search, str) and search in subject
    return any(same(member, search) for member in subject)


def _not_null(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _to_number(value: Any) -> int | Decimal | None:
    if not isinstance(value, str):
        return value if is_number(value) else None
    try:
        return number(value) if _JSON_NUMBER.fullmatch(value) else None
    except (InvalidOperation, Unreadable):  # an exponent that nothing can hold
        return None


FUNCTIONS = {
    "abs": Function((("number",),), _abs),
    "contains": Function((("string", "array"), ()), _contains),
    "ends_with": Function((("string",), ("string",)), str.endswith),
    "length": Function((("string", "array", "object"),), len),
    "not_null": Function(((),), _not_null, variadic=True),
    "starts_with": Function((("string",), ("string",)), str.startswith),
    "to_number": Function(((),), _to_number),
    "type": Function(((),), kind_of),
}

#: What may be asked for a member.
OBJECTS = (dict, Image)
