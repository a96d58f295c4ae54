# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DynamoDB JSON as it stands in a stream record: checked, compared, made ready for a request. Pure.

Binary values are base64 text here, as in the function's event and in the envelope; only a request to DynamoDB
has them as bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

#: What the function escapes, since SNS does not take it.
_NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")
_SETS = {"SS": "S", "NS": "N", "BS": "B"}
_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
#: DynamoDB keeps 38 significant digits, of a magnitude up to 10 to the 126th.
_MOST_DIGITS = 38
_MOST_EXPONENT = 125
_LEAST_EXPONENT = -130


def attributes_problem(attributes: dict[str, Any]) -> str | None:
    """The first thing wrong with what a user gave as attributes, with its place; None when all is well."""
    for name, value in attributes.items():
        for problem in _problems(value, str(name)):
            return problem
    return None


def in_stream_form(value: Any) -> Any:
    """A checked attribute value as a stream record would hold it: numbers as text, in DynamoDB's spelling."""
    ((kind, content),) = value.items()
    if kind == "N":
        content = _spelled(content)
    elif kind == "NS":
        content = [_spelled(each) for each in content]
    elif kind == "L":
        content = [in_stream_form(each) for each in content]
    elif kind == "M":
        content = {name: in_stream_form(each) for name, each in content.items()}
    return {kind: content}


def in_request_form(value: Any) -> Any:
    """An attribute value as boto3 wants it: binary as bytes."""
    ((kind, content),) = value.items()
    if kind == "B":
        content = base64.b64decode(content)
    elif kind == "BS":
        content = [base64.b64decode(each) for each in content]
    elif kind == "L":
        content = [in_request_form(each) for each in content]
    elif kind == "M":
        content = {name: in_request_form(each) for name, each in content.items()}
    return {kind: content}


def in_json_form(value: dict[str, Any]) -> dict[str, Any]:
    """An attribute value of boto3 as it stands in an event: binary as base64."""
    ((kind, content),) = value.items()
    if kind == "B":
        content = base64.b64encode(content).decode()
    elif kind == "BS":
        content = [base64.b64encode(each).decode() for each in content]
    elif kind == "L":
        content = [in_json_form(each) for each in content]
    elif kind == "M":
        content = {name: in_json_form(each) for name, each in content.items()}
    return {kind: content}


def same_attributes(one: Any, other: Any) -> bool:
    """Whether two images hold the same: 1.50 is 1.5, a set has no order. What is no image is like nothing."""
    try:
        return _comparable({"M": one}) == _comparable({"M": other})
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        return False


def item_hash(keys: dict[str, Any]) -> str:
    """Names an item without showing its keys, in audit object names and in reports.

    The first 16 hex digits of the SHA-256 over the keys' canonical JSON; the function in files/lambda has the same.
    """
    return hashlib.sha256(canonical_json(keys).encode("utf-8")).hexdigest()[:16]


def canonical_json(value: Any) -> str:
    """Compact JSON with sorted members: equal text for equal keys."""
    text = _CANONICAL.encode(value)
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _spelled(number: str | int) -> str:
    """A number without the zeros that DynamoDB cuts off. Filters compare the spelling."""
    text = format(Decimal(str(number)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _comparable(value: dict[str, Any]) -> tuple[str, Any]:
    ((kind, content),) = value.items()
    if kind == "N":
        return kind, Decimal(content)
    if kind == "NS":
        return kind, sorted(Decimal(each) for each in content)
    if kind in _SETS:
        return kind, sorted(content)
    if kind == "L":
        return kind, [_comparable(each) for each in content]
    if kind == "M":
        return kind, {name: _comparable(each) for name, each in content.items()}
    return kind, content


def _problems(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict) or len(value) != 1:
        yield f'{path} must be DynamoDB JSON with one type, such as {{"S": "text"}} or {{"N": "5"}}'
        return
    ((kind, content),) = value.items()
    if kind in _SETS:
        yield from _set_problems(kind, content, path)
    elif kind == "L" and isinstance(content, list):
        for position, each in enumerate(content):
            yield from _problems(each, f"{path}[{position}]")
    elif kind == "M" and isinstance(content, dict):
        for name, each in content.items():
            yield from _problems(each, f"{path}.{name}")
    elif kind in _SCALARS:
        check, takes = _SCALARS[kind]
        if not check(content):
            yield f"{path}: {kind} takes {takes}"
    else:
        yield f"{path} has {kind} with a value that is none of its kind; the types are {', '.join(_TYPES)}"


def _set_problems(kind: str, content: Any, path: str) -> Iterator[str]:
    check, takes = _SCALARS[_SETS[kind]]
    if not isinstance(content, list) or not content or not all(check(each) for each in content):
        yield f"{path}: {kind} takes a list that is not empty, each member {takes}"
        return
    members = [Decimal(str(each)) for each in content] if kind == "NS" else content
    if len(set(members)) != len(members):
        yield f"{path}: {kind} holds a member twice"


def _is_number(value: Any) -> bool:
    # A float has been rounded before it comes here, so only text and whole numbers are taken.
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return False
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return False
    if not number.is_finite():
        return False
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    return len(digits) <= _MOST_DIGITS and (not digits or _LEAST_EXPONENT <= number.adjusted() <= _MOST_EXPONENT)


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    except (binascii.Error, ValueError):
        return False


_SCALARS = {
    "S": (lambda value: isinstance(value, str), "a string"),
    "N": (_is_number, 'a number of up to 38 digits as a string, such as "1.5", or a whole number'),
    "B": (_is_base64, "base64 text"),
    "BOOL": (lambda value: isinstance(value, bool), "true or false"),
    "NULL": (lambda value: value is True, "true"),
}
_TYPES = ("S", "N", "B", "BOOL", "NULL", "M", "L", *_SETS)
