"""The module s3_bucket_settings, as Ansible runs it, against moto."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import s3_bucket_settings_api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import s3_bucket_settings
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.module_runs import forget_the_callers_aws, told_by, watch_calls

KEYS = {"region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
WANTED = {
    "lifecycle": {"transition_days": 30, "transition_storage_class": "GLACIER_IR", "expiration_days": 2555},
    "lifecycle_prefix": "audit-logs/",
    "object_lock": {"mode": "GOVERNANCE", "days": 365},
    "access_log": {"bucket": "theirs", "prefix": "audit/"},
}


@pytest.fixture
def s3(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with mock_aws():
        s3 = boto3.client("s3", "us-east-1", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="not-a-secret")
        s3.create_bucket(Bucket="theirs")
        may = {
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::theirs/*",
        }
        s3.put_bucket_policy(Bucket="theirs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [may]}))
        yield s3


@pytest.fixture
def bucket(s3):
    s3.create_bucket(Bucket="audit", ObjectLockEnabledForBucket=True)
    return s3


@pytest.fixture
def writes(monkeypatch):
    """The names of the API calls that write, in order."""
    return watch_calls(monkeypatch, s3_bucket_settings_api)


@pytest.fixture
def run(s3, writes, capsys):
    def run_module(check=False, **options):
        writes.clear()
        told = told_by(s3_bucket_settings, capsys, check, **{**KEYS, "name": "audit", **options})
        writes[:] = [name for name in writes if not name.startswith("Get")]
        return told

    return run_module


def test_all_settings_are_made_and_a_second_run_changes_nothing(run, writes, bucket):
    told = run(**WANTED)
    assert told["changed"]
    assert writes == ["PutBucketLifecycleConfiguration", "PutObjectLockConfiguration", "PutBucketLogging"]
    (rule,) = bucket.get_bucket_lifecycle_configuration(Bucket="audit")["Rules"]
    assert rule["Filter"] == {"Prefix": "audit-logs/"}
    assert (rule["Transitions"], rule["Expiration"]) == ([{"Days": 30, "StorageClass": "GLACIER_IR"}], {"Days": 2555})
    lock = bucket.get_object_lock_configuration(Bucket="audit")["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 365)
    log = bucket.get_bucket_logging(Bucket="audit")["LoggingEnabled"]
    assert (log["TargetBucket"], log["TargetPrefix"]) == ("theirs", "audit/")
    again = run(**WANTED)
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"]
    assert writes == []


def test_check_mode_foretells_and_writes_nothing(run, writes, bucket):
    foretold = run(check=True, **WANTED)
    assert foretold["changed"]
    assert writes == []
    assert foretold["diff"]["after"] == run(**WANTED)["diff"]["after"]


def test_check_mode_foretells_for_a_bucket_to_come(run, writes, s3):
    told = run(check=True, **WANTED)
    assert told["changed"]
    assert told["diff"]["before"] == {"lifecycle": {}, "object_lock": {}, "access_log": {}}
    assert writes == []
    missing = run(**WANTED)
    assert missing["failed"]
    assert "NoSuchBucket" in missing["msg"]


def test_the_settings_go_again(run, writes, bucket):
    run(lifecycle={"expiration_days": 3}, access_log={"bucket": "theirs"})
    told = run(lifecycle={}, access_log={})
    assert told["changed"]
    assert writes == ["DeleteBucketLifecycle", "PutBucketLogging"]
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        bucket.get_bucket_lifecycle_configuration(Bucket="audit")
    assert "LoggingEnabled" not in bucket.get_bucket_logging(Bucket="audit")
    assert not run(lifecycle={}, access_log={})["changed"]


def test_what_s3_refuses_reaches_the_user_in_its_own_words(run, bucket):
    told = run(access_log={"bucket": "nowhere"})
    assert told["failed"]
    assert told["msg"].startswith("Failed to change the bucket's settings: An error occurred (InvalidTargetBucket")


def test_bad_input_is_refused_before_any_call(run, writes, bucket):
    told = run(lifecycle={"transition_days": 3})
    assert told["failed"]
    assert "go together" in told["msg"]
    assert writes == []
