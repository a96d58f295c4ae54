"""The one place of patches on MiniStack, made inside its server before it serves.

Each says what AWS does. tests/integration/test_local_cloud.py and test_cloud_patches.py prove each of them, and run the
same against a bare MiniStack (LOCAL_CLOUD_PATCHES=off) to tell when a patch is needed no more.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from local_cloud.alarms import COMPARISONS, QueueMetrics, alarm_state
from local_cloud.faults import retention_seconds
from local_cloud.poller.filters import compile_patterns
from local_cloud.poller.records import settings_of

#: How long a mapping stays Creating, Updating, … Seconds to minutes on AWS; here long enough to be met.
TRANSITION_SECONDS = 0.8

#: What AWS answers for settings of a DynamoDB mapping that were never given.
DEFAULTS: dict[str, Any] = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 0,
}
#: LastProcessingResult of a mapping that has processed nothing.
NO_RESULT = "No records processed"
#: Settings AWS leaves out of its answer until they are given.
OPTIONAL = ("FilterCriteria", "KMSKeyArn", "MetricsConfig")
#: What is kept of a mapping but is none of an answer's fields.
INTERNAL = ("Enabled", "FunctionName", "Qualifier", "Tags", "_transition")


def install(actions: Path, patched: bool) -> None:
    """Record every IAM decision in the file; unless told otherwise, mend what AWS does otherwise."""
    from ministack.services import dynamodb

    record_decisions(actions)
    dynamodb._STREAM_RETENTION_SECONDS = retention_seconds()
    if patched:
        from ministack.services import lambda_svc

        name_lambda_actions()
        name_resources()
        add_policy_condition()
        add_default_policy_versions()
        add_keys_of_log_groups()
        mappings = StreamMappings(lambda_svc, actions.parent / "poller" / "results")
        lambda_svc.handle_request = mappings.handle_request
        lambda_svc._create_esm = mappings.create
        lambda_svc._update_esm = mappings.update
        lambda_svc._delete_esm = mappings.delete
        lambda_svc._esm_response = mappings.answer
        # local_cloud.poller reads the streams.
        lambda_svc._poll_dynamodb_streams = lambda: False
        keep_stream_records()
        name_errors()
        share_concurrency()
        guard_publishing()
        evaluate_alarms()
        keep_time()


# --- IAM -------------------------------------------------------------------------------------------------------------


def record_decisions(actions: Path) -> None:
    """Write a line for every IAM decision: who, which action, on what, allowed or not. (CloudTrail does so on AWS.)

    MiniStack asks ``enforce`` once a request, and once more for each further action or resource that the request needs;
    each is a line. A request with a wrong signature is refused before there is anyone to decide about.
    """
    from ministack.core import iam_evaluator

    decide = iam_evaluator.enforce
    out = os.open(actions, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        if service in ("sqs", "sns"):  # AWS has no right of its own for a batch
            iam_action = iam_action.removesuffix("Batch")
        refused = decide(access_key_id, iam_action, service, region, resource_arn, service_context)
        if isinstance(refused, iam_evaluator.AuthError):
            principal, decision = "unauthenticated", refused.code
        else:
            caller = iam_evaluator.resolve_caller_identity(access_key_id)
            principal = caller["userArn"] if caller else "anonymous"
            decision = refused.decision if refused else "Allow"
        line = {
            "time": round(time.time(), 3),
            "principal": principal,
            "action": iam_action,
            "resource": resource_arn,
            "allowed": refused is None,
            "decision": decision,
        }
        os.write(out, json.dumps(line).encode() + b"\n")
        return refused

    # Every caller imports it at the moment of the call, so the module's name is the one to change.
    iam_evaluator.enforce = enforce


#: Operations of Lambda whose IAM action has another name.
LAMBDA_ACTIONS = {"Invoke": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction"}


def name_lambda_actions() -> None:
    """Ask for the action that AWS asks for: the operation's own.

    MiniStack asks for no action to update or delete a mapping, and for a neighbour's to read one, and for others.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    """
    from ministack.core import iam_actions

    iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
    guess = iam_actions._lambda_action

    def lambda_action(method, path):
        operation = iam_actions._match_rest_action("lambda", method, path, {})
        return LAMBDA_ACTIONS.get(operation, operation) or guess(method, path)

    iam_actions._lambda_action = lambda_action


