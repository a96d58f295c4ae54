# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the function's rules make of a change before it is made: its sinks, and what each of them gets. Pure.

The function decides with the same package. A rule with ``sample`` goes by the eventID, which only AWS knows, so then a
change has more than one possible outcome.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .._change_rules import RuleFailed, check_rules
from .._change_rules import Rules as FunctionRules
from .._history.dynamodb_json import canonical_json
from ..aws import InputError

#: The members of an envelope that rules redact.
PARTS = ("oldImage", "newImage", "changedAttributes")

#: Each rule with ``sample`` doubles the outcomes.
_MOST_SAMPLED = 8
#: What a notification holds next to its parts: keys, ARN, names, attributes. Within it of the limit, only the function
#: knows whether it is over the limit.
_ROOM = 8192


@dataclass(frozen=True)
class Outcome:
    """One way in which a change that the filters let through may come out of the function."""

    audited: bool = True
    notified: bool = True
    #: The images and changed attributes as the audit object and as the notification have them; absent ones are absent.
    audit: dict[str, Any] = field(default_factory=dict)
    notification: dict[str, Any] = field(default_factory=dict)
    subject: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    #: Whether the notification's parts alone are more than a notification may hold.
    over_limit: bool = False


class Rules:
    """The rules of a pipeline. InputError when they cannot be."""

    def __init__(self, rules: Iterable[dict[str, Any]], key_names: Iterable[str] = ()) -> None:
        rules = list(rules)
        if problems := check_rules(rules, tuple(key_names)):
            raise InputError(f"rules: {' '.join(problems)}")
        sampled = [place for place, rule in enumerate(rules) if "sample" in rule]
        if len(sampled) > _MOST_SAMPLED:
            raise InputError(
                f"rules: {len(sampled)} rules have sample; with more than {_MOST_SAMPLED} too much hangs on what only "
                "AWS knows."
            )
        self._possible = [FunctionRules(each) for each in _possible(rules, sampled)]

    def outcomes(self, envelope: dict[str, Any], limit: int | None) -> tuple[Outcome, ...]:
        """The possible outcomes of a change, given as the envelope that it will have.

        ``limit`` is the size over which a change is notified by claim check, None where there are no claim checks.
        """
        try:
            found = [outcome for rules in self._possible for outcome in _outcomes(rules, envelope, limit)]
        except RuleFailed as exc:
            raise InputError(
                f"A rule fails for the {envelope['eventName']} of a test item, so the function would fail it: {exc}. "
                "Give item_attributes that the rule can look at, or change the rule."
            ) from exc
        return tuple(outcome for place, outcome in enumerate(found) if outcome not in found[:place])


def _possible(rules: list[dict[str, Any]], sampled: list[int]) -> Iterator[list[dict[str, Any]]]:
    """The rules with each of the sampled ones at work always, or never."""
    for working in itertools.product((True, False), repeat=len(sampled)):
        idle = {place for place, works in zip(sampled, working, strict=True) if not works}
        yield [
            # With the number that a rule without a name is known by.
            {"name": f"rule {place + 1}", **{name: value for name, value in rule.items() if name != "sample"}}
            for place, rule in enumerate(rules)
            if place not in idle
        ]


def _outcomes(rules: FunctionRules, envelope: dict[str, Any], limit: int | None) -> Iterator[Outcome]:
    decision = rules.decide(envelope)
    audit, notification = parts_of(decision.audited(envelope)), parts_of(decision.notified(envelope))
    size = len(canonical_json(notification).encode("utf-8"))
    over = decision.notify and limit is not None and size > limit
    nearly = decision.notify and limit is not None and not over and size > limit - _ROOM
    # A claim check names an audit object, so the function makes one even where the rules say no.
    for audited in sorted({decision.audit or over, decision.audit or over or nearly}):
        yield Outcome(audited, decision.notify, audit, notification, decision.subject, dict(decision.attributes), over)


def parts_of(envelope: dict[str, Any]) -> dict[str, Any]:
    """What of an envelope rules may redact."""
    return {name: envelope[name] for name in PARTS if name in envelope}
