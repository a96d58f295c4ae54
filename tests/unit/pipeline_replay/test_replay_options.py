"""What cannot be replayed is refused before anything is read, with what is wrong and what would be right."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_replay.options import Options
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_replay

WHERE = {
    "function": {"function_name": "consumer"},
    "table": {"target_table": "Copy"},
    "verify": {},
    "queue": {"queue_url": "https://sqs/queue"},
    "topic": {"topic_arn": "arn:aws:sns:us-east-1:123456789012:changes"},
    "file": {"path": "/tmp/changes.ndjson"},
}


def params(target: str = "file", **more):
    defaults = {name: spec.get("default") for name, spec in pipeline_replay.ARGUMENT_SPEC.items()}
    return {**defaults, "table_name": "Items", "bucket": "audit", "target": target, **WHERE[target], **more}


def read(target: str = "file", check_mode: bool = False, **more) -> Options:
    return Options.read(params(target, **more), check_mode)


@pytest.mark.parametrize("target", WHERE)
def test_every_target_can_be_asked_for(target):
    options = read(target)
    assert (options.target, options.prefix, options.dry_run, options.filtered) == (target, "audit-logs/", False, False)


@pytest.mark.parametrize(
    ("target", "more", "words"),
    [
        ("file", {"batch_size": 0}, "batch_size must be from 1 to 10000, not 0."),
        ("file", {"batch_size": 10001}, "batch_size must be from 1 to 10000, not 10001."),
        ("file", {"concurrency": 0}, "concurrency must be from 1 to 64"),
        ("file", {"concurrency": 65}, "concurrency must be from 1 to 64"),
        ("file", {"limit": -1}, "limit must be 0 or more, not -1."),
        ("file", {"rate": -1}, "rate must be 0 or more"),
        ("file", {"timeout": 0}, "timeout must be from 1 to 86400"),
        ("verify", {"settle_seconds": 3601}, "settle_seconds must be from 0 to 3600"),
        ("function", {"function_name": None}, "target function needs function_name"),
        ("table", {"target_table": ""}, "target table needs target_table"),
        ("queue", {"queue_url": None}, "target queue needs queue_url"),
        ("topic", {"topic_arn": None}, "target topic needs topic_arn"),
        ("file", {"path": None}, "target file needs path"),
        ("file", {"queue_url": "x"}, "queue_url is for the target queue, and the target is file"),
        ("verify", {"target_table": "x"}, "target_table is for the target table, and the target is verify"),
        ("table", {"target_table": "Items"}, "target_table must not be the table that the changes are of (Items)"),
        (
            "file",
            {"from": "yesterday"},
            "from must be a time in ISO 8601, such as 2026-01-31T14:00:00Z, not",
        ),
        ("file", {"to": "2026-02-30T00:00:00Z"}, "to must be a time in ISO 8601"),
        ("file", {"from": "2026-01-02", "to": "2026-01-01"}, "from (2026-01-02) is later than to (2026-01-01)"),
        ("file", {"event_names": ["INSERT", "insert"]}, "event_names may hold INSERT, MODIFY, REMOVE, not 'insert'."),
        ("file", {"match": "keys.Id ="}, "match cannot be used"),
        ("file", {"keys": {}}, "keys must be an item's whole primary key"),
        ("file", {"keys": {"Id": "a"}}, "Id must be DynamoDB JSON with one type"),
        ("file", {"keys": {"Id": {"N": "x"}}}, "Id: N takes a number"),
        ("table", {"event_names": ["INSERT"]}, "target table needs every change of an item"),
        ("verify", {"match": "`true`", "limit": 5}, "cannot be combined with match and limit"),
        ("table", {"from": "2026-01-01"}, "Leave from out"),
        ("verify", {"to": "2026-01-01"}, "Leave to out."),
        ("table", {"range_key_name": "At"}, "range_key_name (At) needs hash_key_name"),
        ("file", {"replay_id": "../../x"}, "replay_id must be up to 64 letters"),
        ("file", {"replay_id": "-x"}, "replay_id must be up to 64 letters"),
        ("file", {"replay_id": "x" * 65}, "replay_id must be up to 64 letters"),
    ],
)
def test_what_cannot_be_is_refused(target, more, words):
    with pytest.raises(InputError) as refused:
        read(target, **more)
    assert words in str(refused.value)


def test_times_are_read_to_the_second_in_the_zone_that_they_name():
    options = read(**{"from": "2026-01-31T14:00:00.9+02:00", "to": "2026-02-01T00:00:00"})
    assert options.since == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert options.until == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("number", ["5", 5, "5.0", "05", "5e0"])
def test_keys_are_spelt_as_the_log_spells_them(number):
    assert read(keys={"Id": {"N": number}}).keys == {"Id": {"N": "5"}}


def test_a_key_schema_is_told_with_the_letters_of_dynamodb():
    both = read("table", hash_key_name="Id", range_key_name="At", range_key_type="NUMBER")
    assert both.key_schema == (("Id", "S"), ("At", "N"))
    assert read("table").key_schema == ()


def test_check_mode_is_a_dry_run():
    assert read(check_mode=True).dry_run and read(dry_run=True).dry_run


def test_what_decides_which_changes_are_sent_where_must_be_the_same_to_go_on():
    asked = read("queue").fingerprint()
    for more in ({"queue_url": "x"}, {"limit": 1}, {"keys": {"Id": {"S": "a"}}}, {"match": "`true`"}, {"prefix": "x/"}):
        assert read("queue", **more).fingerprint() != asked
    for more in ({"rate": 5}, {"batch_size": 5}, {"timeout": 5}, {"dry_run": True}, {"progress_file": "x"}):
        assert read("queue", **more).fingerprint() == asked
    assert read(event_names=["REMOVE", "INSERT"]).fingerprint() == read(event_names=["INSERT", "REMOVE"]).fingerprint()
