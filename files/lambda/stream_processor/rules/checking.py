# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What rules may not be, said at once and in sentences: before a deployment, and when the function starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import expression
from .model import SINKS, SUBJECT_MOST
from .syntax import nearest

_EVENT_NAMES = ("INSERT", "MODIFY", "REMOVE")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_PRINTABLE = re.compile(r"[!-~][ -~]*")
# A table's name has 3 to 255 characters. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
_PLACEHOLDERS = {"{eventName}": "INSERT", "{table}": "tab"}

# https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html; with more than 10 in all, raw delivery to
# SQS discards the message.
_ATTRIBUTE_NAME = re.compile(r"(?!(?i:AWS|Amazon)\.)(?!.*\.\.)(?!\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
_ATTRIBUTE_VALUE_MOST = 256
_OWN_ATTRIBUTES = ("eventName", "table")
_ATTRIBUTES_MOST = 10 - len(_OWN_ATTRIBUTES)

_KINDS = ((bool, "true or false"), (str, "text"), ((int, float), "a number"), (list, "a list"), (dict, "a mapping"))
_EFFECTS = ("sinks", "subject", "attributes", "audit", "notification")


class RulesError(ValueError):
    """The rules cannot be used; the text says all that is wrong with them."""


def check_rules(rules: Any, key_names: Sequence[str] = ()) -> list[str]:
    """One sentence for each thing that is wrong; empty when the rules can be used.

    ``key_names`` are the table's key attributes, where they are known: those cannot be redacted.
    """
    if not isinstance(rules, list):
        return [f"the rules must be a list, one mapping a rule, and this is {_kind(rules)}."]
    found = []
    for place, rule in enumerate(rules, 1):
        found += [f"{_label(place, rule)}: {sentence}." for sentence in _rule_problems(rule, key_names)]
    found += _name_problems(rules)
    found += _attribute_total(rules)
    return found


def _label(place: int, rule: Any) -> str:
    name = rule.get("name") if isinstance(rule, dict) else None
    return f"rule {place} ({name})" if isinstance(name, str) and _NAME.fullmatch(name) else f"rule {place}"


def _rule_problems(rule: Any, key_names: Sequence[str]) -> Iterator[str]:
    if not isinstance(rule, dict):
        yield f"must be a mapping such as {{when: ..., sinks: [audit]}}, and is {_kind(rule)}"
        return
    for member, value in rule.items():
        if member in _MEMBERS:
            yield from _MEMBERS[member](member, value)
        else:
            near = nearest(str(member), _MEMBERS)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(_MEMBERS)}"
            yield f"{member} is no member of a rule; {hint}"
    if not any(member in rule for member in _EFFECTS):
        yield f"does nothing; give it at least one of {', '.join(_EFFECTS)}"
    yield from _contradictions(rule)
    for place in ("audit", "notification"):
        yield from _key_redactions(place, rule.get(place), key_names)


def _kind(value: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "empty")


