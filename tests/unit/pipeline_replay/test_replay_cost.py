"""What a replay asks of AWS is told before it is asked."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_replay.cost import PRICES, estimate
from test_replay_options import read

CALLS = {"GetObject": 1000, "ListObjectsV2": 3}
READING = {"s3_get": 1000, "s3_list": 3}


@pytest.mark.parametrize(
    ("target", "selected", "size", "states", "requests"),
    [
        ("function", {"INSERT": 150, "REMOVE": 51}, 10**6, 0, {"lambda_invoke": 3}),
        ("table", {"INSERT": 100}, 100 * 6 * 1024, 40, {"dynamodb_write_units": 120}),
        ("table", {"INSERT": 100}, 100 * 10, 40, {"dynamodb_write_units": 40}),
        ("verify", {"INSERT": 100}, 100 * 16 * 1024, 40, {"dynamodb_read_units": 80}),
        ("queue", {"INSERT": 101}, 101 * 1024, 0, {"sqs_send": 11}),
        ("queue", {"INSERT": 10}, 10 * 64 * 1024, 0, {"sqs_send": 10}),
        ("topic", {"INSERT": 101}, 101 * 1024, 0, {"sns_publish": 101}),
        ("topic", {"INSERT": 2}, 256 * 1024, 0, {"sns_publish": 4}),
        ("file", {"INSERT": 101}, 101 * 1024, 0, {}),
        ("function", {}, 0, 0, {"lambda_invoke": 0}),
        ("table", {}, 0, 0, {"dynamodb_write_units": 0}),
    ],
)
def test_requests_are_those_of_the_target_and_of_reading(target, selected, size, states, requests):
    found = estimate(read(target), selected, size, CALLS, states)

    assert found["requests"] == READING | requests
    price = sum(PRICES[name] * count for name, count in found["requests"].items()) / 10**6
    assert found["usd"] == round(price, 4)
