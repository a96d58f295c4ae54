"""Emptying a bucket, against moto."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_empty import BucketContents
from botocore.exceptions import ClientError
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


def test_whether_the_bucket_is_there_is_told(s3):
    contents = BucketContents(FakeModule())
    assert contents.result(contents.read())["exists"] is False
    s3.create_bucket(Bucket="audit")
    contents = BucketContents(FakeModule())
    assert contents.result(contents.read())["exists"] is True


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
    s3.put_object(Bucket="audit", Key="-logs/1.json", Body=b"{}")
    s3.put_object(Bucket="audit", Key="audit-logs/1.json", Body=b"{}")
    assert emptied(expected_steps=1) == 2
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


def retained_until(moments):
    """The check of a bucket with one version for each (age in days, retention left in days or None)."""
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    class Locked:
        asked = 0

        def list_object_versions(self, **request):
            versions = [
                {"Key": f"audit-logs/{number}", "VersionId": "1", "LastModified": now - timedelta(days=age)}
                for number, (age, _left) in enumerate(moments)
            ]
            return {"Versions": versions}

        def get_bucket_tagging(self, **request):
            return {"TagSet": [{"Key": key, "Value": value} for key, value in OWN.items()]}

        def get_object_lock_configuration(self, **request):
            headers = {"date": "Sat, 31 Jan 2026 12:00:00 GMT"}
            return {"ObjectLockConfiguration": {}, "ResponseMetadata": {"HTTPHeaders": headers}}

        def get_object_retention(self, Key, **request):
            self.asked += 1
            left = moments[int(Key.rpartition("/")[2])][1]
            if left is None:
                code = {"Error": {"Code": "NoSuchObjectLockConfiguration"}}
                raise ClientError(code, "GetObjectRetention")
            return {"Retention": {"RetainUntilDate": now + timedelta(days=left)}}

    contents = BucketContents(FakeModule(OWN))
    contents.s3, contents.refuse_retained = WithRetry(Locked()), True
    return contents


def test_a_bucket_under_retention_is_refused_with_the_date(s3):
    contents = retained_until([(400, None), (3, 5), (2, 30), (1, 29)])
    with pytest.raises(InputError, match="retention until 2026-03-02T12:00:00Z at least"):
        contents.read()
    assert retained_until([(400, None), (40, -10), (30, 0)]).read() == {"empty": False}


def test_a_day_is_judged_by_its_oldest_and_its_newest_version(s3):
    contents = retained_until([(1.2 + number / 1000, -1) for number in range(100)])
    assert contents.read() == {"empty": False}
    assert contents.s3.client.asked == 2


def test_a_bucket_without_object_lock_retains_nothing(s3):
    s3.create_bucket(Bucket="audit")
    s3.put_object(Bucket="audit", Key="audit-logs/1.json", Body=b"{}")
    module = FakeModule()
    module.params["refuse_retained"] = True
    assert BucketContents(module).read() == {"empty": False}
