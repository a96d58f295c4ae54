"""A Lambda that keeps mappings in memory as AWS does, a clock that nobody waits for, and a way to run a module."""

from __future__ import annotations

import copy
import importlib
import json
from datetime import UTC, datetime

import pytest
from ansible.module_utils.testing import patch_module_args
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
STREAM = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/UserActivities/stream/2026-01-01T00:00:00.000"
OTHER_STREAM = STREAM.replace("2026-01-01", "2026-02-02")
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:stream-processor"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:stream-processor-dlq"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b2c3d"

#: What AWS's answer holds for a mapping that was made without options, beside its names.
AWS_DEFAULTS = {
    "BatchSize": 100,
    "MaximumBatchingWindowInSeconds": 0,
    "ParallelizationFactor": 1,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "BisectBatchOnFunctionError": False,
    "TumblingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
    "DestinationConfig": {"OnFailure": {}},
}


def client_error(code, message, operation="CreateEventSourceMapping"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class FakeClock:
    """Time passes only by sleeping."""

    def __init__(self):
        self.now = 0.0
        self.naps = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


class FakeLambda:
    """Lambda's calls for mappings. A change of state takes ``slow`` looks; ``errors`` are raised first, by call."""

    def __init__(self, slow=0, page=100):
        self.records, self.tags_of, self.calls, self.errors = {}, {}, [], {}
        self.slow, self.page = slow, page
        self._then = {}  # by UUID: looks that are left, and the state after them

    def add(self, function=FUNCTION, source=STREAM, state="Enabled", tags=None, **settings):
        """A mapping that is there already; answers its UUID."""
        uuid = f"00000000-0000-0000-0000-{len(self.records):012d}"
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{uuid}"
        self.records[uuid] = {
            "UUID": uuid,
            "EventSourceMappingArn": arn,
            "EventSourceArn": source,
            "FunctionArn": function,
            "StartingPosition": "TRIM_HORIZON",
            "State": state,
            "StateTransitionReason": "User action",
            "LastModified": datetime(2026, 1, 1, tzinfo=UTC),
            "LastProcessingResult": "No records processed",
            **copy.deepcopy(AWS_DEFAULTS),
            **settings,
        }
        self.tags_of[arn] = dict(tags or {})
        return uuid

    def enter(self, uuid, state, then, looks=None):
        """Put the mapping in a transition that ends in ``then`` (None: gone) after so many looks."""
        self.records[uuid]["State"] = state
        self._then[uuid] = [self.slow if looks is None else looks, then]

    def requests(self, call):
        return [request for name, request in self.calls if name == call]

    @property
    def writes(self):
        return [name for name, _request in self.calls if not name.startswith(("get_", "list_"))]

    def list_event_source_mappings(self, aws_retry, EventSourceArn=None, Marker="0"):
        self._record("list_event_source_mappings", EventSourceArn=EventSourceArn, Marker=Marker)
        found = [each for each in self.records.values() if EventSourceArn in (None, each["EventSourceArn"])]
        shown = [copy.deepcopy(each) for each in found[int(Marker) : int(Marker) + self.page]]
        for each in shown:
            if each.get("KMSKeyArn"):
                each.pop("FilterCriteria", None)
        more = int(Marker) + self.page
        return {"EventSourceMappings": shown, **({"NextMarker": str(more)} if more < len(found) else {})}

    def get_event_source_mapping(self, aws_retry, UUID):
        self._record("get_event_source_mapping", UUID=UUID)
        if UUID in self.records:
            self._pass_time(UUID)
        return self._answer(UUID)

    def create_event_source_mapping(self, aws_retry, **request):
        self._record("create_event_source_mapping", **request)
        function = _arn(request["FunctionName"])
        for each in self.records.values():
            if (each["EventSourceArn"], each["FunctionArn"]) == (request["EventSourceArn"], function):
                raise client_error("ResourceConflictException", f"A mapping exists with UUID {each['UUID']}")
        uuid = self.add(function, request["EventSourceArn"], tags=request.get("Tags"))
        self._apply(uuid, request, "Creating")
        return self._answer(uuid)

    def update_event_source_mapping(self, aws_retry, UUID, **request):
        self._record("update_event_source_mapping", UUID=UUID, **request)
        self._refuse_in_use(UUID)
        self._apply(UUID, request, _transition(request))
        return self._answer(UUID)

    def delete_event_source_mapping(self, aws_retry, UUID):
        self._record("delete_event_source_mapping", UUID=UUID)
        self._refuse_in_use(UUID)
        self.enter(UUID, "Deleting", None)
        answer = self._answer(UUID)
        if not self.slow:
            del self.records[UUID]
        return answer

    def list_tags(self, aws_retry, Resource):
        self._record("list_tags", Resource=Resource)
        if Resource not in self.tags_of:
            raise client_error("ResourceNotFoundException", "The resource you requested does not exist.")
        return {"Tags": dict(self.tags_of[Resource])}

    def tag_resource(self, aws_retry, Resource, Tags):
        self._record("tag_resource", Resource=Resource, Tags=Tags)
        self.tags_of[Resource].update(Tags)

    def untag_resource(self, aws_retry, Resource, TagKeys):
        self._record("untag_resource", Resource=Resource, TagKeys=TagKeys)
        for key in TagKeys:
            self.tags_of[Resource].pop(key, None)

    def _record(self, call, **request):
        self.calls.append((call, copy.deepcopy(request)))
        waiting = self.errors.get(call)
        if waiting:
            raise waiting.pop(0) if isinstance(waiting, list) else waiting

    def _answer(self, uuid):
        if uuid not in self.records:
            raise client_error("ResourceNotFoundException", "The resource you requested does not exist.")
        return {**copy.deepcopy(self.records[uuid]), "ResponseMetadata": {}}

    def _refuse_in_use(self, uuid):
        self._answer(uuid)
        if uuid in self._then:
            raise client_error("ResourceInUseException", "Cannot update the event source mapping: it is in use.")

    def _apply(self, uuid, request, transition):
        record = self.records[uuid]
        enabled = request.pop("Enabled", record["State"] != "Disabled")
        request.pop("Tags", None)
        if "FunctionName" in request:
            record["FunctionArn"] = _arn(request.pop("FunctionName"))
        # How AWS shows what was removed.
        if request.get("DestinationConfig") == {"OnFailure": {"Destination": ""}}:
            request["DestinationConfig"] = {"OnFailure": {}}
        record.update(request)
        for key, removed in (("FilterCriteria", {}), ("KMSKeyArn", ""), ("MetricsConfig", {"Metrics": []})):
            if request.get(key) == removed:
                del record[key]
        state = "Enabled" if enabled else "Disabled"
        record["State"] = state
        if self.slow:
            self.enter(uuid, transition, state)

    def _pass_time(self, uuid):
        if uuid not in self._then:
            return
        looks, then = self._then[uuid]
        self._then[uuid][0] = looks - 1
        if looks > 0:
            return
        del self._then[uuid]
        if then is None:
            del self.records[uuid]
        else:
            self.records[uuid]["State"] = then


def _transition(request):
    return {True: "Enabling", False: "Disabling", None: "Updating"}[request.get("Enabled")]


def _arn(function):
    return function if function.startswith("arn:") else f"{FUNCTION.rpartition(':')[0]}:{function}"


def run_module(name, capsys, check=False, diff=False, **options):
    """Run a module of this collection in this process; answers what it told, ``failed`` included."""
    module = importlib.import_module(f"ansible_collections.cloudcdc.dynamodb_streams.plugins.modules.{name}")
    arguments = {
        "region": "us-east-1",
        "access_key": "test",
        "secret_key": "test",
        "_ansible_check_mode": check,
        "_ansible_diff": diff,
        **options,
    }
    capsys.readouterr()
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)
