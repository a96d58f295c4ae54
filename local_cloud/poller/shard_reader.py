"""Reads one shard of a stream, in order, from a place that a restart knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.poller import aws
from local_cloud.poller.model import Saved
from local_cloud.poller.records import lambda_record

PAGE = 1000
#: So many empty pages in a row are taken for the end of an open shard: AWS may answer one with records behind it.
EMPTY_PAGES = 3


@dataclass(frozen=True)
class Page:
    records: list[dict[str, Any]]
    #: The shard is closed and was read to its end.
    ended: bool = False
    #: The record of this sequence number, where reading stopped, left the stream; so may have others up to these.
    missed_after: str | None = None


class ShardReader:
    """``streams`` gives a client of the streams API; it may be another one at every call."""

    def __init__(self, streams: Callable[[], Any], stream_arn: str, shard_id: str, after: str | None) -> None:
        self._streams, self._stream_arn, self._shard_id = streams, stream_arn, shard_id
        #: The last record that was read, or that need not be read again.
        self._after = after
        self._iterator: str | None = None
        self._missed_after: str | None = None

    def read(self, limit: int) -> Page:
        """The next records. Raises what AWS refuses, other than an iterator that has to be renewed."""
        if self._iterator is None:
            self._iterator = self._open()
        try:
            answer = self._streams().get_records(ShardIterator=self._iterator, Limit=min(limit, PAGE))
        except ClientError as error:
            if aws.code(error) not in ("ExpiredIteratorException", "TrimmedDataAccessException"):
                raise
            self._iterator = None
            return Page([])
        self._iterator = answer.get("NextShardIterator")
        records = [lambda_record(each, self._stream_arn) for each in answer["Records"]]
        missed, self._missed_after = (self._missed_after, None) if records else (None, self._missed_after)
        if records:
            self._after = records[-1]["dynamodb"]["SequenceNumber"]
        return Page(records, ended=self._iterator is None, missed_after=missed)

    def _open(self) -> str:
        if self._after is not None:
            try:
                return self._get_iterator(ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=self._after)
            except ClientError as error:
                if aws.code(error) != "TrimmedDataAccessException":
                    raise
                # What is left of the shard is younger than the place we were at.
                self._missed_after = self._after
        return self._get_iterator(ShardIteratorType="TRIM_HORIZON")

    def _get_iterator(self, **place: str) -> str:
        answer = self._streams().get_shard_iterator(StreamArn=self._stream_arn, ShardId=self._shard_id, **place)
        return answer["ShardIterator"]


def shards_of(streams: Any, stream_arn: str) -> list[dict[str, Any]]:
    """All shards of a stream. Raises when AWS does not answer all of them."""
    shards: list[dict[str, Any]] = []
    further: dict[str, str] = {}
    while True:
        described = streams.describe_stream(StreamArn=stream_arn, **further)["StreamDescription"]
        shards += described["Shards"]
        last = described.get("LastEvaluatedShardId")
        if not last:
            return shards
        further = {"ExclusiveStartShardId": last}


def latest(streams: Any, stream_arn: str, shards: list[dict[str, Any]]) -> dict[str, Saved]:
    """The place LATEST means now, for every shard there is. Shards that come later are read from their beginning.

    AWS's LATEST iterator names no sequence number, so a restart could not come back to it: the open shards are read
    to their end instead.
    """
    places = {}
    for shard in shards:
        if shard.get("SequenceNumberRange", {}).get("EndingSequenceNumber"):
            places[shard["ShardId"]] = Saved(finished=True)
        else:
            places[shard["ShardId"]] = _end_of(streams, stream_arn, shard["ShardId"])
    return places


def _end_of(streams: Any, stream_arn: str, shard_id: str) -> Saved:
    iterator = streams.get_shard_iterator(StreamArn=stream_arn, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    last, empty = None, 0
    while iterator and empty < EMPTY_PAGES:
        answer = streams.get_records(ShardIterator=iterator, Limit=PAGE)
        iterator = answer.get("NextShardIterator")
        empty = 0 if answer["Records"] else empty + 1
        if answer["Records"]:
            last = answer["Records"][-1]["dynamodb"]["SequenceNumber"]
    return Saved(checkpoint=last, finished=iterator is None)