def name_resources() -> None:
    """Decide about the resource AWS decides about, where MiniStack takes '*', which only account-wide policies fit."""
    from ministack.core import iam_actions

    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
        found = extract(service, method, path, headers, body, query_params, region, account_id)
        if service == "lambda" and found.count(":") == 6 and ":function:" in found:
            # A version or an alias that is asked for is part of what is decided about.
            # https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html
            qualifier = iam_actions._query_param(query_params, "Qualifier")
            return f"{found}:{qualifier}" if qualifier else found
        if service == "events":
            # A rule of the default bus has no bus in its ARN, which is what is tagged, too.
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
            rule = iam_actions._safe_json_field(body, "Rule")
            named = f"arn:aws:events:{region}:{account_id}:rule/{rule}" if rule else found
            return iam_actions._safe_json_field(body, "ResourceARN") or named.replace(":rule/default/", ":rule/")
        if found != "*":
            return found
        if service == "states":
            return iam_actions._safe_json_field(body, "resourceArn") or "*"
        if service == "dynamodb":
            return iam_actions._safe_json_field(body, "ResourceArn") or "*"
        if service == "dynamodbstreams":
            stream = iam_actions._safe_json_field(body, "StreamArn")
            return stream or _stream_of(iam_actions._safe_json_field(body, "ShardIterator"))
        if service == "sns":
            return iam_actions._query_param(query_params, "ResourceArn") or "*"
        if service == "kms" and (alias := iam_actions._safe_json_field(body, "AliasName")):
            # AWS decides about the key, too.
            return f"arn:aws:kms:{region}:{account_id}:{alias}"
        if service == "lambda" and method == "POST" and path.rstrip("/").endswith("/functions"):
            name = iam_actions._safe_json_field(body, "FunctionName")
            return f"arn:aws:lambda:{region}:{account_id}:function:{name}" if name else "*"
        if service == "monitoring":
            return _of_cloudwatch(body, query_params, region, account_id)
        if service == "iam" and iam_actions._query_param(query_params, "Action") == "CreatePolicy":
            path_in_arn = iam_actions._query_param(query_params, "Path") or "/"
            return (
                f"arn:aws:iam::{account_id}:policy{path_in_arn}{iam_actions._query_param(query_params, 'PolicyName')}"
            )
        return "*"

    iam_actions.extract_resource_arn = extract_resource_arn


def _of_cloudwatch(body: bytes, query_params: dict[str, Any], region: str, account_id: str) -> str:
    """The alarm or the dashboard, which has no region, that a call names.

    Of many that are deleted at once, AWS decides about each. Here the first stands for all.
    """
    from ministack.core import iam_actions

    if tagged := iam_actions._param(body, query_params, "ResourceARN"):
        return tagged
    if alarms := iam_actions._param(body, query_params, "AlarmNames"):
        return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{alarms[0]}"
    dashboards = iam_actions._param(body, query_params, "DashboardNames")
    dashboard = dashboards[0] if dashboards else iam_actions._param(body, query_params, "DashboardName")
    return f"arn:aws:cloudwatch::{account_id}:dashboard/{dashboard}" if dashboard else "*"


def _stream_of(iterator: str | None) -> str:
    """The stream of a shard iterator, which is all that GetRecords is asked with."""
    from ministack.services import dynamodb_streams

    return (dynamodb_streams._decode_iterator(iterator or "") or {}).get("arn", "*")


#: Actions on roles that AWS has the condition key iam:PermissionsBoundary for.
BOUNDED_ACTIONS = (
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
)


