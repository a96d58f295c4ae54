"""What Ansible is told, however a phase ends."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import pipeline_drill as way_in
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Interrupted
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_drill
from botocore.exceptions import ClientError

ARGUMENTS = {
    "region": "us-east-1",
    "access_key": "testing",
    "secret_key": "testing",
    "phase": "prepare",
    "table_name": "Orders",
    "function_name": "processor",
    "audit_bucket": "audit-bucket",
    "alarm_topic_arn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "arrived_alarm": "arrived",
    "destination_alarm": "undelivered",
}


@pytest.fixture
def tell(monkeypatch, capsys):
    """Runs the module with a phase that ends in the given way; what it told Ansible."""

    def run(ending=None, problems=(), **arguments):
        class Drill:
            def __init__(self, *_parts):
                self.cleanup_problems, self.drill = list(problems), {"id": "0" * 16}

            def run(self):
                if isinstance(ending, Exception):
                    raise ending
                return ending

            def preview(self):
                return "Would insert."

        if ending is not None:
            monkeypatch.setattr(way_in, "Drill", Drill)
        with patch_module_args({**ARGUMENTS, **arguments}), pytest.raises(SystemExit) as left:
            pipeline_drill.main()
        told = json.loads(capsys.readouterr().out)
        assert bool(left.value.code) is bool(told.get("failed"))
        told.pop("invocation", None)
        return told

    return run


def test_what_a_phase_has_seen_is_returned_and_nothing_changed(tell):
    told = tell("It is prepared.")
    # Ansible adds warnings of earlier tests in the process.
    assert told.items() >= {"changed": False, "message": "It is prepared.", "drill": {"id": "0" * 16}}.items()


def test_check_mode_previews(tell):
    assert tell("run", _ansible_check_mode=True)["message"] == "Would insert."


def test_bad_options_are_refused_before_any_call(tell):
    assert tell(healthy_items=0)["msg"] == "healthy_items must be from 1 to 50, not 0."


def test_a_refusal_is_told_as_it_is_with_what_was_seen(tell):
    told = tell(InputError("It has no on-failure destination."))

    assert (told["msg"], told["drill"]) == ("It has no on-failure destination.", {"id": "0" * 16})


def test_awss_error_code_and_words_are_told_with_what_was_seen(tell):
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized to perform"}}, "ReceiveMessage")

    told = tell(AnsibleAWSError(message="Failed to look into the failure queue", exception=error))

    assert told["msg"].startswith("Failed to look into the failure queue: An error occurred (AccessDenied)")
    assert told["error"] == {"code": "AccessDenied", "message": "not authorized to perform"}
    assert told["drill"] == {"id": "0" * 16}


def test_a_signal_is_told_and_what_could_not_be_removed(tell):
    told = tell(Interrupted("SIGTERM"), problems=["the drill's items could not be removed: no"])

    assert told["msg"] == "Ended by SIGTERM, before the drill was over."
    assert "the drill's items could not be removed: no" in json.dumps(told["warnings"])
