"""Listing mappings: what fits every option that is given, on every page."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_api import MappingApi
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_info import find_mappings
from esm_support import FUNCTION, KEY, OTHER_STREAM, QUEUE, STREAM, FakeLambda


def find(fake, uuid=None, function_name=None, event_source_arn=None):
    options = {"uuid": uuid, "function_name": function_name, "event_source_arn": event_source_arn}
    return find_mappings(options, MappingApi(fake))


@pytest.fixture
def fake():
    lambda_ = FakeLambda(page=2)
    lambda_.add()
    lambda_.add(function=f"{FUNCTION}:live", source=OTHER_STREAM, tags={"a": "b"})
    lambda_.add(function=f"{FUNCTION}-2")
    lambda_.add(function=f"{FUNCTION}-2", source=OTHER_STREAM)
    return lambda_


def numbers(found):
    return [int(mapping["uuid"][-2:]) for mapping in found]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"function_name": "stream-processor"}, [0, 1]),
        ({"function_name": f"{FUNCTION}:live"}, [1]),
        ({"function_name": f"{FUNCTION}:old"}, []),
        ({"event_source_arn": OTHER_STREAM}, [1, 3]),
        ({"event_source_arn": STREAM, "function_name": "stream-processor-2"}, [2]),
        ({"event_source_arn": STREAM + "9"}, []),
        ({"uuid": "00000000-0000-0000-0000-000000000003"}, [3]),
        ({"uuid": "00000000-0000-0000-0000-000000000003", "function_name": "stream-processor"}, []),
        ({"uuid": "00000000-0000-0000-0000-00000000dead"}, []),
    ],
)
def test_every_option_narrows_the_list(fake, options, expected):
    assert numbers(find(fake, **options)) == expected


def test_a_placeholder_stream_has_no_mapping_and_aws_is_not_asked(fake):
    assert find(fake, event_source_arn=STREAM + " (known after deploy)") == []
    assert fake.calls == []


def test_tags_and_defaults_are_shown(fake):
    (mapping,) = find(fake, function_name=f"{FUNCTION}:live")
    assert (mapping["tags"], mapping["metrics_config"], mapping["kms_key_arn"]) == ({"a": "b"}, {"metrics": []}, "")


def test_encrypted_filters_are_shown():
    fake = FakeLambda()
    fake.add(KMSKeyArn=KEY, FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]})
    assert find(fake)[0]["filter_criteria"] == [{"eventName": ["INSERT"]}]


def test_filters_that_cannot_be_read_are_shown_with_the_reason():
    fake = FakeLambda()
    fake.add(KMSKeyArn=KEY, FilterCriteriaError={"ErrorCode": "KMSAccessDeniedException", "Message": "no"})
    (mapping,) = find(fake)
    assert mapping["filter_criteria"] == ["(cannot be read) KMSAccessDeniedException: no"]
    assert mapping["filter_criteria_error"] == {"error_code": "KMSAccessDeniedException", "message": "no"}


def test_a_mapping_of_another_source_is_shown_as_aws_answers_it():
    fake = FakeLambda()
    uuid = fake.add(source=QUEUE, tags={"a": "b"}, ScalingConfig={"MaximumConcurrency": 5})
    for key in ("StartingPosition", "ParallelizationFactor", "TumblingWindowInSeconds"):
        del fake.records[uuid][key]
    (mapping,) = find(fake)
    assert mapping["scaling_config"] == {"maximum_concurrency": 5}
    assert (mapping["tags"], mapping["filter_criteria"]) == ({"a": "b"}, [])
    assert "parallelization_factor" not in mapping
    assert json.dumps(mapping)