def add_policy_condition() -> None:
    """Fill the condition keys iam:PolicyARN, which AWS has for attaching and detaching policies, and
    iam:PermissionsBoundary: the one that is asked for, or that of the role that is changed.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """
    from ministack.core import iam_actions
    from ministack.services import iam

    tags = iam_actions.request_tag_context

    def request_tag_context(service, iam_action, body, params):
        keys = tags(service, iam_action, body, params)
        if iam_action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
            keys = {**keys, "iam:PolicyARN": iam_actions._query_param(params, "PolicyArn")}
        if iam_action in BOUNDED_ACTIONS:
            role = iam._roles.get(iam_actions._query_param(params, "RoleName")) or {}
            boundary = iam_actions._query_param(params, "PermissionsBoundary") or role.get("PermissionsBoundary")
            keys = {**keys, **({"iam:PermissionsBoundary": boundary} if boundary else {})}
        return keys

    iam_actions.request_tag_context = request_tag_context


def add_default_policy_versions() -> None:
    """SetDefaultPolicyVersion, which MiniStack does not know, though it keeps a policy's versions."""
    from ministack.services import iam

    def set_default_policy_version(parameters):
        policy = iam._policies.get(iam._p(parameters, "PolicyArn"))
        version = iam._p(parameters, "VersionId")
        if not policy or version not in policy["Versions"]:
            return iam._error(404, "NoSuchEntity", f"Policy version {version} does not exist.", ns="iam")
        for each in policy["Versions"].values():
            each["IsDefaultVersion"] = each["VersionId"] == version
        policy["DefaultVersionId"] = version
        return iam._xml(200, "SetDefaultPolicyVersionResponse", "", ns="iam")

    iam._IAM_HANDLERS["SetDefaultPolicyVersion"] = set_default_policy_version


# --- log groups ------------------------------------------------------------------------------------------------------


