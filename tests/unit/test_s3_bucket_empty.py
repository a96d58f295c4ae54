"""Emptying a bucket, against moto."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_empty import BucketContents
from moto import mock_aws

OWN = {"cloudcdc:pipeline": "cdc/dev/orders"}


class FakeModule:
    def __init__(self, required_tags=None):
        self.params = {"name": "audit", "required_tags": required_tags}

    def client(self, service, retry_decorator=None):
        return WithRetry(boto3.client(service, region_name="us-east-1"))


class WithRetry:
    """Takes aws_retry as the module's client does."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        return lambda aws_retry=False, **request: getattr(self.client, name)(**request)


@pytest.fixture
def s3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1")


def emptied(expected_steps):
    contents = BucketContents(FakeModule())
    plan = contents.plan(contents.read())
    assert len(plan.steps) == expected_steps
    if plan.steps:
        contents.apply(plan)
    assert contents.read() == {"empty": True}
    return contents.deleted


def test_objects_older_than_the_buckets_versioning_go_too(s3):
    s3.create_bucket(Bucket="audit")
    s3.put_object(Bucket="audit", Key="before", Body=b"")
    s3.put_bucket_versioning(Bucket="audit", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="audit", Key="after", Body=b"1")
    s3.put_object(Bucket="audit", Key="after", Body=b"2")
    s3.delete_object(Bucket="audit", Key="after")
    assert emptied(expected_steps=1) == 4
    s3.delete_bucket(Bucket="audit")


def test_more_than_a_page_goes(s3):
    s3.create_bucket(Bucket="audit")
    for number in range(1001):
        s3.put_object(Bucket="audit", Key=str(number), Body=b"")
    assert emptied(expected_steps=1) == 1001


def test_an_empty_bucket_and_a_missing_one_are_left_alone(s3):
    assert emptied(expected_steps=0) == 0
    s3.create_bucket(Bucket="audit")
    assert emptied(expected_steps=0) == 0


def test_what_cannot_be_deleted_is_told_with_awss_words():
    class Refusing:
        def list_object_versions(self, **request):
            return {"Versions": [{"Key": "locked", "VersionId": "1"}]}

        def delete_objects(self, **request):
            return {"Errors": [{"Key": "locked", "Code": "AccessDenied", "Message": "Object is WORM protected"}]}

    contents = BucketContents.__new__(BucketContents)
    contents.bucket, contents.required, contents.s3, contents.deleted = "audit", {}, WithRetry(Refusing()), 0
    contents.keep_lock = lambda: None
    with pytest.raises(AnsibleAWSError, match="AccessDenied: Object is WORM protected"):
        contents.apply(contents.plan({"empty": False}))


def test_a_bucket_of_someone_else_is_refused_with_all_that_it_holds(s3):
    s3.create_bucket(Bucket="audit")
    s3.put_object(Bucket="audit", Key="theirs", Body=b"")
    for tags in ([], [{"Key": "owner", "Value": "finance"}], [{"Key": "cloudcdc:pipeline", "Value": "other"}]):
        if tags:
            s3.put_bucket_tagging(Bucket="audit", Tagging={"TagSet": tags})
        with pytest.raises(InputError, match="does not carry the tag cloudcdc:pipeline=cdc/dev/orders"):
            BucketContents(FakeModule(OWN)).read()
    assert s3.list_objects_v2(Bucket="audit")["KeyCount"] == 1


def test_the_own_bucket_and_one_a_killed_run_left_are_taken(s3):
    s3.create_bucket(Bucket="audit")
    assert BucketContents(FakeModule(OWN)).read() == {"empty": True}
    s3.put_object(Bucket="audit", Key="ours", Body=b"")
    tags = [{"Key": key, "Value": value} for key, value in OWN.items()]
    s3.put_bucket_tagging(Bucket="audit", Tagging={"TagSet": tags})
    assert BucketContents(FakeModule(OWN)).read() == {"empty": False}


def test_the_lock_of_a_run_is_no_data_and_stays(s3):
    s3.create_bucket(Bucket="audit")
    s3.put_object(Bucket="audit", Key=".cloudcdc/lock/orders.json", Body=b"{}")
    assert emptied(expected_steps=0) == 0
    s3.put_object(Bucket="audit", Key="audit-logs/1.json", Body=b"{}")
    assert emptied(expected_steps=1) == 1
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="audit")["Contents"]] == [".cloudcdc/lock/orders.json"]


def test_a_run_that_lost_its_lock_empties_no_further(s3):
    s3.create_bucket(Bucket="audit")
    s3.put_object(Bucket="audit", Key="audit-logs/1.json", Body=b"{}")
    s3.put_object(Bucket="audit", Key=".cloudcdc/lock/orders.json", Body=b'{"token": "theirs"}')
    module = FakeModule()
    # A lease that is over at once.
    module.params["lock"] = {"bucket": "audit", "key": ".cloudcdc/lock/orders.json", "token": "ours", "lease": 0}
    contents = BucketContents(module)
    with pytest.raises(InputError, match="now another run's"):
        contents.apply(contents.plan(contents.read()))
    assert s3.list_objects_v2(Bucket="audit")["KeyCount"] == 2
