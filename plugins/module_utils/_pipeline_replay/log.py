# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit log as a replay asks for it: the changes that were chosen, and the items that they tell."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from .._change_rules.change import Change as RuleChange
from .._change_rules.expression import compile_expression
from .._change_rules.values import EvaluationError, is_true
from .._history.baselines import read_journal, read_manifests, snapshot_items
from .._history.changes import Change, iso
from .._history.completeness import Completeness, completeness
from .._history.delivery import Stopped
from .._history.items import Items, Start, key_digest
from .._history.reader import Findings, Reader, covering_prefixes
from .._history.store import Store
from .._pipeline_verify.clock import Clock
from ..aws import InputError
from .options import Options

#: How far the clocks of this machine and of what writes the log may be apart, and then some.
_MARGIN = timedelta(minutes=5)


class Log:
    """What was asked for of the log, with counts of what was read."""

    def __init__(self, options: Options, store: Store, clock: Clock, say: Callable[[Change], None]) -> None:
        """``say`` is told each change that was chosen."""
        self._options, self._store, self._clock, self._say = options, store, clock, say
        self._reader = Reader(store, options.prefix, check=clock.check)
        self._digest = key_digest(options.keys) if options.keys else None
        self.since, self.until = options.since, options.until
        #: What was chosen, by event name, and its bytes; and how many changes were another table's.
        self.selected: Counter[str] = Counter()
        self.selected_bytes = self.others = 0
        self.completeness: Completeness | None = None

    @property
    def findings(self) -> Findings:
        """What is wrong with its objects."""
        return self._reader.findings

    @property
    def duplicates(self) -> int:
        return self._reader.duplicates

    @property
    def objects(self) -> int:
        return self._reader.objects

    @property
    def calls(self) -> dict[str, int]:
        return dict(sorted(self._store.calls.items()))

    def begin(self) -> None:
        """Without a time to begin at, it is the log's first hour."""
        if self.since is None:
            self.since = self._reader.begin()

    def holds_more_than(self, count: int) -> bool:
        """Whether there are more objects of the time that is asked for."""
        since = self.since or self._reader.begin()
        if since is None:
            return False
        prefixes = covering_prefixes(since, self.until, self._options.prefix)
        found = itertools.chain.from_iterable(map(self._store.list, prefixes))
        return next(itertools.islice(found, count, None), None) is not None

    def changes(self) -> Iterator[Change]:
        """The changes that are asked for, in order."""
        if self.since is None:
            return
        wanted = self._filter()
        found = (change for change in self._reader.changes(self.since, self.until) if wanted(change))
        for change in itertools.islice(found, self._options.limit or None):
            self.selected[change.event_name] += 1
            self.selected_bytes += len(change.line)
            self._say(change)
            yield change

    def _filter(self) -> Callable[[Change], bool]:
        options = self._options
        evaluate = compile_expression(options.match) if options.match else None

        def wanted(change: Change) -> bool:
            if change.envelope["table"] != options.table_name:
                self.others += 1
                return False
            if options.event_names and change.event_name not in options.event_names:
                return False
            if self._digest is not None and key_digest(change.keys) != self._digest:
                return False
            try:
                return evaluate is None or is_true(evaluate(RuleChange(change.envelope)))
            except EvaluationError as exc:
                number = change.envelope["sequenceNumber"]
                raise Stopped(f"match cannot be asked of change {number} in {change.source}: {exc}.") from exc

        return wanted

    # --- the items that it tells

    def complete_at(self, moment: datetime) -> Completeness:
        """From where on it tells the state of all items at that time; InputError when it does not."""
        options = self._options
        journal = read_journal(self._store, options.prefix)
        of_table = [each for each in journal if each["tableArn"].endswith(f":table/{options.table_name}")]
        if journal and not of_table:
            raise InputError(
                f"The log in {options.bucket} below {options.prefix} is not of a table {options.table_name}, by its "
                "journal. Nothing was written."
            )
        found = completeness(of_table, read_manifests(self._store, options.prefix), moment, self._clock.utc())
        if not found.complete:
            raise InputError(
                f"The log does not tell the state of all items at {iso(moment)}: {' '.join(found.reasons)} "
                "Nothing was written. playbooks/baseline.yml makes a log complete from now on."
            )
        return found

    def items(self) -> tuple[Items, Start]:
        """All items up to the time that is asked for, with where they begin; InputError when it does not tell them."""
        self.completeness = self.complete_at(self.until)
        self.since = self.completeness.start
        items = self._snapshot(lambda digest: self._digest is None or digest == self._digest)
        for change in self.changes():
            if change.event_name != "REMOVE" and change.image is None:
                raise InputError(
                    f"{change.source} has a change without its new image: the stream's view type was not "
                    "NEW_AND_OLD_IMAGES then, so the state of items cannot be told from the log."
                )
            items.add_change(change)
        baseline = self.completeness.baseline
        return items, Start(snapshot_until=baseline["end"]) if baseline else Start(empty=True)

    def items_again(self, digests: set[bytes]) -> Items:
        """All that it has of these items by now."""
        items = self._snapshot(digests.__contains__)
        for change in self._changes_by_now(self.since):
            if key_digest(change.keys) in digests:
                items.add_change(change)
        return items

    def later_changes(self, since: datetime) -> Callable[[], Iterator[Change]]:
        """Reads again, at each call, what was changed since a little before that time."""
        return lambda: self._changes_by_now(since - _MARGIN)

    def _snapshot(self, wanted: Callable[[bytes], bool]) -> Items:
        items, baseline = Items(), self.completeness.baseline
        for keys, item in snapshot_items(self._store, baseline) if baseline else ():
            self._clock.check()
            if wanted(key_digest(keys)):
                items.add_snapshot(keys, item)
        return items

    def _changes_by_now(self, since: datetime) -> Iterator[Change]:
        # A reader of its own: what was found and counted is that of the first reading.
        reader = Reader(self._store, self._options.prefix, check=self._clock.check)
        for change in reader.changes(since, self._clock.utc() + _MARGIN):
            if change.envelope["table"] == self._options.table_name:
                yield change