def add_keys_of_log_groups() -> None:
    """AssociateKmsKey and DisassociateKmsKey, which MiniStack does not know, though it keeps a group's key."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import cloudwatch_logs

    handle = cloudwatch_logs.handle_request

    async def handle_request(method, path, headers, body, query_params):
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action not in ("AssociateKmsKey", "DisassociateKmsKey"):
            return await handle(method, path, headers, body, query_params)
        data = json.loads(body)
        group = cloudwatch_logs._log_groups.get(data.get("logGroupName"))
        if group is None:
            return error_response_json("ResourceNotFoundException", "The specified log group does not exist.", 400)
        group["kmsKeyId"] = data["kmsKeyId"] if action == "AssociateKmsKey" else None
        return json_response({})

    cloudwatch_logs.handle_request = handle_request


# --- event source mappings of DynamoDB streams -----------------------------------------------------------------------


def is_stream(arn: str) -> bool:
    return bool(re.fullmatch(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/[^/]+/stream/.+", arn))


def destination(settings: dict[str, Any]) -> str:
    """The ARN of the on-failure destination; '' for none."""
    return ((settings.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination") or ""


def kept(request: dict[str, Any]) -> dict[str, Any]:
    """The settings a create or update request makes. Empty filters and an empty destination remove theirs."""
    settings = {name: request[name] for name in (*DEFAULTS, *OPTIONAL) if name in request}
    if "DestinationConfig" in settings:
        target = destination(request)
        settings["DestinationConfig"] = {"OnFailure": {"Destination": target} if target else {}}
    if "FilterCriteria" in settings and not (settings["FilterCriteria"] or {}).get("Filters"):
        settings["FilterCriteria"] = None
    return settings


def begin(mapping: dict[str, Any], transition: str, enabled: bool, now: float) -> None:
    """Put a mapping into a transitional state, that ends in the settled one by itself."""
    mapping["_transition"] = {"State": transition, "until": now + TRANSITION_SECONDS}
    mapping["State"] = "Enabled" if enabled else "Disabled"
    mapping["Enabled"] = enabled
    mapping["StateTransitionReason"] = "User action"


def transition(mapping: dict[str, Any], now: float) -> str:
    """The transitional state the mapping is in; '' when it is settled."""
    moving = mapping.get("_transition")
    return moving["State"] if moving and (now < moving["until"] or moving["State"] == "Deleting") else ""


def answered(mapping: dict[str, Any], now: float) -> dict[str, Any]:
    """A mapping as AWS answers it: every setting, the state of this moment, no tags."""
    shown = {name: value for name, value in mapping.items() if name not in INTERNAL and value not in (None, "")}
    return {**DEFAULTS, **shown, "State": transition(mapping, now) or mapping["State"]}


class StreamMappings:
    """The mapping calls of Lambda's API, for DynamoDB streams; other sources stay as MiniStack has them."""

    def __init__(self, service, results: Path) -> None:
        self.service, self.results = service, results
        self._handle_request = service.handle_request
        self._create, self._update, self._delete = service._create_esm, service._update_esm, service._delete_esm
        self._answer = service._esm_response

    async def handle_request(self, method, path, headers, body, query_params):
        self.finish_deletions()
        return await self._handle_request(method, path, headers, body, query_params)

    def create(self, data: dict[str, Any]):
        """AWS: 202 and Creating; refuses a stream that is not there, and a second mapping of stream and function."""
        if not is_stream(data.get("EventSourceArn", "")):
            return self._create(data)
        if refused := self._refused(data):
            return refused
        # Made disabled, so that no poller has it before it is Creating.
        status, headers, body = self._create({**data, "Enabled": False})
        if status != 202:
            return status, headers, body
        mapping = self.service._esms[json.loads(body)["UUID"]]
        mapping.update({**DEFAULTS, **kept(data)})
        begin(mapping, "Creating", data.get("Enabled", True), time.time())
        return self._accepted(mapping)

    def update(self, mapping_id: str, data: dict[str, Any]):
        """AWS: 202 and Updating, Enabling or Disabling; refuses while another change is under way."""
        mapping = self.service._esms.get(mapping_id)
        if mapping is None or not is_stream(mapping["EventSourceArn"]):
            return self._update(mapping_id, data)
        if transition(mapping, time.time()):
            return self._in_use("update")
        if refused := self._refused_change(mapping, data):
            return refused
        enabled = data.get("Enabled", mapping["Enabled"])
        change = "Updating" if enabled == mapping["Enabled"] else "Enabling" if enabled else "Disabling"
        status, headers, body = self._update(mapping_id, {key: data[key] for key in data if key != "Enabled"})
        if status != 200:
            return status, headers, body
        mapping.update(kept(data))
        begin(mapping, change, enabled, time.time())
        return self._accepted(mapping)

    def delete(self, mapping_id: str):
        """AWS: 202 and Deleting; the mapping is listed until it is gone."""
        mapping = self.service._esms.get(mapping_id)
        if mapping is None or not is_stream(mapping["EventSourceArn"]):
            return self._delete(mapping_id)
        if transition(mapping, time.time()):
            return self._in_use("delete")
        begin(mapping, "Deleting", False, time.time())
        return self._accepted(mapping)

    def answer(self, mapping: dict[str, Any]) -> dict[str, Any]:
        """AWS: create, read, update and delete all answer every setting."""
        if not is_stream(mapping["EventSourceArn"]):
            return self._answer(mapping)
        arn = self._answer(mapping)["EventSourceMappingArn"]
        result = {"LastProcessingResult": self._last_result(mapping["UUID"])}
        return {**answered(mapping, time.time()), **result, "EventSourceMappingArn": arn}

    def finish_deletions(self) -> None:
        """Take away the mappings whose time of Deleting is over."""
        from ministack.core.responses import request_scope

        now = time.time()
        for account, region, mapping in list(self.service._iter_all_esms()):
            if transition(mapping, now) == "Deleting" and now >= mapping["_transition"]["until"]:
                with request_scope(account, region):
                    self.service._esms.pop(mapping["UUID"], None)
                    self.service._release_esm_poll_state(mapping["UUID"])

    def _refused(self, data: dict[str, Any]):
        from ministack.services import dynamodb_streams

        stream = data["EventSourceArn"]
        name, qualifier, refused = self.service._resolve_existing_esm_function(data.get("FunctionName", ""))
        if refused:
            return refused
        if dynamodb_streams._describe_stream({"StreamArn": stream})[0] != 200:
            return _error("InvalidParameterValueException", f"Stream not found: {stream}", 400)
        # An alias of the function is another target to AWS, so the whole function ARN counts.
        function = self.service._func_arn(name) + (f":{qualifier}" if qualifier else "")
        for mapping in self.service._esms.values():
            if (mapping["EventSourceArn"], mapping["FunctionArn"]) == (stream, function):
                return _error(
                    "ResourceConflictException",
                    f'The event source arn (" {stream} ") and function (" {name} ") provided mapping already exists. '
                    f"Please update or delete the existing mapping with UUID {mapping['UUID']}",
                    409,
                )
        _record, config = self.service._get_func_record_for_qualifier(name, qualifier)
        return _wrong_filter(data) or _missing_right(config, stream, destination(data))

    def _refused_change(self, mapping: dict[str, Any], data: dict[str, Any]):
        """AWS looks at the role's rights again when the function or the destination changes."""
        if refused := _wrong_filter(data):
            return refused
        target = destination(data)
        if "FunctionName" not in data and not target:
            return None
        name, qualifier, refused = self.service._resolve_existing_esm_function(
            data.get("FunctionName") or mapping["FunctionArn"]
        )
        if refused:
            return refused
        _record, config = self.service._get_func_record_for_qualifier(name, qualifier)
        return _missing_right(config, mapping["EventSourceArn"], target or destination(mapping))

    def _last_result(self, mapping_id: str) -> str:
        """What the poller says of the mapping."""
        try:
            return (self.results / mapping_id).read_text().strip() or NO_RESULT
        except FileNotFoundError:
            return NO_RESULT

    def _accepted(self, mapping: dict[str, Any]):
        from ministack.core.responses import json_response

        return json_response(self.answer(mapping), 202)

    def _in_use(self, change: str):
        message = f"Cannot {change} the event source mapping because it is in use."
        return _error("ResourceInUseException", message, 400)


