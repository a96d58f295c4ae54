"""What a deploy would take over, cut off or crowd is refused; all else is let through."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import pipeline_guard

ACCOUNT = "arn:aws:{}:us-east-1:123456789012:"
STREAM = ACCOUNT.format("dynamodb") + "table/orders/stream/2026-01-01T00:00:00.000"
OWN = {"cloudcdc:pipeline": "cdc/dev/orders"}


def options(**given):
    return {
        "table_name": "orders",
        "attach": False,
        "hash_key_name": "id",
        "hash_key_type": "STRING",
        "range_key_name": "",
        "range_key_type": "STRING",
        "stream_view_type": "NEW_AND_OLD_IMAGES",
        "function_name": "processor",
        "starting_position": "TRIM_HORIZON",
        "owner_tags": OWN,
        "replacement_allowed": False,
        **given,
    }


def table(**given):
    return {
        "name": "orders",
        "hash_key_name": "id",
        "hash_key_type": "STRING",
        "range_key_name": "",
        "range_key_type": None,
        "billing_mode": "PAY_PER_REQUEST",
        "stream_enabled": True,
        "stream_view_type": "NEW_AND_OLD_IMAGES",
        "tags": OWN,
        **given,
    }


def mapping(function="processor", source=STREAM, state="Enabled", position="TRIM_HORIZON", number=1):
    return {
        "UUID": f"uuid-{number}",
        "EventSourceArn": source,
        "FunctionArn": f"{ACCOUNT.format('lambda')}function:{function}",
        "State": state,
        "StartingPosition": position,
    }


def of_mappings(*mappings, tags=None, **given):
    return pipeline_guard.mapping_problems(list(mappings), tags or {}, STREAM, options(**given))


def test_a_pipeline_as_it_was_and_one_that_is_new_pass():
    assert pipeline_guard.table_problems(table(), options()) == []
    assert pipeline_guard.table_problems(None, options()) == []
    assert of_mappings() == []
    assert of_mappings(mapping("processor:live")) == []
    assert pipeline_guard.mapping_problems([], {}, None, options()) == []


@pytest.mark.parametrize(
    ("there", "given", "words"),
    [
        (table(tags={}), {}, "does not carry the tag cloudcdc:pipeline=cdc/dev/orders"),
        (table(hash_key_name="key"), {}, "hash_key_name cannot be changed after creation"),
        (table(hash_key_name="key"), {"replacement_allowed": True}, "hash_key_name cannot be changed after creation"),
        (table(stream_view_type="KEYS_ONLY"), {}, "the table would get a new stream"),
        (None, {"attach": True}, "There is no table orders to attach to"),
        (table(stream_view_type="KEYS_ONLY", tags=None), {"attach": True}, "stream_view_type to KEYS_ONLY, or ask"),
        (table(stream_view_type="KEYS_ONLY"), {"attach": True, "replacement_allowed": True}, "belongs to someone else"),
    ],
)
def test_a_table_is_refused_in_words(there, given, words):
    (sentence,) = pipeline_guard.table_problems(there, options(**given))
    assert words in sentence


def test_a_stream_is_replaced_when_told_and_switched_on_where_it_is_off():
    other = table(stream_view_type="KEYS_ONLY")
    assert pipeline_guard.table_problems(other, options(replacement_allowed=True)) == []
    off = table(stream_enabled=False, stream_view_type=None)
    assert pipeline_guard.table_problems(off, options()) == []
    assert pipeline_guard.table_problems({**off, "tags": None, "hash_key_name": "x"}, options(attach=True)) == []


def test_a_renamed_function_is_known_by_the_tag_of_the_mapping_it_leaves_behind():
    former = mapping("former", number=7)
    (sentence,) = of_mappings(former, tags={"uuid-7": {**OWN, "team": "data"}})
    assert "uuid-7 of the function former (Enabled)" in sentence and "up to 24 hours" in sentence
    (sentence,) = of_mappings(former, tags={"uuid-7": OWN}, starting_position="LATEST")
    assert "changes until it has begun are lost" in sentence
    for passes in (
        of_mappings(former, tags={"uuid-7": OWN}, replacement_allowed=True),
        of_mappings(former, tags={"uuid-7": {"cloudcdc:pipeline": "cdc/dev/others"}}),
        of_mappings({**former, "State": "Deleting"}, tags={"uuid-7": OWN}),
    ):
        assert passes == []


def test_a_renamed_table_is_known_by_what_the_function_reads():
    other = mapping(source=STREAM.replace("orders", "former"), number=3)
    (sentence,) = of_mappings(other)
    assert "reads the table former, by the mapping uuid-3" in sentence
    assert of_mappings(other, replacement_allowed=True) == []
    # A former stream of the same table, and a source of another kind.
    assert of_mappings(mapping(source=STREAM.replace("2026", "2025"))) == []
    assert of_mappings(mapping(source=ACCOUNT.format("sqs") + "queue")) == []


def test_two_readers_pass_and_a_third_is_refused_whatever_it_is_told():
    first, second = mapping("first", number=1), mapping("second", state="Disabled", number=2)
    assert of_mappings(first) == []
    (sentence,) = of_mappings(first, second, replacement_allowed=True)
    assert "has 2 readers already: uuid-1 of the function first (Enabled), uuid-2 of the function second" in sentence
    # One of them is on its way out, reads another stream, or the pipeline is one of three already.
    assert of_mappings(first, {**second, "State": "Deleting"}) == []
    assert of_mappings(first, {**second, "EventSourceArn": STREAM.replace("orders", "others")}) == []
    assert of_mappings(first, second, mapping(number=3)) == []


def test_another_starting_position_of_the_same_mapping_is_refused():
    (sentence,) = of_mappings(mapping(position="LATEST"))
    assert "began at LATEST, TRIM_HORIZON is asked for" in sentence
    assert of_mappings(mapping(source=STREAM.replace("2026", "2025"), position="LATEST")) == []
