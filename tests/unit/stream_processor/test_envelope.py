"""The envelope: a function of the stream record alone."""

from __future__ import annotations

import copy
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.canonical import to_bytes, to_json
from stream_processor.envelope import MalformedRecord, changed_attributes, is_expiry, to_envelope

from tests.unit.stream_records import EVENTS, attribute_values, make_record, records, sample, texts, validated


def envelope_of(record):
    return validated(to_envelope(record))


def shuffled(value, rng):
    """The same JSON with the members of every object in another order."""
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(value[name], rng) for name in names}
    return [shuffled(member, rng) for member in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_every_sample_event_makes_an_envelope_of_the_schema(name):
    record = sample(name)
    envelope = envelope_of(record)
    assert envelope["keys"] == record["dynamodb"]["Keys"]
    assert envelope["table"] in record["eventSourceARN"]


def test_fields_come_from_the_record():
    record = sample("modify")
    assert envelope_of(record) == {
        "schema": "cloudcdc.change/1",
        "eventID": record["eventID"],
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": record["eventSourceARN"],
        "awsRegion": "us-east-1",
        "sequenceNumber": "100000000000000000002",
        "sizeBytes": 262,
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "timestamp": "2026-01-01T00:01:01Z",
        "table": "UserActivities",
        "keys": record["dynamodb"]["Keys"],
        "oldImage": record["dynamodb"]["OldImage"],
        "newImage": record["dynamodb"]["NewImage"],
        "changedAttributes": ["Device", "Score"],
    }


@settings(max_examples=60)
@given(records(), st.randoms(use_true_random=False))
def test_the_same_event_always_gives_the_same_bytes(record, rng: random.Random):
    before = copy.deepcopy(record)
    body = to_bytes(envelope_of(record))
    assert record == before
    assert to_bytes(envelope_of(shuffled(record, rng))) == body


@settings(max_examples=60)
@given(records())
def test_keys_and_images_are_untouched_and_absent_where_the_record_has_none(record):
    envelope = json.loads(to_bytes(envelope_of(record)))
    change = record["dynamodb"]
    assert envelope["keys"] == change["Keys"]
    assert envelope.get("oldImage") == change.get("OldImage")
    assert envelope.get("newImage") == change.get("NewImage")
    assert ("changedAttributes" in envelope) == (
        record["eventName"] == "MODIFY" and "OldImage" in change and "NewImage" in change
    )
    assert None not in envelope.values()


@pytest.mark.parametrize("number", ["9" * 38, "-0." + "1" * 38, "1E+125", "9007199254740993"])
def test_numbers_keep_every_digit(number):
    record = make_record({"Id": {"N": number}}, new={"Id": {"N": number}, "Total": {"NS": [number]}})
    envelope = json.loads(to_bytes(envelope_of(record)))
    assert envelope["newImage"] == {"Id": {"N": number}, "Total": {"NS": [number]}}


@settings(max_examples=80)
@given(st.dictionaries(texts(1), attribute_values(), max_size=4), st.data())
def test_changed_attributes_are_those_added_removed_or_given_another_value(image, data):
    fates = {name: data.draw(st.sampled_from(["kept", "added", "removed", "changed"])) for name in image}
    old = {name: value for name, value in image.items() if fates[name] != "added"}
    new = {name: value for name, value in image.items() if fates[name] != "removed"}
    new.update({name: {"L": [image[name]]} for name in image if fates[name] == "changed"})
    assert changed_attributes(old, new) == sorted(name for name in image if fates[name] != "kept")


@settings(max_examples=100)
@given(st.lists(texts(), min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_a_set_is_no_change(members, rng):
    other = list(members)
    rng.shuffle(other)

    def nested(ordered):
        return {"flat": {"SS": ordered}, "deep": {"L": [{"M": {"x": {"SS": ordered}}}]}}

    assert changed_attributes(nested(members), nested(other)) == []
    assert changed_attributes(nested(members), nested(members[1:])) == ["deep", "flat"]
    assert ("list" in changed_attributes(_list(members), _list(other))) == (members != other)


def _list(members):
    return {"list": {"L": [{"S": member} for member in members]}}


def test_an_attribute_that_changes_its_type_alone_is_changed():
    assert changed_attributes({"a": {"S": "1"}}, {"a": {"N": "1"}}) == ["a"]


@pytest.mark.parametrize(
    ("created", "timestamp"),
    [
        (1767225600, "2026-01-01T00:00:00Z"),
        (1767225600.0, "2026-01-01T00:00:00Z"),
        (1767229199.999, "2026-01-01T00:59:59Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_the_timestamp_is_utc_to_the_second(created, timestamp):
    assert envelope_of(make_record(created=created))["timestamp"] == timestamp


@pytest.mark.parametrize("created", [-1, -0.5, float("nan"), float("inf"), 1e12, "1767225600", True, None])
def test_a_time_that_is_none_is_refused(created):
    with pytest.raises(MalformedRecord, match="ApproximateCreationDateTime"):
        to_envelope(make_record(created=created))


@pytest.mark.parametrize("name", ["ttl_remove", "ttl_remove_capitals"])
def test_a_ttl_deletion_is_told_apart_and_keeps_its_identity_as_received(name):
    envelope = envelope_of(sample(name))
    assert is_expiry(envelope)
    assert envelope["userIdentity"] == sample(name)["userIdentity"]


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("remove", None),
        ("remove", {}),
        ("remove", {"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"}),
        ("remove", {"type": "User", "principalId": "dynamodb.amazonaws.com"}),
        ("modify", {"type": "Service", "principalId": "dynamodb.amazonaws.com"}),
    ],
)
def test_other_changes_are_not_taken_for_ttl_deletions(name, identity):
    assert not is_expiry(envelope_of({**sample(name), "userIdentity": identity}))


@pytest.mark.parametrize("marker", ["replay", "redrive"])
def test_markers_are_carried_when_the_record_has_them(marker):
    told = {"id": "run-7", "time": "2026-01-02T00:00:00Z"}
    assert marker not in envelope_of(sample("insert"))
    assert envelope_of({**sample("insert"), marker: told})[marker] == told
    with pytest.raises(MalformedRecord, match=f"{marker}.time"):
        to_envelope({**sample("insert"), marker: {"id": "run-7"}})


TOP = ["eventID", "eventName", "eventSource", "eventSourceARN", "awsRegion", "dynamodb"]
CHANGE = ["ApproximateCreationDateTime", "Keys", "SequenceNumber", "SizeBytes", "StreamViewType"]


@pytest.mark.parametrize("missing", TOP + CHANGE)
def test_a_record_without_what_every_stream_record_has_is_refused_by_name(missing):
    record = sample("insert")
    del (record if missing in TOP else record["dynamodb"])[missing]
    with pytest.raises(MalformedRecord, match=missing):
        to_envelope(record)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("eventName", "secret"),
        ("eventSourceARN", "arn:aws:kinesis:us-east-1:123456789012:stream/secret"),
        ("dynamodb", ["secret"]),
        ("userIdentity", "secret"),
        ("dynamodb.Keys", {}),
        ("dynamodb.Keys", {"Id": "secret"}),
        ("dynamodb.Keys", {"Id": {"S": ["secret"]}}),
        ("dynamodb.Keys", {"Id": {"M": {"secret": {"S": "secret"}}}}),
        ("dynamodb.Keys", {"Id": {"S": "secret", "N": "1"}}),
        ("dynamodb.NewImage", "secret"),
        ("dynamodb.SequenceNumber", "secret"),
        ("dynamodb.SequenceNumber", 10**20),
        ("dynamodb.SequenceNumber", "1" * 41),
        ("dynamodb.SizeBytes", "secret"),
    ],
)
def test_a_refusal_names_the_field_and_never_the_value(path, value):
    record = sample("insert")
    *above, name = path.split(".")
    (record[above[0]] if above else record)[name] = value
    with pytest.raises(MalformedRecord) as refused:
        to_envelope(record)
    assert name in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["\ud83d", "\udfff", "\ufffe\uffff", "\x00\x1f", "é😀\u2028"])
def test_characters_that_utf8_or_sns_refuse_travel_as_escapes(text):
    written = to_json({text: text})
    assert json.loads(written.encode("utf-8")) == {text: text}
    # The characters of XML 1.0, which are those that SNS takes.
    assert all(c in "\t\n\r" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" for c in written)


def test_json_is_compact_and_readable():
    assert to_bytes({"b": "ü😀", "a": [1, {"d": None, "c": True}]}).decode() == (
        '{"a":[1,{"c":true,"d":null}],"b":"ü😀"}'
    )