def _error(code: str, message: str, status: int):
    from ministack.core.responses import error_response_json

    return error_response_json(code, message, status, {"Type": "User"})


def _wrong_filter(data: dict[str, Any]):
    """AWS's refusal of filter patterns that cannot be read; None when they can. MiniStack takes any text."""
    try:
        compile_patterns(settings_of(data).patterns)
    except ValueError:
        return _error("InvalidParameterValueException", "Invalid filter pattern definition.", 400)
    return None


# --- the rights of a mapping's function -------------------------------------------------------------------------------

#: What Lambda calls at an on-failure destination, by the service in its ARN: the action, and on what it needs it. In a
#: bucket it wants to be allowed to write any object, though it writes below aws/lambda/ only.
DELIVERIES = {"sqs": ("SendMessage", ""), "sns": ("Publish", ""), "s3": ("PutObject", "/any/object")}
STREAM_ACTIONS = ("GetRecords", "GetShardIterator", "DescribeStream", "ListStreams")


def _missing_right(config: dict[str, Any], stream: str, target: str):
    """AWS's refusal when the function's role cannot do what the mapping needs; None when it can."""
    message = (
        _role_refusal(config)
        or _stream_refusal(config, stream)
        or (_destination_refusal(config, target) if target else "")
    )
    return _error("InvalidParameterValueException", message, 400) if message else None


def _role_refusal(config: dict[str, Any]) -> str:
    from ministack.core import iam_evaluator
    from ministack.services import iam

    role = iam._roles.get(config["Role"].rpartition("/")[2]) or {}
    trust = role.get("AssumeRolePolicyDocument") or {}
    # The service itself asks, no principal of an account does.
    asked = iam_evaluator.EvalContext("*", "Service", "", "sts:AssumeRole", config["Role"], "")
    result = iam_evaluator.evaluate_resource_policy(trust, asked, service="lambda.amazonaws.com")
    return "" if result.decision == "Allow" else "The role defined for the function cannot be assumed by Lambda."


def _stream_refusal(config: dict[str, Any], stream: str) -> str:
    if all(_may(config, f"dynamodb:{action}", stream) for action in STREAM_ACTIONS):
        return ""
    return (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords, GetShardIterator, "
        "DescribeStream, and ListStreams Actions on your stream in IAM."
    )


