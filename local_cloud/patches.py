"""The one place of patches on MiniStack, made inside its server before it serves.

Each says what AWS does. tests/integration/test_local_cloud.py proves each of them, and runs the same against a bare
MiniStack (LOCAL_CLOUD_PATCHES=off) to tell when a patch is needed no more.
"""

from __future__ import annotations

import copy
import json
import os
import re
import time
from pathlib import Path
from typing import Any

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
#: Settings AWS leaves out of its answer until they are given.
OPTIONAL = ("FilterCriteria", "KMSKeyArn", "MetricsConfig")
#: What is kept of a mapping but is none of an answer's fields.
INTERNAL = ("Enabled", "FunctionName", "Qualifier", "Tags", "_transition")


def install(actions: Path, patched: bool) -> None:
    """Record every IAM decision in the file; unless told otherwise, mend what AWS does otherwise."""
    record_decisions(actions)
    if patched:
        from ministack.services import lambda_svc

        name_lambda_actions()
        name_resources()
        add_policy_condition()
        add_default_policy_versions()
        mappings = StreamMappings(lambda_svc)
        lambda_svc.handle_request = mappings.handle_request
        lambda_svc._create_esm = mappings.create
        lambda_svc._update_esm = mappings.update
        lambda_svc._delete_esm = mappings.delete
        lambda_svc._esm_response = mappings.answer
        lambda_svc._poll_dynamodb_streams = StreamPoller(lambda_svc, mappings).poll
        keep_stream_records()


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
        if found != "*":
            return found
        if service == "dynamodb":
            return iam_actions._safe_json_field(body, "ResourceArn") or "*"
        if service == "sns":
            return iam_actions._query_param(query_params, "ResourceArn") or "*"
        if service == "lambda" and method == "POST" and path.rstrip("/").endswith("/functions"):
            name = iam_actions._safe_json_field(body, "FunctionName")
            return f"arn:aws:lambda:{region}:{account_id}:function:{name}" if name else "*"
        if service == "monitoring" and (alarms := iam_actions._param(body, query_params, "AlarmNames")):
            # DeleteAlarms: AWS decides about each; the modules delete one at a time, so the first is all.
            return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{alarms[0]}"
        if service == "iam" and iam_actions._query_param(query_params, "Action") == "CreatePolicy":
            path_in_arn = iam_actions._query_param(query_params, "Path") or "/"
            return (
                f"arn:aws:iam::{account_id}:policy{path_in_arn}{iam_actions._query_param(query_params, 'PolicyName')}"
            )
        return "*"

    iam_actions.extract_resource_arn = extract_resource_arn


def add_policy_condition() -> None:
    """Fill the condition key iam:PolicyARN, which AWS has for attaching and detaching policies.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
    """
    from ministack.core import iam_actions

    tags = iam_actions.request_tag_context

    def request_tag_context(service, iam_action, body, params):
        keys = tags(service, iam_action, body, params)
        if iam_action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
            return {**keys, "iam:PolicyARN": iam_actions._query_param(params, "PolicyArn")}
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


# --- event source mappings of DynamoDB streams -----------------------------------------------------------------------


