"""The reader gives every change once and in order, in bounded memory, and leaves nothing out silently."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import generations
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.reader import (
    Reader,
    covering_prefixes,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.sorting import Sorter
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.history.logs import (
    FIRST,
    PREFIX,
    FakeS3,
    client_error,
    envelope,
    line,
    random_changes,
    write_batch,
    write_changes,
)

END = FIRST + timedelta(days=2)


def read(s3: FakeS3, start=FIRST, end=END, **options) -> tuple[list[dict], Reader]:
    reader = Reader(s3.store(), PREFIX, workers=3, **options)
    return [change.envelope for change in reader.changes(start, end)], reader


def compact(s3: FakeS3, keys: list[str], changes: list[dict], number: int = 1) -> generations.Generation:
    """Write a generation by hand; the sources stay."""
    import hashlib

    hour = generations.hour_of(keys[0])
    data = gzip.compress(b"".join(line(each) + b"\n" for each in changes), mtime=0)
    names = gzip.compress("".join(f"{key.removeprefix(hour)}\n" for key in sorted(keys)).encode(), mtime=0)
    made = generations.Generation(
        key=generations.manifest_key(hour, number),
        number=number,
        changes=len(changes),
        counts={},
        first=changes[0]["sequenceNumber"],
        last=changes[-1]["sequenceNumber"],
        data_key=generations.data_key(hour, number, "0" * 16),
        data_sha256=hashlib.sha256(data).hexdigest(),
        data_bytes=len(data),
        sources_key=generations.sources_key(hour, number, "0" * 16),
        sources_sha256=hashlib.sha256(names).hexdigest(),
        sources=len(keys),
    )
    s3.objects |= {made.key: made.manifest(), made.data_key: data, made.sources_key: names}
    return made


@given(seed=st.integers(0, 10**6), page=st.integers(1, 7), memory=st.sampled_from([1, 2000, 10**7]))
def test_every_change_comes_once_and_in_order_whatever_the_layout(seed, page, memory):
    source = random.Random(seed)
    changes, s3 = random_changes(source, 40), FakeS3(page)
    rest = list(changes)
    while rest:
        batch, rest = rest[: source.randint(1, 6)], rest[source.randint(1, 6) :]
        # Batches overlap where fewer are left out than were taken, and the order in one may be any.
        (write_batch if source.random() < 0.5 else write_changes)(s3, batch)
    written = {each["eventID"] for key in s3.objects for each in _envelopes(key, s3.objects[key])}
    wanted = [each for each in changes if each["eventID"] in written]

    found, reader = read(s3, memory_bytes=memory)

    assert found == wanted
    assert reader.findings.sentences() == []
    assert reader.duplicates == reader.read - len(found)


def _envelopes(key, body):
    from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import read_envelopes

    return read_envelopes(key, body)


def test_only_the_changes_of_the_range_are_given_both_ends_included():
    s3 = FakeS3()
    write_batch(s3, [envelope(number, seconds=number) for number in range(1, 10)])

    found, _reader = read(s3, FIRST + timedelta(seconds=3), FIRST + timedelta(seconds=5))

    assert [each["sequenceNumber"] for each in found] == ["3", "4", "5"]


def test_only_the_hours_of_the_range_are_listed_and_read():
    s3, asked = FakeS3(), []
    write_changes(s3, [envelope(number, seconds=3600 * number) for number in range(1, 72)])
    s3.before = lambda name, request: asked.append(request.get("Prefix") or request["Key"])

    read(s3, FIRST + timedelta(hours=12), FIRST + timedelta(hours=40, minutes=59))

    hours = {f"{FIRST + timedelta(hours=each):%Y/%m/%d/%H/}" for each in range(12, 41)}
    days = {"2026/02/01/"}
    assert {each.removeprefix(PREFIX) for each in asked if each.endswith("/")} <= hours | days
    assert {each.removeprefix(PREFIX)[:14] for each in asked if not each.endswith("/")} == hours
    assert len([each for each in asked if each.endswith("/")]) < len(hours)


@given(start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), hours=st.integers(0, 24 * 500))
def test_the_prefixes_cover_the_hours_of_the_range_and_no_other(start, hours):
    start = start.replace(tzinfo=UTC)
    end = start + timedelta(hours=hours)

    prefixes = covering_prefixes(start, end, "log/")

    first, last = (each.replace(minute=0, second=0, microsecond=0) for each in (start, end))
    around = [first + timedelta(hours=each) for each in (-1, 0, hours // 2, hours - 1 if hours else 0)]
    for hour in [*around, last, last + timedelta(hours=1)]:
        covering = [each for each in prefixes if f"log/{hour:%Y/%m/%d/%H/}".startswith(each)]
        assert len(covering) == (first <= hour <= last)
    assert len(prefixes) <= 2 * (23 + 30 + 11) + 2
    assert prefixes == sorted(prefixes)


def test_the_log_begins_with_its_first_hour_and_not_with_what_else_is_below_the_prefix():
    s3 = FakeS3()
    s3.objects |= {f"{PREFIX}baseline/x/manifest.json": b"", f"{PREFIX}journal/x.json": b""}
    assert Reader(s3.store(), PREFIX).begin() is None

    write_changes(s3, [envelope(1, seconds=7200)])
    assert Reader(s3.store(), PREFIX).begin() == FIRST + timedelta(hours=2)


def test_the_log_begins_where_it_does_whatever_else_sorts_before_it():
    s3 = FakeS3(page=3)
    names = [".keep", "(1)", "-", "0000/00/00/00/x", "2026/01/31/notes.txt", "2026/01/31/09"]
    s3.objects |= {PREFIX + name: b"" for name in names} | {f"{PREFIX}baseline/{each}": b"" for each in range(9)}
    assert Reader(s3.store(), PREFIX).begin() is None

    write_changes(s3, [envelope(1)])
    assert Reader(s3.store(), PREFIX).begin() == FIRST


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda body: body[:-9], "its gzip data ends too early"),
        (lambda body: b"", "its gzip data ends too early"),
        (lambda body: gzip.compress(b'{"schema":"other"}\n'), "line 1 holds no change: its schema is not"),
        (lambda body: gzip.compress(gzip.decompress(body)[:-1]), "its last line has no end"),
        (lambda body: gzip.compress(gzip.decompress(body) * 2), "the object's name does not follow from what it holds"),
    ],
)
def test_a_damaged_object_is_named_and_the_others_are_read(damage, reason):
    s3 = FakeS3()
    (bad,) = write_batch(s3, [envelope(1), envelope(2)])
    write_batch(s3, [envelope(3)])
    s3.objects[bad] = damage(s3.objects[bad])

    found, reader = read(s3)

    assert [each["sequenceNumber"] for each in found] == ["3"]
    assert list(reader.findings.damaged) == [bad]
    assert reader.findings.damaged[bad].startswith(reason)
    assert reader.findings.count == 1


def test_what_is_no_object_of_the_log_is_named():
    s3 = FakeS3()
    (key,) = write_changes(s3, [envelope(1)])
    s3.objects[key + ".bak"] = b"{}"

    found, reader = read(s3)

    assert len(found) == 1
    assert reader.findings.foreign == [key + ".bak"]


def test_copies_of_a_change_that_differ_are_named_unless_a_redrive_marked_one():
    s3 = FakeS3()
    first = write_batch(s3, [envelope(1), envelope(2)])
    second = write_batch(s3, [envelope(2, new={"Id": {"S": "item"}, "More": {"N": "1"}}), envelope(3)])
    write_batch(s3, [envelope(3, redrive={"id": "1", "time": "2026-01-31T10:00:00Z"}), envelope(4)])

    found, reader = read(s3)

    assert [each["sequenceNumber"] for each in found] == ["1", "2", "3", "4"]
    assert [sorted(pair) for pair in reader.findings.conflicting] == [sorted(first + second)]


def test_changes_of_an_older_stream_come_first_within_an_hour_whatever_their_numbers():
    s3 = FakeS3()
    write_changes(s3, [envelope(1, label="2026-01-31T10:30:00.000", seconds=2000), envelope(99, seconds=100)])

    found, _reader = read(s3)

    assert [each["sequenceNumber"] for each in found] == ["99", "1"]


@pytest.mark.parametrize("removed", [True, False])
def test_a_compacted_hour_reads_like_its_sources(removed):
    changes, s3 = random_changes(random.Random(1), 30, span=3000), FakeS3()
    keys = write_changes(s3, changes)
    compact(s3, keys[:20], changes[:20], 1)
    compact(s3, keys[20:25], changes[20:25], 2)
    if removed:
        for key in keys[:25]:
            del s3.objects[key]

    found, reader = read(s3)

    assert found == changes
    # Sources that are still there are not read again.
    assert reader.objects == 2 + 5
    assert reader.duplicates == 0


def test_an_hour_that_is_compacted_while_it_is_read_is_read_again():
    changes, s3 = random_changes(random.Random(2), 20, span=3000), FakeS3(page=7)
    keys = write_changes(s3, changes)
    calls = []

    def compacted_meanwhile(name, request):
        calls.append(name)
        if len(calls) == 2:  # between two pages of the listing
            compact(s3, keys, changes)
            for key in keys:
                del s3.objects[key]

    s3.before = compacted_meanwhile

    found, reader = read(s3)

    assert found == changes
    assert reader.findings.sentences() == []


def test_an_hour_whose_listed_object_is_gone_is_listed_again():
    changes, s3 = random_changes(random.Random(3), 5, span=3000), FakeS3()
    keys = write_changes(s3, changes)

    def compacted_meanwhile(name, request):
        if name == "get_object" and request["Key"] == keys[3] and keys[0] in s3.objects:
            compact(s3, keys, changes)
            for key in keys:
                del s3.objects[key]

    s3.before = compacted_meanwhile

    assert read(s3)[0] == changes


@pytest.mark.parametrize("part", ["key", "data_key", "sources_key"])
def test_a_damaged_generation_is_named(part):
    changes, s3 = random_changes(random.Random(4), 5, span=3000), FakeS3()
    made = compact(s3, write_changes(s3, changes), changes)
    s3.objects[getattr(made, part)] = b"{}"

    _found, reader = read(s3)

    assert list(reader.findings.damaged) == [getattr(made, part)]


def test_an_error_of_aws_comes_out_as_it_is():
    def denied(name, request):
        if name == "get_object":
            raise client_error("AccessDenied", 403, "GetObject")

    s3 = FakeS3()
    write_changes(s3, [envelope(1)])
    s3.before = denied

    with pytest.raises(Exception, match="AccessDenied"):
        read(s3)


def test_a_body_that_breaks_off_is_read_again():
    class ReadTimeoutError(Exception):
        """As botocore names it."""

    s3, failures = FakeS3(), [ReadTimeoutError(), ReadTimeoutError()]
    write_changes(s3, [envelope(1)])

    def broken(name, request):
        if name == "get_object" and failures:
            raise failures.pop()

    s3.before = broken

    assert len(read(s3)[0]) == 1


@given(
    entries=st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=9))),
    ready=st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=9))),
    memory=st.integers(1, 3000),
)
def test_what_is_sorted_on_disk_is_what_sorting_in_memory_gives(entries, ready, memory):
    sorter = Sorter(memory)
    for key, value in entries:
        sorter.add(key, value)
    sorter.add_sorted(iter(sorted(ready)))

    assert list(sorter.sorted()) == sorted(entries + ready)


def test_an_hour_larger_than_the_memory_is_read_within_it():
    s3 = FakeS3()
    changes = [
        envelope(number, f"i{number}", new={"Id": {"S": f"i{number}"}, "D": {"S": "d" * 400}})
        for number in range(1, 6001)
    ]
    for start in range(0, len(changes), 100):
        write_batch(s3, changes[start : start + 100])

    def peak(count):
        tracemalloc.start()
        try:
            reader = Reader(s3.store(), PREFIX, workers=2, memory_bytes=200_000)
            assert sum(1 for _change in reader.changes(FIRST, END)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    whole = peak(6000)
    for key in sorted(s3.objects)[20:]:
        del s3.objects[key]

    # Three times the changes, and hardly more memory: buffers of a few files.
    assert whole < 2 * peak(2000) + 2_000_000
