"""The cloud's identities: their policies and their keys. IAM is moto's here."""

from __future__ import annotations

import dataclasses
import json
import stat

import boto3
import moto
import pytest

from local_cloud import identities
from local_cloud.settings import ACCOUNT, CloudError, from_environment


@pytest.fixture
def iam(monkeypatch):
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    with moto.mock_aws():
        yield boto3.client("iam", region_name="us-east-1", **keys)


@pytest.fixture
def settings(tmp_path):
    for name in identities.NAMES:
        (tmp_path / f"{name}.json").write_text(policy(f"sns:{name}"))
    return dataclasses.replace(from_environment({}), home=tmp_path, policies=tmp_path)


def policy(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "arn:${partition}:sns:${region}:${account}:*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


def test_placeholders_are_filled_and_iams_own_variables_stay():
    text = '{"Resource": "arn:${partition}:iam::${account}:user/${aws:username}", "Region": "${region}"}'
    assert json.loads(identities.render(text, "deployer")) == {
        "Resource": "arn:aws:iam::000000000000:user/${aws:username}",
        "Region": "us-east-1",
    }


def test_a_policy_over_awss_limit_is_refused():
    fits = json.dumps({"Sid": "x" * (identities.POLICY_LIMIT - len('{"Sid":""}'))})
    assert identities.render(fits + "\n" * 50, "deployer")
    with pytest.raises(CloudError, match="The policy of deployer has 6145 characters"):
        identities.render(fits.replace("x", "xx", 1), "deployer")


def test_a_policy_that_is_no_json_is_refused():
    with pytest.raises(CloudError, match="The policy of operator is not JSON"):
        identities.render("{", "operator")


def test_bootstrap_again_changes_no_key(settings, iam):
    identities.bootstrap(settings, iam)
    first = settings.credentials.read_text()
    identities.bootstrap(settings, iam)
    assert settings.credentials.read_text() == first
    assert identities.read_credentials(settings.credentials)["admin"] == identities.ROOT


def test_every_identity_has_its_own_policy_and_no_other(settings, iam):
    identities.bootstrap(settings, iam)
    for name in identities.NAMES:
        attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        assert [policy["PolicyArn"] for policy in attached] == [f"arn:aws:iam::{ACCOUNT}:policy/cloudcdc/{name}"]
        assert iam.get_user(UserName=name)["User"]["Path"] == "/cloudcdc/"


def test_a_changed_policy_comes_into_force_however_often_it_changes(settings, iam):
    for number in range(7):
        (settings.policies / "deployer.json").write_text(policy(f"sns:Number{number}"))
        identities.bootstrap(settings, iam)
    arn = identities.policy_arn("deployer")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Action"] == "sns:Number6"


def test_a_key_that_iam_does_not_know_is_replaced(settings, iam):
    stale = {"aws_access_key_id": "AKIASTALE", "aws_secret_access_key": "s"}
    identities.write_credentials(settings.credentials, {"deployer": stale})
    identities.bootstrap(settings, iam)
    key = identities.read_credentials(settings.credentials)["deployer"]["aws_access_key_id"]
    assert [known["AccessKeyId"] for known in iam.list_access_keys(UserName="deployer")["AccessKeyMetadata"]] == [key]


def test_keys_that_are_written_down_nowhere_make_room(settings, iam):
    iam.create_user(UserName="deployer", Path="/cloudcdc/")
    for _unused in range(2):  # as many as IAM allows
        iam.create_access_key(UserName="deployer")
    identities.bootstrap(settings, iam)
    assert len(iam.list_access_keys(UserName="deployer")["AccessKeyMetadata"]) == 1


def test_an_identity_without_a_policy_file_is_told(settings, iam, capsys):
    (settings.policies / "operator.json").unlink()
    identities.bootstrap(settings, iam)
    assert "operator may do nothing" in capsys.readouterr().out
    assert iam.list_attached_user_policies(UserName="operator")["AttachedPolicies"] == []


def test_credentials_are_for_their_owner_alone_from_the_first_byte(tmp_path):
    path = tmp_path / "credentials"
    path.write_text("old")
    path.chmod(0o644)
    identities.write_credentials(path, {"admin": identities.ROOT})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert identities.read_credentials(path) == {"admin": identities.ROOT}
    assert [entry.name for entry in tmp_path.iterdir()] == ["credentials"]


def test_policies_by_feature_are_attached_too_and_go_with_their_files(settings, iam):
    def attached() -> list[str]:
        return sorted(
            each["PolicyName"] for each in iam.list_attached_user_policies(UserName="deployer")["AttachedPolicies"]
        )

    feature = settings.policies / "deployer-hardening.json"
    feature.write_text(policy("sns:Publish"))
    identities.bootstrap(settings, iam)
    assert attached() == ["deployer", "deployer-hardening"]
    assert len(iam.list_attached_user_policies(UserName="operator")["AttachedPolicies"]) == 1
    feature.unlink()
    identities.bootstrap(settings, iam)
    assert attached() == ["deployer"]