def _destination_refusal(config: dict[str, Any], target: str) -> str:
    from ministack.core import iam_evaluator

    service = target.split(":")[2] if target.count(":") >= 5 else ""
    # Only what is there has an owner. A stream's failures go to standard queues and topics alone.
    if service not in DELIVERIES or target.endswith(".fifo") or not iam_evaluator._resource_policy(service, target):
        return f"The destination ARN {target} is invalid."
    action, path = DELIVERIES[service]
    needed = [(action, target + path)]
    if service == "s3":
        needed.append(("ListBucket", target))
    for name, resource in needed:
        if not _may(config, f"{service}:{name}", resource):
            return f"The provided execution role does not have permissions to call {name} on {service.upper()}"
    return ""


def _may(config: dict[str, Any], action: str, resource: str) -> bool:
    """Whether the function's role may do it, by its own policies and the resource's."""
    from ministack.core import iam_evaluator, lambda_runtime
    from ministack.core.responses import get_account_id, get_region

    key = lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"]
    role = iam_evaluator.resolve_principal(key, get_account_id())
    asked = iam_evaluator.EvalContext(
        role.arn, role.type, role.account, action, resource, get_region(), principal_keys=role.keys
    )
    result = iam_evaluator.evaluate(asked, role.policies, *role.limits)
    if found := iam_evaluator._resource_policy(action.split(":")[0], resource):
        result = iam_evaluator.combine_resource_policy(result, asked, *found, limits=role.limits)
    return result.decision == "Allow"


# --- functions -------------------------------------------------------------------------------------------------------


def error_type(message: str, log: str) -> str:
    """The type of a function's exception, from the last traceback in its log; '' when there is none."""
    tail = f": {message}" if message else ""
    found = re.findall(rf"^([\w.]+){re.escape(tail)}$", log, re.MULTILINE)
    return found[-1].rpartition(".")[2] if found else ""


