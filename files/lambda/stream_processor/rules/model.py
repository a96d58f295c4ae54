# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules that act: which of them apply to a change, and what they make of it together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .change import Change, is_expiry
from .untyped import Unreadable
from .values import EvaluationError, is_true

SINKS = ("audit", "notify")
MASK = {"S": "***"}
#: SNS wants a subject of less than 100 characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
SUBJECT_MOST = 99

_IMAGES = ("oldImage", "newImage")
_Condition = Callable[[Change], bool]


class RuleFailed(Exception):
    """A rule could not be decided. Names the rule and the kind of trouble, and holds nothing of the item."""

    tellable = True  # in the function's log

    def __init__(self, rule: str, trouble: str):
        super().__init__(f"{rule}: {trouble}")


@dataclass(frozen=True)
class Redaction:
    """Attributes that are left out of the images, and attributes whose values are covered."""

    drop: frozenset[str] = frozenset()
    mask: frozenset[str] = frozenset()

    def __or__(self, other: Redaction) -> Redaction:
        return self if other is NO_REDACTION else Redaction(self.drop | other.drop, self.mask | other.mask)

    def applied(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """A copy without what is redacted; the envelope itself when it has none of it.

        What is both dropped and masked is dropped. Key attributes stay: ``keys`` would tell them all the same.
        """
        if self is NO_REDACTION:
            return envelope
        drop, mask = self.drop.difference(envelope["keys"]), self.mask.difference(envelope["keys"])
        changed: dict[str, Any] = {}
        for name in _IMAGES:
            image = envelope.get(name)
            if image and not (drop.isdisjoint(image) and mask.isdisjoint(image)):
                changed[name] = {key: MASK if key in mask else value for key, value in image.items() if key not in drop}
        names = envelope.get("changedAttributes", ())
        if not drop.isdisjoint(names):
            changed["changedAttributes"] = [name for name in names if name not in drop]
        return {**envelope, **changed} if changed else envelope


NO_REDACTION = Redaction()


@dataclass(frozen=True)
class Decision:
    """What becomes of a change."""

    audit: bool = True
    notify: bool = True
    subject: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    audit_redaction: Redaction = NO_REDACTION
    notification_redaction: Redaction = NO_REDACTION

    def audited(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """The envelope as the audit log may hold it; the same object where nothing is redacted."""
        return self.audit_redaction.applied(envelope)

    def notified(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """The envelope as subscribers may see it; the same object where nothing is redacted."""
        return self.notification_redaction.applied(envelope)


#: What becomes of a change that no rule applies to.
KEEP_ALL = Decision()


class Rules:
    """Checked rules, compiled once. Nothing in them changes any more, so threads may share them."""

    def __init__(self, rules: Iterable[dict[str, Any]]):
        self._rules = [_Rule(place, rule) for place, rule in enumerate(rules, 1)]

    def decide(self, envelope: dict[str, Any]) -> Decision:
        """What becomes of the change: the same at every delivery, whatever else is in its batch."""
        change = Change(envelope)
        applied = [rule for rule in self._rules if rule.applies(change)]
        return _together(applied, envelope) if applied else KEEP_ALL


class _Rule:
    """One rule: its conditions, the cheap ones first, and what it does."""

    def __init__(self, place: int, rule: dict[str, Any]):
        self.name = rule.get("name", f"rule {place}")
        self.sinks = rule.get("sinks")
        self.subject = rule.get("subject")
        self.attributes = rule.get("attributes", {})
        self.audit = _redaction(rule.get("audit", {}))
        self.notification = _redaction(rule.get("notification", {}))
        self._conditions = [condition(rule[member]) for member, condition in _CONDITIONS.items() if member in rule]

    def applies(self, change: Change) -> bool:
        """Whether all conditions hold; RuleFailed when one of them cannot be decided."""
        try:
            return all(condition(change) for condition in self._conditions)
        except (EvaluationError, Unreadable) as exc:
            trouble = str(exc)
        except Exception as exc:  # its text may hold item data
            trouble = type(exc).__name__
        raise RuleFailed(self.name, trouble)


def _redaction(given: dict[str, list[str]]) -> Redaction:
    if not given:
        return NO_REDACTION
    return Redaction(frozenset(given.get("drop", ())), frozenset(given.get("mask", ())))


def _together(applied: list[_Rule], envelope: dict[str, Any]) -> Decision:
    """The last rule that names sinks or a subject decides them; everything else adds up."""
    sinks, subject = SINKS, None
    attributes: dict[str, str] = {}
    audit, notification = NO_REDACTION, NO_REDACTION
    for rule in applied:
        sinks = sinks if rule.sinks is None else rule.sinks
        subject = rule.subject or subject
        attributes.update(rule.attributes)
        audit, notification = audit | rule.audit, notification | rule.notification
    if subject:
        subject = subject.replace("{eventName}", envelope["eventName"]).replace("{table}", envelope["table"])
        subject = subject[:SUBJECT_MOST]
    return Decision("audit" in sinks, "notify" in sinks, subject, attributes, audit, notification)


def _event_names(names: list[str]) -> _Condition:
    return lambda change: change.envelope["eventName"] in names


def _expired(wanted: bool) -> _Condition:
    return lambda change: is_expiry(change.envelope) is wanted


def _changed_any(names: list[str]) -> _Condition:
    wanted = frozenset(names)
    return lambda change: not wanted.isdisjoint(change.envelope.get("changedAttributes", ()))


def _changed_only(names: list[str]) -> _Condition:
    wanted = frozenset(names)

    def only(change: Change) -> bool:
        changed = change.envelope.get("changedAttributes")
        return bool(changed) and wanted.issuperset(changed)

    return only


def _sample(share: float) -> _Condition:
    # By the change's own identity, so that a retry, a redrive and another rule of the same share decide alike.
    limit = share * 2**64
    return lambda change: _lot(change.envelope["eventID"]) < limit


def _lot(event_id: str) -> int:
    digest = hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _when(text: str) -> _Condition:
    from .expression import compile_expression

    evaluate = compile_expression(text)
    return lambda change: is_true(evaluate(change))


#: In the order in which they are asked: an expression last, so that the others can keep changes away from it.
_CONDITIONS: dict[str, Callable[[Any], _Condition]] = {
    "event_names": _event_names,
    "expired": _expired,
    "changed_any": _changed_any,
    "changed_only": _changed_only,
    "sample": _sample,
    "when": _when,
}
