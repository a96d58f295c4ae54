"""The cloud's identities: the deployer, the operator and the reader, each an IAM user with its own policies, as on AWS.

A policy of an identity is a file of its name, or of its name with a hyphen and a feature: deployer-hardening.json.

Runs inside the cloud's virtual environment (it needs boto3), as the account's root, through the public IAM API::

    python -m local_cloud.identities bootstrap
    python -m local_cloud.identities policy deployer policy.json
"""

from __future__ import annotations

import configparser
import io
import json
import os
import sys
from pathlib import Path

from local_cloud.settings import ACCOUNT, REGION, CloudError, Settings, from_environment

PARTITION = "aws"
PATH = "/cloudcdc/"
NAMES = ("deployer", "operator", "reader")
ROOT = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
#: AWS's size limit of a managed policy, white space not counted.
POLICY_LIMIT = 6144


def render(text: str, name: str) -> str:
    """A policy document with our three placeholders filled in. IAM's own variables (${aws:username}) stay."""
    for placeholder, value in (("partition", PARTITION), ("account", ACCOUNT), ("region", REGION)):
        text = text.replace("${" + placeholder + "}", value)
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise CloudError(f"The policy of {name} is not JSON: {exc}") from exc
    size = len("".join(text.split()))
    if size > POLICY_LIMIT:
        raise CloudError(f"The policy of {name} has {size} characters; AWS takes {POLICY_LIMIT} at most.")
    return json.dumps(document, separators=(",", ":"))


def policy_arn(name: str) -> str:
    return f"arn:{PARTITION}:iam::{ACCOUNT}:policy{PATH}{name}"


def policy_files(folder: Path, name: str) -> list[Path]:
    """The files of an identity's policies, its own one first."""
    return [file for file in (folder / f"{name}.json", *sorted(folder.glob(f"{name}-*.json"))) if file.is_file()]


def set_policy(iam, name: str, document: str, policy: str = "") -> None:
    """Make the document the identity's policy of that name, which without one is the identity's own."""
    policy = policy or name
    arn = policy_arn(policy)
    try:
        iam.create_policy(PolicyName=policy, Path=PATH, PolicyDocument=document)
    except iam.exceptions.EntityAlreadyExistsException:
        # Five versions are the most AWS keeps, so those that are not in force go first.
        for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    iam.attach_user_policy(UserName=name, PolicyArn=arn)


def detach_others(iam, name: str, policies: list[str]) -> None:
    """Take from the identity the policies that have no file any more."""
    for attached in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        if attached["PolicyName"] not in policies:
            iam.detach_user_policy(UserName=name, PolicyArn=attached["PolicyArn"])


def ensure_user(iam, name: str) -> None:
    try:
        iam.create_user(UserName=name, Path=PATH)
    except iam.exceptions.EntityAlreadyExistsException:
        return


def ensure_key(iam, name: str, known: dict[str, str]) -> dict[str, str]:
    """The identity's access key: the known one where IAM has it too, else a new one instead of all others."""
    ids = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]]
    if known.get("aws_access_key_id") in ids and known.get("aws_secret_access_key"):
        return known
    for key_id in ids:
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def read_credentials(path: Path) -> dict[str, dict[str, str]]:
    """The AWS shared credentials file as {identity: settings}; empty where there is none."""
    file = configparser.RawConfigParser()
    file.read(path)
    return {name: dict(file[name]) for name in file.sections()}


def write_credentials(path: Path, keys: dict[str, dict[str, str]]) -> None:
    """Write the whole file, readable by its owner alone, in one step."""
    file = configparser.RawConfigParser()
    file.read_dict(keys)
    text = io.StringIO()
    file.write(text)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text.getvalue())
    fresh.replace(path)


def bootstrap(settings: Settings, iam) -> None:
    """Make the identities what they should be, whatever is there already."""
    known = read_credentials(settings.credentials)
    keys = {"admin": ROOT}
    for name in NAMES:
        ensure_user(iam, name)
        files = policy_files(settings.policies, name)
        for file in files:
            set_policy(iam, name, render(file.read_text(), file.stem), file.stem)
        detach_others(iam, name, [file.stem for file in files])
        if not files:
            print(f"{name} may do nothing: there is no {settings.policies / f'{name}.json'}", flush=True)
        keys[name] = ensure_key(iam, name, known.get(name, {}))
    write_credentials(settings.credentials, keys)


def main(argv: list[str]) -> None:
    import botocore.session
    from botocore.exceptions import ClientError

    settings = from_environment(os.environ)
    session = botocore.session.get_session()
    iam = session.create_client("iam", region_name=REGION, endpoint_url=settings.endpoint, **ROOT)
    try:
        if argv[0] == "bootstrap":
            bootstrap(settings, iam)
        else:
            _unused, name, path = argv
            set_policy(iam, name, render(Path(path).read_text(), name))
    except (ClientError, CloudError, OSError) as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main(sys.argv[1:])