def name_errors() -> None:
    """A failed invocation answers its exception's type; MiniStack answers Runtime.HandlerError for all."""
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_warm

    def execute_function_warm(function, event, request_id):
        result = execute(function, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError":
            body["errorType"] = error_type(body["errorMessage"], result.get("log") or "") or body["errorType"]
        return result

    lambda_svc._execute_function_warm = execute_function_warm


def share_concurrency() -> None:
    """Versions and aliases share their function's reserved concurrency. MiniStack holds only $LATEST to it.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    from ministack.services import lambda_svc

    reserved = lambda_svc._reserved_concurrency

    def reserved_concurrency(func, config):
        function = lambda_svc._functions.get(config.get("FunctionName")) or func
        return reserved(function, config)

    lambda_svc._reserved_concurrency = reserved_concurrency


def guard_publishing() -> None:
    """PublishVersion refuses another code or revision than the one that it is asked for. MiniStack takes what there is.

    https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
    """
    from ministack.services import lambda_svc

    publish = lambda_svc._publish_version

    def publish_version(name, data):
        config = (lambda_svc._functions.get(name) or {}).get("config")
        asked = data.get("CodeSha256")
        if config and asked and asked != config["CodeSha256"]:
            message = (
                f"CodeSHA256 ({asked}) is different from current CodeSHA256 in $LATEST ({config['CodeSha256']}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
            return _error("InvalidParameterValueException", message, 400)
        refused = lambda_svc._check_revision(config, data) if config else None
        return refused or publish(name, data)

    lambda_svc._publish_version = publish_version


# --- CloudWatch ------------------------------------------------------------------------------------------------------

#: How long a metric's points are kept. Weeks on AWS; here every call looks at all of them.
METRIC_SECONDS = 24 * 60 * 60


def evaluate_alarms() -> None:
    """Alarms look at the metric with exactly their dimensions, period by period, and at missing data.

    MiniStack mixes all dimensions, and lets an alarm stay where it is when there is no data. AWS's periods begin at
    whole minutes; these slide and end now, so that an alarm goes off at once.
    """
    from ministack.services import cloudwatch

    evaluate = cloudwatch._evaluate_alarm
    lock = threading.RLock()

    def evaluate_alarm(alarm):
        compare = COMPARISONS.get(alarm.get("ComparisonOperator"))
        if not compare or not alarm.get("MetricName"):
            evaluate(alarm)
            return
        with lock:
            dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
            points = list(cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or [])
            values = statistics(alarm, points, time.time())
            breaches = [None if value is None else compare(value, alarm["Threshold"]) for value in values]
            needed = int(alarm.get("DatapointsToAlarm") or len(breaches))
            state = alarm_state(breaches, needed, alarm.get("TreatMissingData") or "missing")
            if state and state != alarm["StateValue"]:
                asked = f"{alarm['ComparisonOperator']} {alarm['Threshold']}"
                reason = f"Threshold Crossed: {values} (newest first), asked for {asked}"
                change = {"AlarmName": alarm["AlarmName"], "StateValue": state, "StateReason": reason}
                cloudwatch._set_alarm_state({}, change, False, True)

    def statistics(alarm, points, now):
        """The alarm's statistic of each of its periods, newest first; None without data."""
        period, unit = int(alarm.get("Period") or 60), alarm.get("Unit")
        name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
        periods: list[list[Any]] = [[] for _unused in range(int(alarm.get("EvaluationPeriods") or 1))]
        for point in points:
            back = max(0, int((now - point["Timestamp"]) // period))
            if back < len(periods) and unit in (None, "", point["Unit"]):
                periods[back].append(point)
        found = [(cloudwatch._calc_stats(each), each) for each in periods]
        return [cloudwatch._stat_value(stats, name, each) if stats else None for stats, each in found]

    cloudwatch._evaluate_alarm = evaluate_alarm
    # MiniStack does it at every call; keep_time does it here.
    cloudwatch._evict_old_metrics = lambda: None


def keep_time() -> None:
    """What AWS does without being called, once a second: metrics of queues, and alarms that change with time alone."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    queues = QueueMetrics()

    def tick():
        now = time.time()
        publish_queues(queues, now)
        for points in list(cloudwatch._metrics._data.values()):
            if points and points[0]["Timestamp"] < now - METRIC_SECONDS:
                fresh = (index for index, point in enumerate(points) if point["Timestamp"] >= now - METRIC_SECONDS)
                del points[: next(fresh, len(points))]
        for account, region in {key[:2] for key in list(cloudwatch._alarms._data)}:
            with request_scope(account, region):
                cloudwatch._evaluate_all_alarms()

    def run():
        while True:
            time.sleep(1)
            try:
                tick()
            except Exception:
                logging.getLogger("local_cloud").exception("metrics and alarms")

    threading.Thread(target=run, name="local-cloud-time", daemon=True).start()


def publish_queues(queues: QueueMetrics, now: float) -> None:
    """AWS/SQS metrics of the queues in use: MiniStack has none, and no call tells a message's age."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch, sqs

    for key, queue in list(sqs._queues._data.items()):
        name = {"QueueName": queue["attributes"]["QueueArn"].rpartition(":")[2]}
        with request_scope(*key[:2]):
            for metric, value in queues.due(key, list(queue["messages"]), now).items():
                unit = "Seconds" if metric == "ApproximateAgeOfOldestMessage" else "Count"
                cloudwatch.record_metric("AWS/SQS", metric, value, unit, name)


# --- DynamoDB streams ------------------------------------------------------------------------------------------------

#: The stores of dynamodb's that hold streams.
STREAM_STORES = ("_stream_records", "_stream_trimmed", "_closed_streams")


def keep_stream_records() -> None:
    """Keep streams over a restart with --persist. AWS keeps every change for 24 hours.

    MiniStack keeps the mappings' positions but not the records they count: changes that were not delivered yet are
    lost, and so is each new one until there are as many as before.
    """
    from ministack.services import dynamodb

    save, load = dynamodb.get_state, dynamodb.load_persisted_state

    def get_state():
        return {**save(), **{store: copy.deepcopy(getattr(dynamodb, store)) for store in STREAM_STORES}}

    def load_persisted_state(data):
        load(data)
        for store in STREAM_STORES:
            if store in data:
                getattr(dynamodb, store)._data.update(data[store]._data)

    dynamodb.get_state, dynamodb.load_persisted_state = get_state, load_persisted_state
