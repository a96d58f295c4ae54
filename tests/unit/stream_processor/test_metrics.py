"""The batch line as CloudWatch's embedded metric format."""

from __future__ import annotations

import contextlib
import io
import json
import time

import pytest
from stream_processor.handler import handle
from stream_processor.metrics import METRICS
from stream_processor.transport import TransportError

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, log, processor
from tests.unit.stream_records import sample

UNITS = {"Count", "Milliseconds"}


def batch_line(records, namespace="CloudCDC", transport=None):
    out = io.StringIO()
    made = processor(transport or FakeTransport(), metrics_namespace=namespace)
    with contextlib.redirect_stdout(out):
        handle({"Records": records}, FakeContext(), made, log())
    return json.loads(out.getvalue().splitlines()[-1])


def test_every_metric_is_a_number_of_the_line_and_the_dimension_a_name():
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
    before = int(time.time() * 1000)
    line = batch_line([sample("insert"), sample("modify"), sample("ttl_remove")])
    assert before <= line["_aws"]["Timestamp"] <= time.time() * 1000
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "CloudCDC"
    assert directive["Dimensions"] == [["FunctionName"]]
    assert line["FunctionName"] == FakeContext.function_name
    assert {each["Name"] for each in directive["Metrics"]} == set(METRICS)
    for each in directive["Metrics"]:
        assert isinstance(line[each["Name"]], int)
        assert each["Unit"] in UNITS
    assert (line["inserted"], line["modified"], line["removed"], line["expired"]) == (1, 1, 1, 1)
    assert (line["audited"], line["notified"], line["failures"]) == (3, 3, 0)


def test_failures_are_counted_too():
    refused = FakeTransport(lambda stage, number: TransportError("ClientError", "AccessDenied"))
    line = batch_line([sample("insert"), sample("modify")], transport=refused)
    assert (line["audited"], line["notified"], line["failures"]) == (0, 0, 2)
    assert line["_aws"]["CloudWatchMetrics"]


def test_a_metric_without_a_value_is_left_out():
    line = batch_line([])
    assert line["newest_change_age_ms"] is None
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {each["Name"] for each in directive["Metrics"]} == set(METRICS) - {"newest_change_age_ms"}


def test_without_a_namespace_there_are_no_metrics():
    line = batch_line([sample("insert")], namespace="")
    assert "_aws" not in line
    assert "FunctionName" not in line
    assert line["audited"] == 1


@pytest.mark.parametrize("count", [1, 200])
def test_a_batch_is_one_line_whatever_its_size(count, capsys):
    made = processor(FakeTransport(), metrics_namespace="CloudCDC")
    handle({"Records": [sample("insert")] * count}, FakeContext(), made, log())
    assert len(capsys.readouterr().out.splitlines()) == 1
