"""The module s3_bucket_check, as Ansible runs it, against moto."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import s3_bucket_check
from moto import mock_aws

NAME = "orders-audit"
BLOCKED = {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}
STATEMENT = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{NAME}"}
POLICY = {"Version": "2012-10-17", "Statement": [STATEMENT]}
ASKED = {
    "name": NAME,
    "encryption": "AES256",
    "object_ownership": "BucketOwnerEnforced",
    "public_access": {
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    },
    "policy": json.dumps(POLICY),
    "versioning": True,
    "tags": {"team": "data"},
}


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
        yield client


@pytest.fixture
def bucket(s3):
    """As asked, in every setting."""
    s3.create_bucket(Bucket=NAME)
    s3.put_public_access_block(Bucket=NAME, PublicAccessBlockConfiguration=BLOCKED)
    s3.put_bucket_ownership_controls(
        Bucket=NAME, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    encrypt(s3, {"SSEAlgorithm": "AES256"})
    s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps(POLICY))
    s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
    tag(s3, team="data")
    return s3


def encrypt(s3, rule):
    rules = [{"ApplyServerSideEncryptionByDefault": rule}]
    s3.put_bucket_encryption(Bucket=NAME, ServerSideEncryptionConfiguration={"Rules": rules})


def tag(s3, **tags):
    s3.put_bucket_tagging(Bucket=NAME, Tagging={"TagSet": [{"Key": key, "Value": tags[key]} for key in tags]})


@pytest.fixture
def run(capsys):
    def run(**options):
        arguments = {"region": "us-east-1", "access_key": "x", "secret_key": "y", "_ansible_diff": True, **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            s3_bucket_check.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_a_bucket_that_is_not_there_differs(s3, run):
    told = run(**ASKED)
    assert told["differs"] and not told["changed"]
    assert told["diff"]["before"] == {} and told["diff"]["after"]["tags"] == {"team": "data"}
    assert s3.list_buckets()["Buckets"] == []


def test_a_bucket_as_asked_does_not(bucket, run):
    told = run(**ASKED)
    assert not told["differs"] and told["diff"] == {"before": {}, "after": {}}


def test_of_a_new_bucket_everything_differs(s3, run):
    s3.create_bucket(Bucket=NAME)
    told = run(**ASKED)
    assert {"versioning", "public_access", "policy", "tags"} <= set(told["diff"]["after"])


@pytest.mark.parametrize(
    ("setting", "change"),
    [
        ("public_access", lambda s3: s3.delete_public_access_block(Bucket=NAME)),
        ("object_ownership", lambda s3: s3.delete_bucket_ownership_controls(Bucket=NAME)),
        ("encryption", lambda s3: encrypt(s3, {"SSEAlgorithm": "aws:kms"})),
        ("policy", lambda s3: s3.delete_bucket_policy(Bucket=NAME)),
        (
            "versioning",
            lambda s3: s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Suspended"}),
        ),
        ("tags", lambda s3: s3.delete_bucket_tagging(Bucket=NAME)),
        ("tags", lambda s3: tag(s3, team="data", more="tags")),
    ],
)
def test_each_setting_changed_is_the_one_that_differs(bucket, run, setting, change):
    change(bucket)
    told = run(**ASKED)
    assert told["differs"] and list(told["diff"]["after"]) == [setting]


def test_a_setting_that_is_not_asked_for_does_not_differ(bucket, run):
    bucket.delete_bucket_policy(Bucket=NAME)
    bucket.delete_public_access_block(Bucket=NAME)
    assert not run(name=NAME, versioning=True)["differs"]


def test_versioning_that_was_never_on_is_as_good_as_off(s3, run):
    s3.create_bucket(Bucket=NAME)
    assert not run(name=NAME, versioning=False)["differs"]


def test_further_tags_are_left_when_told_so(bucket, run):
    tag(bucket, team="data", more="tags")
    assert not run(name=NAME, tags={"team": "data"}, purge_tags=False)["differs"]
    assert run(name=NAME, tags={"team": "other"}, purge_tags=False)["differs"]


def test_a_key_is_compared(bucket, run):
    encrypt(bucket, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:aws:kms:us-east-1:123456789012:key/one"})
    asked = {"name": NAME, "encryption": "aws:kms"}
    assert not run(**asked, encryption_key_id="arn:aws:kms:us-east-1:123456789012:key/one")["differs"]
    assert run(**asked, encryption_key_id="arn:aws:kms:us-east-1:123456789012:key/two")["differs"]