def is_stream(arn: str) -> bool:
    return bool(re.fullmatch(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/[^/]+/stream/.+", arn))


def kept(request: dict[str, Any]) -> dict[str, Any]:
    """The settings a create or update request makes. Empty filters and an empty destination remove theirs."""
    settings = {name: request[name] for name in (*DEFAULTS, *OPTIONAL) if name in request}
    if "DestinationConfig" in settings:
        target = ((settings["DestinationConfig"] or {}).get("OnFailure") or {}).get("Destination")
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

    def __init__(self, service) -> None:
        self.service = service
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
        return {**answered(mapping, time.time()), "EventSourceMappingArn": arn}

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
        return None

    def _accepted(self, mapping: dict[str, Any]):
        from ministack.core.responses import json_response

        return json_response(self.answer(mapping), 202)

    def _in_use(self, change: str):
        message = f"Cannot {change} the event source mapping because it is in use."
        return _error("ResourceInUseException", message, 400)


def _error(code: str, message: str, status: int):
    from ministack.core.responses import error_response_json

    return error_response_json(code, message, status, {"Type": "User"})


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


# --- the poller of DynamoDB streams ----------------------------------------------------------------------------------


def first_failure(response: Any, numbers: list[str]) -> int | None:
    """Where in the batch delivery has to go on, by the function's ReportBatchItemFailures answer; None: all is done.

    AWS goes on from the lowest sequence number reported. A report that names none of the batch's fails the whole batch.
    """
    failures = response.get("batchItemFailures") if isinstance(response, dict) else None
    if not failures:
        return None
    if not isinstance(failures, list):
        return 0
    named: list[Any] = [failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures]
    if any(number not in numbers for number in named):
        return 0
    return min(numbers.index(number) for number in named)


class StreamPoller:
    """MiniStack's poller of DynamoDB streams, with what it lacks.

    AWS invokes for Enabled mappings only, and holds its position before the first failure that a function reports;
    MiniStack takes every answer for a success, and the reported changes are lost.
    """

    def __init__(self, service, mappings: StreamMappings) -> None:
        self.service, self.mappings = service, mappings

    def poll(self) -> bool:
        """One round over all mappings; whether any of them got on."""
        from ministack.core.responses import request_scope

        self.mappings.finish_deletions()
        moved = False
        for account, region, mapping in list(self.service._iter_all_esms()):
            if is_stream(mapping.get("EventSourceArn", "")):
                with request_scope(account, region):
                    moved = self._poll_mapping(mapping) or moved
        return moved

    def _poll_mapping(self, mapping: dict[str, Any]) -> bool:
        from ministack.services import dynamodb

        table = mapping["EventSourceArn"].split("/")[1]
        found = dynamodb._tables.get(table)
        function, _unused = self.service._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        if not found or found.get("LatestStreamArn") != mapping["EventSourceArn"] or function is None:
            return False
        if self.service._esm_backoff_until.get(mapping["UUID"], 0) > time.time():
            return False
        position = self._position(mapping, table)
        read = dynamodb.stream_records_since(table, position, mapping["BatchSize"])
        batch = self.service._apply_filter_criteria(read, mapping)
        if not read or mapping["State"] != "Enabled" or transition(mapping, time.time()):
            return False
        again = self._invoke(mapping, function, batch) if batch else None
        done = len(read) if again is None else read.index(batch[again])
        with self.service._dynamodb_stream_positions_lock:
            self.service._dynamodb_stream_positions[mapping["UUID"]] = position + done
        return done > 0

    def _position(self, mapping: dict[str, Any], table: str) -> int:
        """Where the mapping is in its stream; what has left the stream is passed over."""
        from ministack.services import dynamodb

        horizon, end = dynamodb.stream_start_position(table), dynamodb.stream_end_position(table)
        positions = self.service._dynamodb_stream_positions
        with self.service._dynamodb_stream_positions_lock:
            if mapping["UUID"] not in positions:
                positions[mapping["UUID"]] = end if mapping.get("StartingPosition") == "LATEST" else horizon
            return max(positions[mapping["UUID"]], horizon)

    def _invoke(self, mapping: dict[str, Any], function: dict[str, Any], batch: list[dict[str, Any]]) -> int | None:
        """Invoke once; the record in the batch to go on from, None for behind its end."""
        result = self.service._execute_function(function, {"Records": batch})
        again: int | None = None
        if result.get("error"):
            again = 0
        elif "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []):
            numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
            again = first_failure(result.get("body"), numbers)
        mapping["LastProcessingResult"] = "OK" if again is None else "PROBLEM: Function call failed"
        if again is None:
            self.service._esm_backoff_until.pop(mapping["UUID"], None)
            return None
        if self._too_old(mapping, batch[again]):
            self.service._send_ddb_stream_failure_record(
                mapping, function, batch[again:], mapping["EventSourceArn"], result, "RecordAgeExceeded"
            )
            return None
        self.service._esm_backoff_until[mapping["UUID"]] = time.time() + self.service._ESM_BACKOFF_SECONDS
        return again

    def _too_old(self, mapping: dict[str, Any], record: dict[str, Any]) -> bool:
        limit = mapping.get("MaximumRecordAgeInSeconds") or -1
        return 0 < limit < time.time() - record["dynamodb"]["ApproximateCreationDateTime"]
