# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fetches the changes of failure records: from a bucket's payload, else from the stream."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from ..aws import AnsibleAWSError, error_code
from ..event_filter import PatternError, passes
from .api import Mapping, Mappings, Streams
from .changes import Change, lambda_record, to_change
from .failure_records import FailureRecord, is_stream_record
from .selection import Fetched, Gone

#: The stream, the shard or the records are no longer there.
_GONE = ("TrimmedDataAccessException", "ResourceNotFoundException")
#: An open shard answers with empty pages at its end, and between records that are hours apart: readers of AWS's streams
#: have counted about five in a row. Twice that, since a change that is not found would be told as gone.
_EMPTY_PAGES = 10


class Fetcher:
    """Changes of failure records; each change is made once, however many failure records name it."""

    def __init__(
        self, streams: Streams, mappings: Mappings, function_name: str, marker: dict[str, str], tick: Callable[[], None]
    ) -> None:
        self._streams, self._mappings, self._function = streams, mappings, function_name
        self._marker, self._tick = marker, tick
        self._changes: dict[tuple[str, str, str], Change] = {}
        self._mapping_of: dict[str, Mapping | None] = {}

    def fetch(self, records: list[FailureRecord], payload: Callable[[FailureRecord], Any]) -> list[Fetched]:
        """The changes of these failure records, in the same order."""
        by_shard: dict[tuple[str, str], list[FailureRecord]] = {}
        fetched: dict[FailureRecord, Fetched] = {}
        for record in records:
            self._tick()
            given = payload(record)
            if given:
                fetched[record] = Fetched(record, [self._change(each, record) for each in given])
            else:
                by_shard.setdefault((record.stream_arn, record.shard_id), []).append(record)
        for (stream_arn, shard_id), ranges in by_shard.items():
            for record, found in self._read_shard(stream_arn, shard_id, ranges):
                fetched[record] = self._judge(record, found)
        return [fetched[record] for record in records]

    def mapping(self, stream_arn: str) -> Mapping | None:
        """The one mapping from a stream to the function; None when there is none, or more than one."""
        if stream_arn not in self._mapping_of:
            self._mapping_of[stream_arn] = self._mappings.find(stream_arn, self._function)
        return self._mapping_of[stream_arn]

    def _judge(self, record: FailureRecord, found: list[dict[str, Any]]) -> Fetched:
        gone = missing(record, [each["dynamodb"]["SequenceNumber"] for each in found])
        events = [lambda_record(each, record.stream_arn) for each in found]
        kept = events
        mapping = self.mapping(record.stream_arn)
        # Filters say what was in the batch only if they have not been edited since.
        if mapping and record.first_arrival and mapping.unchanged_since(record.first_arrival):
            kept = [each for each in events if _may_pass(mapping.patterns, each)]
            if not gone and len(kept) < max(1, record.batch_size):
                kept = events
        return Fetched(record, [self._change(each, record) for each in kept], gone)

    def _change(self, record: dict[str, Any], owner: FailureRecord) -> Change:
        key = (owner.stream_arn, owner.shard_id, record["dynamodb"]["SequenceNumber"])
        if key not in self._changes:
            self._changes[key] = to_change(record, owner.stream_arn, owner.shard_id, self._marker)
        return self._changes[key]

    def _read_shard(
        self, stream_arn: str, shard_id: str, records: list[FailureRecord]
    ) -> Iterator[tuple[FailureRecord, list[dict[str, Any]]]]:
        """Each failure record with what the shard still has of its range; ranges near each other in one pass."""
        ranges = sorted(records, key=lambda record: record.first)
        done = 0
        while done < len(ranges):
            begun, end = done, int(ranges[done].end)
            done += 1
            found: list[dict[str, Any]] = []
            last, there = int(ranges[begun].start) - 1, False
            for page in self._pages(stream_arn, shard_id, ranges[begun].start):
                self._tick()
                there = True
                found += [record for record in page if is_stream_record(record) and _number(record) > last]
                last = _number(page[-1]) if page else last
                # Ranges that begin in what is read by now go on in this pass.
                while done < len(ranges) and int(ranges[done].start) <= max(last, end):
                    end = max(end, int(ranges[done].end))
                    done += 1
                if last >= end:
                    break
            if not there:  # nor will it be for the other ranges
                done = len(ranges)
            numbers = [_number(record) for record in found]
            for record in ranges[begun:done]:
                yield record, found[bisect_left(numbers, int(record.start)) : bisect_right(numbers, int(record.end))]

    def _pages(self, stream_arn: str, shard_id: str, start: str) -> Iterator[list[dict[str, Any]]]:
        """The shard from a sequence number on, or from the oldest that it still has; nothing when it is gone."""
        # A shard whose beginning is gone is read from what is left of it.
        for position in ({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": start}, _OLDEST):
            try:
                yield from self._streams.pages(stream_arn, shard_id, position, _EMPTY_PAGES)
                return
            except AnsibleAWSError as exc:
                if error_code(exc) not in _GONE:
                    raise


_OLDEST = {"ShardIteratorType": "TRIM_HORIZON"}


def missing(record: FailureRecord, found: list[str]) -> Gone | None:
    """What a failure record's range lacks, given the sequence numbers that the shard still has of it.

    A stream forgets from its beginning. Its first and last change were in the batch, so with both there all are.
    """
    numbers = [int(each) for each in found]
    if not numbers:
        return Gone(record, record.start, record.end)
    if numbers[0] != int(record.start):
        return Gone(record, record.start, str(numbers[0] - 1).zfill(len(record.start)))
    if numbers[-1] != int(record.end):
        return Gone(record, str(numbers[-1] + 1).zfill(len(record.end)), record.end)
    return Gone(record, record.start, record.end) if len(numbers) < record.batch_size else None


def _number(record: dict[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def _may_pass(patterns: tuple[str, ...], event: dict[str, Any]) -> bool:
    """Whether the filters let a change through, as far as can be told; in doubt they do."""
    try:
        return passes(patterns, event) is not False
    except PatternError:
        return True
