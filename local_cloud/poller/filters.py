"""Which records a mapping's filter patterns let through. Pure.

A pattern is read once into a test, so that a pattern that cannot be read is told of before the first record.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: A test of what stands in one place of a record; ``_NOTHING`` when there is nothing.
Test = Callable[[Any], bool]

_NOTHING = object()
_COMPARISONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def compile_patterns(patterns: Sequence[str]) -> Callable[[dict[str, Any]], bool]:
    """A test that a record passes when one of the patterns matches it; without patterns every record passes."""
    tests = [_compiled(pattern) for pattern in patterns]
    return lambda record: not tests or any(test(record) for test in tests)


def _compiled(pattern: str) -> Test:
    try:
        fields = json.loads(pattern)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"the filter pattern is not JSON ({exc}): {pattern}") from exc
    try:
        return _object_test(fields, "the pattern")
    except ValueError as exc:
        raise ValueError(f"{exc}: {pattern}") from exc
    except RecursionError as exc:
        raise ValueError(f"the filter pattern is nested too deeply: {pattern}") from exc


def _object_test(fields: Any, where: str) -> Test:
    """All fields hold. Of a list of objects, one of them must do so."""
    if not isinstance(fields, dict):
        raise ValueError(f"{where} must be an object")
    tests = [_field_test(name, rule) for name, rule in fields.items()]

    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any(test(each) for each in value or [_NOTHING])
        return all(each(value) for each in tests)

    return test


def _field_test(name: str, rule: Any) -> Test:
    if name == "$or":
        return _any_of(_or_branches(rule))
    if isinstance(rule, dict):
        below = _object_test(rule, name)
    elif isinstance(rule, list) and rule:
        below = _leaf_test(rule, name)
    else:
        raise ValueError(f"{name} must be an object, or a list that is not empty")
    return lambda value: below(value.get(name, _NOTHING) if isinstance(value, dict) else _NOTHING)


def _or_branches(branches: Any) -> list[Test]:
    if not isinstance(branches, list) or not branches:
        raise ValueError("$or must be a list of objects")
    return [_object_test(branch, "what $or lists") for branch in branches]


def _any_of(tests: list[Test]) -> Test:
    return lambda value: any(test(value) for test in tests)


def _leaf_test(rules: list[Any], name: str) -> Test:
    tests = [_rule_test(rule, name) for rule in rules]
    return lambda value: any(test(list(_leaves(value))) for test in tests)


def _leaves(value: Any) -> Iterator[Any]:
    """The values of a place: a list's one by one. An object is no leaf, so ``exists`` does not see it."""
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif value is not _NOTHING and not isinstance(value, dict):
        yield value


def _rule_test(rule: Any, name: str) -> Test:
    if isinstance(rule, list):
        raise ValueError(f"{name} has a list in its list")
    if not isinstance(rule, dict):
        return _some_leaf(lambda leaf: _same(leaf, rule))
    if len(rule) != 1:
        raise ValueError(f"{name} has an operator object with {len(rule)} names; it must have one")
    ((word, wanted),) = rule.items()
    if word == "exists":
        if not isinstance(wanted, bool):
            raise ValueError(f"{name}: exists takes true or false")
        return lambda leaves: bool(leaves) is wanted
    if word not in _OPERATORS:
        raise ValueError(f"{name} uses {word}, which is no operator of event source mappings")
    return _some_leaf(_OPERATORS[word](wanted, name))


def _some_leaf(test: Test) -> Test:
    return lambda leaves: any(test(leaf) for leaf in leaves)


def _same(leaf: Any, wanted: Any) -> bool:
    # Python's 1, 1.0 and True are equal; AWS compares what is written.
    return type(leaf) is type(wanted) and leaf == wanted


def _anything_but(wanted: Any, name: str) -> Test:
    unwanted = wanted if isinstance(wanted, list) else [wanted]
    if not unwanted or not all(_is_text(each) or _is_number(each) for each in unwanted):
        raise ValueError(f"{name}: anything-but takes a string, a number, or a list of them")
    return lambda leaf: not any(_same(leaf, each) for each in unwanted)


def _numeric(wanted: Any, name: str) -> Test:
    fits = isinstance(wanted, list) and len(wanted) in (2, 4)
    pairs = list(zip(wanted[::2], wanted[1::2], strict=True)) if fits else []
    if not pairs or not all(_is_text(sign) and sign in _COMPARISONS and _is_number(bound) for sign, bound in pairs):
        raise ValueError(f'{name}: numeric takes a comparison such as ["=", 5], or a range such as [">", 0, "<=", 5]')
    return lambda leaf: _is_number(leaf) and all(_COMPARISONS[sign](leaf, bound) for sign, bound in pairs)


def _prefix(wanted: Any, name: str) -> Test:
    return _affix(str.startswith, wanted, f"{name}: prefix")


def _suffix(wanted: Any, name: str) -> Test:
    return _affix(str.endswith, wanted, f"{name}: suffix")


def _affix(compare: Callable[[str, str], bool], wanted: Any, where: str) -> Test:
    if _is_text(wanted):
        return lambda leaf: _is_text(leaf) and compare(leaf, wanted)
    if isinstance(wanted, dict) and list(wanted) == ["equals-ignore-case"] and _is_text(wanted["equals-ignore-case"]):
        lowered = wanted["equals-ignore-case"].lower()
        return lambda leaf: _is_text(leaf) and compare(leaf.lower(), lowered)
    raise ValueError(f"{where} takes a string")


def _equals_ignore_case(wanted: Any, name: str) -> Test:
    if not _is_text(wanted):
        raise ValueError(f"{name}: equals-ignore-case takes a string")
    return lambda leaf: _is_text(leaf) and leaf.lower() == wanted.lower()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_OPERATORS: dict[str, Callable[[Any, str], Test]] = {
    "anything-but": _anything_but,
    "equals-ignore-case": _equals_ignore_case,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
}
