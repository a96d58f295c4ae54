"""The identities' policies: what the documents say of them, and what AWS lets a policy be."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DOC = (CHECKOUT / "docs/iam.md").read_text()
#: Each policy's section of the document.
SECTIONS = {
    "deployer": "Deployer",
    "deployer-hardening": "Deployer, hardening",
    "deployer-scale": "Deployer, at scale",
    "operator": "Operator",
    "operator-replay": "Operator, replay",
    "reader": "Reader",
    "reader-hardening": "Reader, hardening",
    "reader-scale": "Reader, at scale",
}
IDENTITIES = list(SECTIONS)


def policy(identity: str) -> dict:
    return json.loads((CHECKOUT / f"files/iam/{identity}.json").read_text())


def actions(statement: dict) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def section(title: str) -> str:
    return re.search(rf"^## {title}$(.*?)(?=^## |\Z)", DOC, re.M | re.S).group(1)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_document_lists_each_statement_with_its_actions(identity):
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section(SECTIONS[identity]), re.M)
    listed = {sid: re.findall(r"`([a-z0-9]+:\w+)`", row) for sid, row in rows}
    assert listed == {statement["Sid"]: actions(statement) for statement in policy(identity)["Statement"]}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_what_only_aws_asks_for_has_its_aws_page(identity):
    only = {
        action
        for statement in policy(identity)["Statement"]
        if statement["Sid"].startswith("AwsOnly")
        for action in actions(statement)
    }
    rows = re.findall(r"^\| `([a-z0-9]+:\w+)` \| ([\w-]+) \| .*?\(https://docs\.aws\.amazon\.com/\S+\) \|$", DOC, re.M)
    assert {action for action, who in rows if who == identity} == only


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_policy_fits_awss_limit_for_a_managed_policy(identity):
    text = json.dumps(policy(identity), separators=(",", ":"))
    assert len(text) < 6144


@pytest.mark.parametrize("identity", IDENTITIES)
def test_no_statement_grants_by_wildcard_action(identity):
    assert not [action for each in policy(identity)["Statement"] for action in actions(each) if "*" in action]


def test_roles_are_made_only_under_their_prefix_and_passed_only_to_lambda():
    by_sid = {statement["Sid"]: statement for statement in policy("deployer")["Statement"]}
    for statement in by_sid.values():
        if any(action.startswith("iam:") and "Role" in action for action in actions(statement)):
            assert statement["Resource"] == "arn:${partition}:iam::${account}:role/dynamodb-stream-role-*"
    passed = by_sid["AwsOnlyPassRole"]["Condition"]
    assert passed == {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