def _name(member: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        yield f"{member} is {value!r}; give 1 to 64 letters, digits, spaces, dots, hyphens and underscores"


def _when(member: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{member} must be an expression in quotes, and is {_kind(value)}"
        return
    try:
        yield from (f"{member}, {problem}" for problem in expression.problems(value))
    except ImportError:
        yield f"{member} needs the Python package jmespath; install it, or boto3, which brings it"


def _texts(member: str, value: Any, known: Sequence[str] = (), least: int = 1) -> Iterator[str]:
    """A list of different texts; when there are known ones, of those only."""
    example = known[0] if known else "status"
    if not isinstance(value, list):
        yield f"{member} must be a list such as [{example}], and is {_kind(value)}"
        return
    if len(value) < least:
        yield f"{member} is empty; name at least one, or leave it out"
    for place, each in enumerate(value):
        if not isinstance(each, str) or not each:
            yield f"{member} holds {each!r}; give text that is not empty"
        elif known and each not in known:
            yield f"{member} holds {each!r}; it takes {', '.join(known)}"
        elif each in value[:place]:
            yield f"{member} names {each} twice"


def _event_names(member: str, value: Any) -> Iterator[str]:
    yield from _texts(member, value, _EVENT_NAMES)


def _sinks(member: str, value: Any) -> Iterator[str]:
    yield from _texts(member, value, SINKS, least=0)


def _expired(member: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{member} must be true or false, and is {_kind(value)}"


def _sample(member: str, value: Any) -> Iterator[str]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:
        yield f"{member} is {value!r}; give the share of changes as a number above 0 and up to 1, such as 0.1"


def _subject(member: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        yield f"{member} must be one line of printable ASCII that does not begin with a space"
        return
    shortest = value
    for placeholder, filled in _PLACEHOLDERS.items():
        shortest = shortest.replace(placeholder, filled)
    if "{" in shortest or "}" in shortest:
        yield f"{member} has braces that are none of its placeholders, {' and '.join(_PLACEHOLDERS)}"
    if len(shortest) > SUBJECT_MOST:
        yield f"{member} comes to {len(shortest)} characters or more; SNS takes {SUBJECT_MOST}"


def _attributes(member: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield f"{member} must be a mapping such as {{priority: high}}, and is {_kind(value) if value else 'empty'}"
        return
    for name, text in value.items():
        if name in _OWN_ATTRIBUTES:
            yield f"{member} names {name}, which every notification has already"
        elif not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
            yield (
                f"{member} names {name!r}; SNS takes letters, digits, hyphens, underscores and single dots within, and "
                "nothing that begins with AWS. or Amazon."
            )
        if not isinstance(text, str) or not text:
            yield f"{member}: the value of {name} must be text that is not empty; put quotes around it"
        elif not text.isprintable() or len(text.encode()) > _ATTRIBUTE_VALUE_MOST:
            yield f"{member}: the value of {name} must be printable and have up to {_ATTRIBUTE_VALUE_MOST} bytes"


def _redaction(member: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield f"{member} must be a mapping such as {{mask: [email]}}, and is {_kind(value) if value else 'empty'}"
        return
    for way, names in value.items():
        if way in ("drop", "mask"):
            yield from _texts(f"{member}.{way}", names)
        else:
            yield f"{member}.{way} is not known; there are drop and mask"
    for name in _redacted(value, "drop"):
        if name in _redacted(value, "mask"):
            yield f"{member} both drops and masks {name}; do one of them"


def _redacted(value: Any, way: str) -> list[Any]:
    names = value.get(way) if isinstance(value, dict) else None
    return names if isinstance(names, list) else []


def _key_redactions(place: str, value: Any, key_names: Sequence[str]) -> Iterator[str]:
    for way in ("drop", "mask"):
        for name in _redacted(value, way):
            if name in key_names:
                yield f"{place}.{way} names {name}, a key attribute of the table; keys are never redacted"


def _contradictions(rule: dict[str, Any]) -> Iterator[str]:
    """Conditions that cannot hold together."""
    names = rule.get("event_names", list(_EVENT_NAMES))
    if not isinstance(names, list) or not names:
        return
    changed = [member for member in ("changed_any", "changed_only") if member in rule]
    if changed and "MODIFY" not in names:
        yield f"never applies: {changed[0]} holds for MODIFY only, and event_names leaves it out"
    if rule.get("expired") is True and "REMOVE" not in names:
        yield "never applies: expired holds for REMOVE only, and event_names leaves it out"
    if rule.get("expired") is True and changed:
        yield f"never applies: {changed[0]} holds for MODIFY only, and expired for REMOVE only"


def _name_problems(rules: list[Any]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for place, rule in enumerate(rules, 1):
        name = rule.get("name") if isinstance(rule, dict) else None
        if isinstance(name, str) and seen.setdefault(name, place) != place:
            yield f"{_label(place, rule)}: name is that of rule {seen[name]} already; logs tell rules by it."


def _attribute_total(rules: list[Any]) -> Iterator[str]:
    """Any of the rules may apply to one change, so they count together."""
    given = [rule.get("attributes") for rule in rules if isinstance(rule, dict)]
    names = {name for attributes in given if isinstance(attributes, dict) for name in attributes}
    if len(names) > _ATTRIBUTES_MOST:
        yield (
            f"the rules name {len(names)} message attributes; with {' and '.join(_OWN_ATTRIBUTES)} a notification has "
            f"at most 10, so name up to {_ATTRIBUTES_MOST}."
        )


_MEMBERS: dict[str, Callable[[str, Any], Iterator[str]]] = {
    "name": _name,
    "when": _when,
    "event_names": _event_names,
    "expired": _expired,
    "changed_any": _texts,
    "changed_only": _texts,
    "sample": _sample,
    "sinks": _sinks,
    "subject": _subject,
    "attributes": _attributes,
    "audit": _redaction,
    "notification": _redaction,
}
