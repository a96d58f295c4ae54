"""Which audit objects a run looks for, reads and leaves unread."""

from __future__ import annotations

import gzip
from datetime import timedelta
from types import SimpleNamespace

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import read_name
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import verification
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.envelope import Message
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.ledger import Ledger
from stream_processor.canonical import to_bytes
from stream_processor.envelope import to_envelope
from stream_processor.layout import per_batch, per_change

from tests.unit.pipeline_verify.verify_support import BUCKET, NOW, PREFIX, RUN_ID, changes_of, record_of, stream

STREAM = stream()


class Log:
    """An audit log in memory; ``reads`` tells which objects were asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, object]] = {}
        self.reads: list[str] = []

    def put(self, *envelopes, batch=True, written=NOW) -> str:
        key = per_batch(envelopes, PREFIX) if batch else per_change(envelopes[0], PREFIX)
        lines = b"".join(to_bytes(envelope) + b"\n" for envelope in envelopes)
        self.objects[key] = (gzip.compress(lines) if batch else lines, written)
        return key

    def find(self, hour, wanted):
        names = [key for key in sorted(self.objects) if key.startswith(hour)]
        return [key for key in names if wanted(read_name(key), self.objects[key][1])]

    def read(self, key):
        self.reads.append(key)
        return self.objects[key][0] if key in self.objects else None


class Scene:
    def __init__(self, **how) -> None:
        self.log, self.messages = Log(), []
        self.ledger = Ledger(RUN_ID, changes_of(STREAM, **how), STREAM, BUCKET, PREFIX, "per_change")
        for trace in self.ledger.traces:
            trace.written_at = 0.0
        self.envelopes = [
            to_envelope(record_of(trace.change, STREAM, 10 + place)) for place, trace in enumerate(self.ledger.traces)
        ]
        clock = SimpleNamespace(utc=lambda: NOW, now=lambda: 1.0, check=lambda: None)
        inbox = SimpleNamespace(receive=lambda _seconds: [])
        self.watch = verification.Watch(SimpleNamespace(audit=self.log), inbox, self.ledger, clock, NOW)

    def notify(self, place, **more) -> None:
        self.ledger.take_message(Message({**self.envelopes[place], **more}, "told", {}), 1.0)


def theirs(number):
    record = record_of(changes_of(STREAM)[0], STREAM, number)
    record["dynamodb"]["Keys"] = {"Id": {"S": "theirs"}}
    return to_envelope(record)


def test_each_object_is_read_once_however_often_is_looked():
    scene = Scene()
    keys = [scene.log.put(theirs(number)) for number in (5, 100)]
    keys.append(scene.log.put(scene.envelopes[0], theirs(50)))

    for _look in range(3):
        scene.watch.look()

    assert sorted(scene.log.reads) == sorted(keys)
    assert [trace.change.event_name for trace in scene.ledger.missing("audit object")] == ["MODIFY", "REMOVE"]


def test_batch_objects_from_before_the_run_and_objects_of_other_items_are_not_read():
    scene = Scene()
    scene.log.put(*scene.envelopes, written=NOW - timedelta(minutes=2))
    scene.log.put(theirs(5), batch=False)

    scene.watch.look()

    assert scene.log.reads == []


def test_objects_whose_range_holds_a_known_number_are_read_first_and_the_rest_not_at_all():
    scene = Scene()
    for number in (1, 2, 3):
        scene.log.put(theirs(number))
    mine = scene.log.put(*scene.envelopes)
    for place in range(3):
        scene.notify(place)

    scene.watch.look()

    assert not scene.ledger.missing("audit object")
    assert [key for key in scene.log.reads if key in scene.log.objects] == [mine]


def test_a_name_that_a_notification_gives_is_asked_for_once():
    scene = Scene()
    scene.notify(0)
    derived = per_change(scene.envelopes[0], PREFIX)

    scene.watch.look()
    scene.watch.look()
    assert scene.log.reads == [derived]

    scene.log.put(scene.envelopes[0], batch=False)  # no object of a name that was asked for is passed over later
    scene.watch.look()
    assert scene.ledger.traces[0].audits.keys() == {derived}


def test_a_look_reads_so_many_objects_and_the_next_one_goes_on(monkeypatch):
    monkeypatch.setattr(verification, "_READS_A_LOOK", 2)
    scene = Scene()
    for number in range(1, 6):
        scene.log.put(theirs(number))

    scene.watch.look()
    assert len(scene.log.reads) == 2
    scene.watch.look(thorough=True)
    assert len(set(scene.log.reads)) == len(scene.log.reads) == 5


@pytest.mark.parametrize("batch", [True, False])
def test_a_change_that_must_not_be_there_is_looked_for(batch):
    scene = Scene(patterns=[{"eventName": ["INSERT"]}])
    scene.log.put(scene.envelopes[0], batch=batch)
    scene.log.put(scene.envelopes[1], batch=batch)

    scene.watch.look()

    assert [bool(trace.audits) for trace in scene.ledger.traces] == [True, True, False]
