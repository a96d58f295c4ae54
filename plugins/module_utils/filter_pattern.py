# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter patterns of event source mappings: read, written in one way, checked without asking AWS. Pure.

The syntax is EventBridge's: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

MAXIMUM_LENGTH = 4096

_IMAGES = ("Keys", "NewImage", "OldImage")
_ATTRIBUTE_TYPES = ("B", "BOOL", "BS", "L", "M", "N", "NS", "NULL", "S", "SS")


def parse(pattern: Any) -> dict[str, Any]:
    """The pattern as a dict, whether it is given as one or as JSON text. ValueError says what is wrong with it."""
    try:
        value = json.loads(pattern if isinstance(pattern, str) else json.dumps(pattern), parse_constant=_refuse)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError(f"the pattern is not JSON ({exc})") from exc
    if not isinstance(value, dict):
        raise ValueError('the pattern must be a JSON object such as {"eventName": ["INSERT"]}')
    return value


def canonical(pattern: Any) -> str:
    """The pattern as JSON text that is the same for patterns that are equal as JSON (true and 1 are not)."""
    return json.dumps(parse(pattern), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def pattern_problems(pattern: Any) -> list[str]:
    """One sentence for each thing that AWS would refuse, or that could never match a record of a DynamoDB stream."""
    try:
        fields, length = parse(pattern), len(canonical(pattern))
    except ValueError as exc:
        return [str(exc)]
    found = list(_object_problems(fields, ()))
    if length > MAXIMUM_LENGTH:
        found.append(f"the pattern has {length} characters; AWS takes up to {MAXIMUM_LENGTH}")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _object_problems(fields: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if not fields:
        yield f"{_dotted(path)} is empty; name at least one field in it, or leave it out"
    for name, rule in fields.items():
        if name == "$or":
            yield from _or_problems(rule, path)
        elif isinstance(rule, dict):
            yield from _object_problems(rule, (*path, name))
        elif isinstance(rule, list):
            yield from _leaf_problems(rule, (*path, name))
        else:
            yield f"{_dotted((*path, name))} must be a list of what may match: [{json.dumps(rule)}]"


def _or_problems(branches: Any, path: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(branches, list) or len(branches) < 2 or not all(isinstance(each, dict) for each in branches):
        yield f"$or in {_dotted(path)} must be a list of at least two objects"
        return
    for branch in branches:
        yield from _object_problems(branch, path)


def _leaf_problems(rules: list[Any], path: tuple[str, ...]) -> Iterator[str]:
    if not rules:
        yield f"{_dotted(path)} is an empty list, which AWS refuses; say what may match"
    yield from _attribute_problems(rules, path)
    for rule in rules:
        if isinstance(rule, dict):
            yield from _operator_problems(rule, path)
        elif isinstance(rule, list):
            yield f"{_dotted(path)} holds a list in its list; give strings, numbers, true, false, null or operators"


def _attribute_problems(rules: list[Any], path: tuple[str, ...]) -> Iterator[str]:
    """What AWS accepts and a stream record can never match (exists: false matches every record instead)."""
    if len(path) < 2 or path[0] != "dynamodb" or path[1] not in _IMAGES:
        return
    if len(path) < 4 or path[-1] not in _ATTRIBUTE_TYPES:
        yield (
            f"{_dotted(path)} must name an attribute and its type, since values stand under their type key: "
            f'{{"{path[1]}": {{"status": {{"S": ["done"]}}}}}}'
        )
    elif path[-1] in ("N", "NS") and any(isinstance(rule, dict) and "numeric" in rule for rule in rules):
        yield (
            f"{_dotted(path)} is compared by numeric, which never matches: a stream record holds numbers as strings; "
            'compare strings, for example ["5"], or decide in the function'
        )


def _operator_problems(rule: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if len(rule) != 1:
        yield f"{_dotted(path)} has an operator object with {len(rule)} keys; give each operator an object of its own"
        return
    ((name, value),) = rule.items()
    if name not in _OPERATORS:
        yield f"{_dotted(path)} uses the unknown operator {name}; AWS knows {', '.join(sorted(_OPERATORS))}"
        return
    fits, wanted = _OPERATORS[name]
    if not fits(value):
        yield f"{_dotted(path)}: {name} takes {wanted}, not {json.dumps(value)}"


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the pattern"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list_of(kind: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(kind(each) for each in value)


def _is_anything_but(value: Any) -> bool:
    return _is_text(value) or _is_number(value) or _is_list_of(_is_text, value) or _is_list_of(_is_number, value)


def _is_numeric(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (2, 4) or not all(_is_number(each) for each in value[1::2]):
        return False
    if len(value) == 2:
        return value[0] in ("=", "<", "<=", ">", ">=")
    return value[0] in (">", ">=") and value[2] in ("<", "<=") and value[1] < value[3]


#: What each operator takes: the check, and how to say it.
_OPERATORS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "anything-but": (_is_anything_but, "a string, a number, or a list of only strings or only numbers"),
    "equals-ignore-case": (_is_text, "a string"),
    "exists": (lambda value: isinstance(value, bool), "true or false"),
    "numeric": (_is_numeric, 'a comparison such as ["=", 5], or a range such as [">", 0, "<=", 5]'),
    "prefix": (_is_text, "a string"),
    "suffix": (_is_text, "a string"),
}
