"""docs/envelope.md says what the function does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from stream_processor.config import ConfigError, read_settings
from stream_processor.envelope import to_envelope
from stream_processor.handler import handle
from stream_processor.layout import per_change
from stream_processor.metrics import METRICS
from stream_processor.transport.retries import ATTEMPTS

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, fail_at, log, processor
from tests.unit.stream_records import SCHEMA, sample, validated

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "envelope.md").read_text(encoding="utf-8")


def section(heading):
    return re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def shown(heading):
    return json.loads(re.search(r"```json\n(.*?)```", section(heading), re.DOTALL)[1])


def first_column(heading):
    return re.findall(r"^\| `([^`]+)` \|", section(heading), re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "event"),
    [("INSERT", "insert"), ("MODIFY", "modify"), ("REMOVE", "remove"), ("REMOVE by time to live", "ttl_remove")],
)
def test_each_sample_is_what_the_function_makes_of_the_event(heading, event):
    assert shown(heading) == validated(to_envelope(sample(event)))


def test_the_object_name_shown_is_the_sample_s():
    assert f"`{per_change(to_envelope(sample('insert')), 'audit-logs/')}`" in TEXT


def test_the_claim_check_shown_is_the_modify_sample_without_images():
    envelope, details = to_envelope(sample("modify")), validated(shown("The claim check")["details"])
    assert details.pop("audit")["key"] == per_change(envelope, "audit-logs/")
    assert details == {name: value for name, value in envelope.items() if name not in ("oldImage", "newImage")}


def test_every_field_of_the_schema_is_documented_in_its_order():
    assert first_column("Fields") == list(SCHEMA["properties"])
    required = re.findall(r"^\| `([^`]+)` \| always \|", section("Fields"), re.MULTILINE)
    assert required == SCHEMA["required"]


def test_every_setting_is_documented_with_its_default():
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \|", section("How the function works through a batch"), re.M)
    required = [name for name, default in rows if default == "required"]
    with pytest.raises(ConfigError) as refused:
        read_settings({})
    assert re.findall(r"[A-Z0-9]+(?:_[A-Z0-9]+)+", str(refused.value)) == required
    given = {"S3_BUCKET_NAME": "audit-bucket", "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:changes"}
    defaults = {name: default.strip("`") for name, default in rows if default != "required"}
    assert read_settings({**given, **defaults}) == read_settings(given)
    # A name that the function does not read would change nothing when it is wrong.
    for name in defaults:
        with pytest.raises(ConfigError, match=name):
            read_settings({**given, name: "?"})


def test_every_member_of_the_log_lines_is_documented(capsys):
    transport = FakeTransport(fail_at("audit", sample("insert")["dynamodb"]["SequenceNumber"], ValueError()))
    handle({"Records": [sample("insert")]}, FakeContext(), processor(transport), log())
    documented = section("Log and metrics")
    for line in capsys.readouterr().out.splitlines():
        members = set(json.loads(line)) - {"timestamp", "level", "message"}
        assert [name for name in members if f"`{name}`" not in documented] == []


def test_how_often_a_call_is_tried_is_documented():
    assert f"in up to {ATTEMPTS} attempts" in section("How the function works through a batch")


def test_the_metrics_are_those_marked_in_the_table_of_the_log():
    table = section("Log and metrics")
    assert set(re.findall(r"`(\w+)`\*", table)) == set(METRICS)


def test_the_digest_shown_is_that_of_the_samples():
    transport, shown_digest = FakeTransport(), shown("The digest")
    records = [sample("insert"), sample("modify"), sample("ttl_remove")]
    made = processor(transport, notification_mode="digest")
    made.process(records, FakeContext().get_remaining_time_in_millis)
    digest = json.loads(transport.notifications[0].message)
    digest["audit"]["bucket"] = shown_digest["audit"]["bucket"]
    assert shown_digest == digest
