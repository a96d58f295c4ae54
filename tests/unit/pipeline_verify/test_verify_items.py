"""The test items of a run and what the pipeline must make of their changes."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import (
    attributes_problem,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import items
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pipeline_verify.verify_support import RUN_ID, changes_of, stream

key_types = st.lists(st.sampled_from("SNB"), min_size=1, max_size=2)
run_ids = st.text("0123456789abcdef", min_size=16, max_size=16)


def schema_of(types):
    return tuple(("Hash" if at == 0 else "Range", kind) for at, kind in enumerate(types))


def test_the_key_schema_is_read_from_the_tables_description_hash_key_first():
    table = {
        "AttributeDefinitions": [
            {"AttributeName": "Index", "AttributeType": "S"},
            {"AttributeName": "At", "AttributeType": "N"},
            {"AttributeName": "Id", "AttributeType": "B"},
        ],
        "KeySchema": [
            {"AttributeName": "At", "KeyType": "RANGE"},
            {"AttributeName": "Id", "KeyType": "HASH"},
        ],
    }
    assert items.key_schema(table) == (("Id", "B"), ("At", "N"))


@given(key_types, run_ids, st.integers(1, 100), st.booleans())
def test_keys_fit_the_schema_differ_between_items_and_come_again_from_the_run_id(types, run_id, count, awkward):
    schema = schema_of(types)
    keys = [items.item_keys(schema, run_id, number, awkward) for number in range(count)]

    assert len({json.dumps(each) for each in keys}) == count
    assert all([(name, next(iter(value))) for name, value in each.items()] == list(schema) for each in keys)
    assert all(attributes_problem(each) is None for each in keys)
    assert keys == [items.item_keys(schema, run_id, number, awkward) for number in range(count)]


@given(run_ids, run_ids, key_types)
def test_runs_have_no_keys_in_common(one, other, types):
    schema = schema_of(types)
    same = items.item_keys(schema, one, 0, True) == items.item_keys(schema, other, 0, True)
    assert same is (one == other)


@given(run_ids, st.integers(0, 200))
def test_a_number_key_has_38_digits_and_dynamodb_keeps_its_spelling(run_id, number):
    (value,) = items.item_keys((("Id", "N"),), run_id, number, True).values()
    assert len(value["N"]) == 38 and value["N"][0] != "0" and value["N"][-1] != "0"


def test_string_keys_carry_the_run_id_and_what_object_names_cannot():
    (awkward,) = items.item_keys((("Id", "S"),), RUN_ID, 0, True).values()
    (plain,) = items.item_keys((("Id", "S"),), RUN_ID, 0, False).values()

    assert awkward["S"].startswith(f"cloudcdc-verify/{RUN_ID}/")
    assert all(sign in awkward["S"] for sign in ("/", " ", "\U0001f994"))
    assert plain["S"] == f"cloudcdc-verify-{RUN_ID}-0"


def test_neighbouring_items_share_a_partition_where_there_is_a_range_key():
    schema = (("Id", "S"), ("At", "N"))
    first, second, third = (items.item_keys(schema, RUN_ID, number, True) for number in range(3))

    assert first["Id"] == second["Id"] != third["Id"]
    assert first["At"] != second["At"]


def test_each_item_is_inserted_modified_and_removed_with_others_in_between():
    changes = changes_of(stream(), count=2)

    assert [change.event_name for change in changes] == ["INSERT", "INSERT", "MODIFY", "MODIFY", "REMOVE", "REMOVE"]
    assert [change.item.hash for change in changes[:2]] == [change.item.hash for change in changes[2:4]]
    assert changes[0].item.hash != changes[1].item.hash


@pytest.mark.parametrize(
    ("view_type", "olds", "news"),
    [
        ("KEYS_ONLY", [False, False, False], [False, False, False]),
        ("NEW_IMAGE", [False, False, False], [True, True, False]),
        ("OLD_IMAGE", [False, True, True], [False, False, False]),
        ("NEW_AND_OLD_IMAGES", [False, True, True], [True, True, False]),
    ],
)
def test_the_view_type_decides_which_images_are_expected(view_type, olds, news):
    changes = changes_of(stream(view_type=view_type))

    assert [change.old_image is not None for change in changes] == olds
    assert [change.new_image is not None for change in changes] == news


def test_each_image_is_what_the_write_before_it_left():
    insert, modify, remove = changes_of(stream(), attributes={"status": {"S": "paid"}})

    assert insert.new_image == modify.old_image
    assert modify.new_image == remove.old_image
    assert modify.old_image != modify.new_image
    assert insert.new_image["status"] == {"S": "paid"}
    assert insert.new_image[items.RUN] == {"S": RUN_ID}


def test_filters_decide_what_is_expected():
    patterns = [json.dumps({"eventName": ["MODIFY"]}), {"dynamodb": {"OldImage": {items.STEP: {"N": ["2"]}}}}]

    assert [change.expected for change in changes_of(stream(), patterns=patterns)] == [False, True, True]


def test_a_filter_on_what_only_aws_knows_leaves_the_expectation_open():
    patterns = [{"eventName": ["INSERT"], "dynamodb": {"SizeBytes": [{"numeric": [">", 100]}]}}]

    assert [change.expected for change in changes_of(stream(), patterns=patterns)] == [None, False, False]


def test_a_filter_that_cannot_be_evaluated_is_refused():
    with pytest.raises(InputError, match="wildcard"):
        changes_of(stream(), patterns=[{"eventName": [{"wildcard": "*"}]}])


@given(
    st.integers(32768, 780000),
    st.sampled_from(["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]),
)
def test_a_large_item_passes_the_limit_where_its_change_has_all_its_images(limit, view_type):
    try:
        pad = items.large_pad(view_type, limit, {})
    except InputError:
        assert view_type != "NEW_AND_OLD_IMAGES" and limit > 400000
        return
    over = [change for change in changes_of(stream(view_type=view_type), pad=pad, limit=limit) if change.over_limit]

    assert {change.item.large for change in over} == {True}
    assert "MODIFY" in [change.event_name for change in over]
    assert pad < 400 * 1024


def test_a_large_item_needs_images():
    with pytest.raises(InputError, match="KEYS_ONLY"):
        items.large_pad("KEYS_ONLY", 262144, {})


def test_attributes_that_leave_no_room_for_a_large_item_are_refused():
    with pytest.raises(InputError, match="DynamoDB's limit of an item"):
        items.large_pad("NEW_IMAGE", 262144, {"blob": {"S": "x" * 150000}})


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"Id": {"S": "mine"}}, "the key attribute Id"),
        ({items.RUN: {"S": "mine"}}, f"holds {items.RUN}"),
        ({"status": "paid"}, "item_attributes: status must be DynamoDB JSON"),
    ],
)
def test_attributes_that_cannot_be_written_are_refused(attributes, said):
    with pytest.raises(InputError, match=said):
        items.check_attributes(attributes, (("Id", "S"),))


def test_a_table_whose_key_has_the_name_of_a_mark_is_refused():
    with pytest.raises(InputError, match=items.STEP):
        items.check_attributes({}, ((items.STEP, "S"),))
