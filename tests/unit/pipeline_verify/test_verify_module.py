"""What Ansible is told, however a verification ends."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import pipeline_verify as way_in
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Interrupted
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_verify
from botocore.exceptions import ClientError

ARGUMENTS = {
    "region": "us-east-1",
    "access_key": "testing",
    "secret_key": "testing",
    "table_name": "Orders",
    "function_name": "processor",
    "audit_bucket": "audit-bucket",
}
REPORT = {"message": "3 changes are proven.", "run_id": "0" * 16, "checks": [], "changes": [], "latency": {}}


@pytest.fixture
def tell(monkeypatch, capsys):
    """Runs the module with a verification that ends in the given way; what it told Ansible."""

    def run(ending=None, problems=(), **arguments):
        class Verification:
            def __init__(self, *_parts):
                self.cleanup_problems = list(problems)

            def run(self):
                if isinstance(ending, Exception):
                    raise ending
                return ending

            def preview(self):
                return {**REPORT, "message": "Would insert."}

        if ending is not None:
            monkeypatch.setattr(way_in, "Verification", Verification)
        with patch_module_args({**ARGUMENTS, **arguments}), pytest.raises(SystemExit) as left:
            pipeline_verify.main()
        told = json.loads(capsys.readouterr().out)
        assert bool(left.value.code) is bool(told.get("failed"))
        told.pop("invocation", None)
        return told

    return run


def test_a_proven_pipeline_is_reported_and_nothing_changed(tell):
    assert tell((True, REPORT)) == {"changed": False, **REPORT}


def test_an_unproven_pipeline_fails_with_its_message_and_its_report(tell):
    told = tell((False, {**REPORT, "message": "The pipeline is not proven: no."}))

    assert (told["failed"], told["msg"]) == (True, "The pipeline is not proven: no.")
    assert set(REPORT) <= set(told)


def test_check_mode_previews(tell):
    assert tell((True, REPORT), _ansible_check_mode=True)["message"] == "Would insert."


def test_bad_options_are_refused_before_any_call(tell):
    told = tell(items=0)

    assert (told["failed"], told["msg"]) == (True, "items must be from 1 to 100, not 0.")


def test_refused_input_is_told_as_it_is(tell):
    assert tell(InputError("The table Orders has no stream enabled."))["msg"].startswith("The table Orders has no")


def test_awss_error_code_and_words_are_told(tell):
    answer = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized to perform"}}
    error = ClientError(answer, "PutItem")

    told = tell(AnsibleAWSError(message="Failed to insert a test item", exception=error))

    assert told["msg"].startswith("Failed to insert a test item: An error occurred (AccessDeniedException)")
    assert told["error"] == {"code": "AccessDeniedException", "message": "not authorized to perform"}


def test_a_signal_is_told_and_that_all_is_removed(tell):
    assert tell(Interrupted("SIGTERM"))["msg"] == (
        "Ended by SIGTERM, before the pipeline was proven. What the run had made is removed."
    )


def test_what_could_not_be_removed_is_warned_of_whatever_ended_the_run(tell):
    told = tell(Interrupted("SIGTERM"), problems=["item 3f2a could not be removed: no"])

    assert "Not all that the run had made could be removed." in told["msg"]
    assert "item 3f2a could not be removed: no" in json.dumps(told["warnings"])
