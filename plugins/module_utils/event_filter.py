# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which stream records a mapping's filters let through, decided without asking AWS. Pure.

A verdict is yes, no, or None: it depends on a field that is not known yet. The patterns are EventBridge's, as far as
event source mappings take them: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .filter_pattern import parse

#: Stands in an event for a value that only AWS can give, such as a sequence number.
UNKNOWN = object()

_MISSING = object()
_COMPARE = {"=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class PatternError(ValueError):
    """A pattern that cannot be evaluated, with the reason."""


def passes(patterns: Iterable[Any], event: dict[str, Any]) -> bool | None:
    """Whether one of the patterns (JSON text or dicts) matches the event; without any pattern every event passes.

    Every pattern is evaluated, so one that cannot be is told of whatever the others say.
    """
    verdicts = [matches(pattern, event) for pattern in patterns]
    return any_of(verdicts) if verdicts else True


def matches(pattern: Any, event: dict[str, Any]) -> bool | None:
    """Whether every field of the pattern matches the event."""
    try:
        return _object_matches(parse(pattern), event)
    except PatternError:
        raise
    except ValueError as exc:
        raise PatternError(str(exc)) from exc


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    """Yes when one is yes, no when all are no, else not known."""
    found = list(verdicts)
    return True if True in found else None if None in found else False


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """No when one is no, yes when all are yes, else not known."""
    found = list(verdicts)
    return False if False in found else None if None in found else True


def _object_matches(pattern: dict[str, Any], node: Any) -> bool | None:
    if isinstance(node, list):
        # A list of objects matches when one of them does, or when there is none and nothing needs to be there.
        return any_of([_object_matches(pattern, each) for each in node] or [_object_matches(pattern, _MISSING)])
    return all_of([_field_matches(name, rule, node) for name, rule in pattern.items()])


def _field_matches(name: str, rule: Any, node: Any) -> bool | None:
    if name == "$or":
        if not isinstance(rule, list) or not all(isinstance(branch, dict) for branch in rule):
            raise PatternError("$or takes a list of objects")
        return any_of([_object_matches(branch, node) for branch in rule])
    value = node.get(name, _MISSING) if isinstance(node, dict) else _MISSING
    if isinstance(rule, dict):
        return _object_matches(rule, value)
    if isinstance(rule, list) and rule:
        leaves = list(_leaves(value))
        return any_of([_rule_matches(each, leaves) for each in rule])
    raise PatternError(f"{name} must be an object or a list that is not empty")


def _leaves(value: Any) -> Iterator[Any]:
    """The values a rule looks at: those of a list one by one. An object is no leaf, so it counts as not there."""
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not _MISSING and not isinstance(value, dict):
        yield value


def _rule_matches(rule: Any, leaves: list[Any]) -> bool | None:
    if isinstance(rule, list):
        raise PatternError("a list of rules cannot hold a list")
    if not isinstance(rule, dict):
        return any_of([_leaf_matches(_equals, rule, leaf) for leaf in leaves])
    if len(rule) != 1:
        raise PatternError(f"an operator object has one operator, not {len(rule)}")
    ((name, wanted),) = rule.items()
    if name == "exists":
        _require(isinstance(wanted, bool), name, "true or false")
        return bool(leaves) == wanted
    if name not in _OPERATORS:
        raise PatternError(
            f"the operator {name} is not one that event source mappings are documented to take "
            f"({', '.join(['exists', *_OPERATORS])})"
        )
    check, compare, takes = _OPERATORS[name]
    _require(check(wanted), name, takes)
    return any_of([_leaf_matches(compare, wanted, leaf) for leaf in leaves])


def _leaf_matches(compare: Callable[[Any, Any], bool], wanted: Any, leaf: Any) -> bool | None:
    return None if leaf is UNKNOWN else compare(wanted, leaf)


def _require(holds: bool, name: str, takes: str) -> None:
    if not holds:
        raise PatternError(f"the operator {name} takes {takes}")


def _equals(wanted: Any, leaf: Any) -> bool:
    # By type as well: "1" is not 1, true is not 1, and Lambda compares numbers as they are written (300 is not 300.0).
    return type(wanted) is type(leaf) and wanted == leaf


def _anything_but(wanted: Any, leaf: Any) -> bool:
    unwanted = wanted if isinstance(wanted, list) else [wanted]
    return not any(_equals(each, leaf) for each in unwanted)


def _numeric(wanted: list[Any], leaf: Any) -> bool:
    # DynamoDB's numbers are strings in a stream record, so this holds for few fields.
    places = range(0, len(wanted), 2)
    return _is_number(leaf) and all(_COMPARE[wanted[at]](leaf, wanted[at + 1]) for at in places)


def _equals_ignore_case(wanted: str, leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf.lower() == wanted.lower()


def _affix(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def compare(wanted: Any, leaf: Any) -> bool:
        if not isinstance(leaf, str):
            return False
        if isinstance(wanted, dict):
            return test(leaf.lower(), wanted["equals-ignore-case"].lower())
        return test(leaf, wanted)

    return compare


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_affix(value: Any) -> bool:
    return _is_text(value) or (
        isinstance(value, dict) and list(value) == ["equals-ignore-case"] and _is_text(value["equals-ignore-case"])
    )


def _is_scalars(value: Any) -> bool:
    return all(_is_text(each) or _is_number(each) for each in (value if isinstance(value, list) else [value]))


def _is_numeric(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (2, 4)
        and all(_is_text(name) and name in _COMPARE for name in value[::2])
        and all(_is_number(bound) for bound in value[1::2])
    )


#: What each operator takes, how it compares, and how to say what it takes.
_OPERATORS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool], str]] = {
    "anything-but": (_is_scalars, _anything_but, "strings or numbers"),
    "equals-ignore-case": (_is_text, _equals_ignore_case, "a string"),
    "numeric": (_is_numeric, _numeric, 'a comparison such as ["=", 5], or a range such as [">", 0, "<=", 5]'),
    "prefix": (_is_affix, _affix(str.startswith), "a string"),
    "suffix": (_is_affix, _affix(str.endswith), "a string"),
}
