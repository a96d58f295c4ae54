"""What Ansible is told, however a redrive ends."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import pipeline_redrive as way_in
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.sending import Stopped
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Interrupted
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_redrive
from botocore.exceptions import ClientError

ARGUMENTS = {
    "region": "us-east-1",
    "access_key": "testing",
    "secret_key": "testing",
    "table_name": "Orders",
    "function_name": "processor",
    "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/processor-dlq",
}
REPORT = {"message": "1 of 2 changes recovered.", "complete": True, "counts": {}}
DENIED = AnsibleAWSError(
    message="Failed to receive from the failure queue",
    exception=ClientError({"Error": {"Code": "AccessDenied", "Message": "Not you."}}, "ReceiveMessage"),
)


@pytest.fixture
def tell(monkeypatch, capsys):
    """Runs the module with a redrive that ends in the given way; what it told Ansible."""

    def run(ending=None, changed=False, **arguments):
        class Redrive:
            def __init__(self, *_parts):
                self.changed = changed

            def run(self):
                if ending:
                    raise ending

            def write_errors(self):
                return None

            def report(self):
                return REPORT

        monkeypatch.setattr(way_in, "Redrive", Redrive)
        with patch_module_args({**ARGUMENTS, **arguments}), pytest.raises(SystemExit) as left:
            pipeline_redrive.main()
        told = json.loads(capsys.readouterr().out)
        assert bool(left.value.code) is bool(told.get("failed"))
        return told

    return run


def test_a_run_that_came_to_its_end_is_reported_whatever_it_recovered(tell):
    told = tell(changed=True)

    assert (told["changed"], told["message"], told["error_file"]) == (True, REPORT["message"], None)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Interrupted("SIGTERM"), "Ended by SIGTERM. 1 of 2"),
        (Stopped("Lambda did not run the function for 5 s: Throttled."), "Lambda did not run the function"),
    ],
)
def test_a_run_that_was_ended_fails_with_its_report(tell, ending, words):
    told = tell(ending, changed=True)

    assert told["failed"] and told["msg"].startswith(words) and "run redrive again" in told["msg"]
    assert (told["changed"], told["complete"], told["counts"]) == (True, False, {})


@pytest.mark.parametrize("changed", [True, False])
def test_awss_words_are_told(tell, changed):
    told = tell(DENIED, changed)

    assert told["failed"] and "Not you." in told["msg"] and "AccessDenied" in told["msg"]
    assert told.get("counts") == ({} if changed else None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"limit": -1}, "limit must be 0 or more"),
        ({"queue_url": None}, "one of queue_url and bucket"),
        ({"bucket": "failures"}, "mutually exclusive"),
    ],
)
def test_bad_options_are_refused_before_any_call(tell, arguments, words):
    told = tell(AssertionError("it ran"), **arguments)

    assert told["failed"] and words in told["msg"]
