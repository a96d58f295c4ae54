"""A stand-in for DynamoDB's control plane that is as strict and as late as AWS: for what moto is too kind to show."""

from __future__ import annotations

import copy

from botocore.exceptions import ClientError

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"
MANAGED_KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-managed"
# UpdateTable takes one of these kinds a call.
KINDS = (
    {"BillingMode", "ProvisionedThroughput", "OnDemandThroughput"},
    {"StreamSpecification"},
    {"SSESpecification"},
    {"DeletionProtectionEnabled"},
    {"TableClass"},
)


def error(code, message, operation="Operation"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class AwsTable:
    """One region's tables. ``late`` is how many looks at a table pass before a change shows as done."""

    def __init__(self, late=0):
        self.late = late
        self.tables, self.tags, self.backups, self.ttl = {}, {}, {}, {}
        self.hidden, self.busy, self.too_new = {}, {}, {}
        self.streams = 0
        self.calls = []
        self.denied = set()

    def __getattr__(self, name):
        if not hasattr(type(self), f"_{name}"):
            raise AttributeError(name)

        def call(aws_retry=False, **request):
            self.calls.append((name, request))
            if name in self.denied:
                raise error("AccessDeniedException", f"User is not authorized to perform: dynamodb:{name}")
            return copy.deepcopy(getattr(self, f"_{name}")(**copy.deepcopy(request)))

        return call

    @property
    def writes(self):
        return [name for name, _request in self.calls if not name.startswith(("describe", "list"))]

    def _table(self, name):
        if name not in self.tables:
            raise error("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
        return self.tables[name]

    def _idle(self, name):
        table = self._table(name)
        if self.busy.get(name):
            raise error("ResourceInUseException", f"Attempt to change a resource which is still in use: {name}")
        return table

    def _describe_table(self, TableName):
        table = self._table(TableName)
        if self.hidden.get(TableName):
            self.hidden[TableName] -= 1
            raise error("ResourceNotFoundException", "Requested resource not found")
        if self.busy.get(TableName):
            self.busy[TableName] -= 1
        elif table["TableStatus"] == "DELETING":
            del self.tables[TableName]
            raise error("ResourceNotFoundException", "Requested resource not found")
        else:
            table["TableStatus"] = "ACTIVE"
        return {"Table": table}

    def _create_table(self, TableName, KeySchema, AttributeDefinitions, BillingMode, Tags=(), **request):
        if TableName in self.tables:
            raise error("ResourceInUseException", f"Table already exists: {TableName}")
        self.tables[TableName] = table = {
            "TableName": TableName,
            "TableArn": ARN + TableName,
            "TableStatus": "CREATING",
            "KeySchema": KeySchema,
            "AttributeDefinitions": AttributeDefinitions,
        }
        if BillingMode == "PAY_PER_REQUEST":
            table["BillingModeSummary"] = {"BillingMode": BillingMode}
        self._change(table, BillingMode=BillingMode, **request)
        self.tags[ARN + TableName] = {tag["Key"]: tag["Value"] for tag in Tags}
        self.hidden[TableName], self.busy[TableName], self.too_new[TableName] = self.late, self.late, self.late
        return {"TableDescription": table}

    def _update_table(self, TableName, **request):
        table = self._idle(TableName)
        if sum(bool(kind & set(request)) for kind in KINDS) != 1:
            raise error("ValidationException", "You can only perform one of the following operations at once")
        self._change(table, **request)
        table["TableStatus"], self.busy[TableName] = "UPDATING", self.late
        return {"TableDescription": table}

    def _change(self, table, **request):
        if "StreamSpecification" in request:
            self._change_stream(table, request["StreamSpecification"])
        if set(request) & KINDS[0]:
            self._change_billing(table, **{name: request.get(name) for name in KINDS[0]})
        if "SSESpecification" in request:
            key = request["SSESpecification"].get("KMSMasterKeyId", MANAGED_KEY)
            table["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}
            if not request["SSESpecification"]["Enabled"]:
                del table["SSEDescription"]
        if "DeletionProtectionEnabled" in request:
            table["DeletionProtectionEnabled"] = request["DeletionProtectionEnabled"]
        if "TableClass" in request:
            table["TableClassSummary"] = {"TableClass": request["TableClass"]}

    def _change_stream(self, table, wish):
        if wish["StreamEnabled"] == ("StreamSpecification" in table):
            raise error("ValidationException", "Table already has an enabled stream, or has none to disable")
        if not wish["StreamEnabled"]:
            del table["StreamSpecification"]
            return
        self.streams += 1
        table.update(
            StreamSpecification=wish,
            LatestStreamLabel=str(self.streams),
            LatestStreamArn=f"{table['TableArn']}/stream/{self.streams}",
        )

    @staticmethod
    def _change_billing(table, BillingMode, ProvisionedThroughput, OnDemandThroughput):
        mode = BillingMode or (table.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
        if (mode == "PROVISIONED") != bool(ProvisionedThroughput) and (BillingMode or ProvisionedThroughput):
            raise error("ValidationException", "ReadCapacityUnits and WriteCapacityUnits do not fit the billing mode")
        if ProvisionedThroughput and ProvisionedThroughput == table.get("ProvisionedThroughput"):
            raise error("ValidationException", "The provisioned throughput for the table will not change")
        if OnDemandThroughput and mode == "PROVISIONED":
            raise error("ValidationException", "OnDemandThroughput does not fit the billing mode")
        if BillingMode and (BillingMode == "PAY_PER_REQUEST" or "BillingModeSummary" in table):
            table["BillingModeSummary"] = {"BillingMode": BillingMode}
        none = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
        table["ProvisionedThroughput"] = ProvisionedThroughput or table.get("ProvisionedThroughput", none)
        if mode == "PAY_PER_REQUEST":
            table["ProvisionedThroughput"] = none
            # As the emulator does it: a maximum that is not sent is gone.
            if OnDemandThroughput:
                table["OnDemandThroughput"] = OnDemandThroughput
        else:
            table.pop("OnDemandThroughput", None)

    def _delete_table(self, TableName):
        table = self._idle(TableName)
        if table.get("DeletionProtectionEnabled"):
            raise error("ValidationException", "Resource cannot be deleted as it is currently protected")
        table["TableStatus"], self.busy[TableName] = "DELETING", self.late
        return {"TableDescription": table}

    def _list_tags_of_resource(self, ResourceArn, NextToken="0"):
        # One tag a page.
        tags, at = sorted(self.tags[ResourceArn].items()), int(NextToken)
        more = {"NextToken": str(at + 1)} if at + 1 < len(tags) else {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags[at : at + 1]], **more}

    def _tag_resource(self, ResourceArn, Tags):
        self.tags[ResourceArn].update({tag["Key"]: tag["Value"] for tag in Tags})
        return {}

    def _untag_resource(self, ResourceArn, TagKeys):
        for key in TagKeys:
            del self.tags[ResourceArn][key]
        return {}

    def _describe_continuous_backups(self, TableName):
        self._table(TableName)
        off = {"PointInTimeRecoveryStatus": "DISABLED"}
        recovery = self.backups.get(TableName, off)
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def _update_continuous_backups(self, TableName, PointInTimeRecoverySpecification):
        self._idle(TableName)
        if self.too_new.get(TableName):
            self.too_new[TableName] -= 1
            raise error("ContinuousBackupsUnavailableException", "Backups are being enabled for the table")
        on = PointInTimeRecoverySpecification["PointInTimeRecoveryEnabled"]
        days = {"RecoveryPeriodInDays": PointInTimeRecoverySpecification.get("RecoveryPeriodInDays", 35)} if on else {}
        self.backups[TableName] = {"PointInTimeRecoveryStatus": "ENABLED" if on else "DISABLED", **days}
        return {}

    def _describe_time_to_live(self, TableName):
        self._table(TableName)
        return {"TimeToLiveDescription": self.ttl.get(TableName, {"TimeToLiveStatus": "DISABLED"})}

    def _update_time_to_live(self, TableName, TimeToLiveSpecification):
        self._idle(TableName)
        attribute, there = TimeToLiveSpecification["AttributeName"], self.ttl.get(TableName, {})
        active = there.get("TimeToLiveStatus") == "ENABLING"
        if TimeToLiveSpecification["Enabled"] == active or (active and attribute != there["AttributeName"]):
            raise error("ValidationException", "TimeToLive is active on a different AttributeName")
        status = "ENABLING" if TimeToLiveSpecification["Enabled"] else "DISABLING"
        self.ttl[TableName] = {"TimeToLiveStatus": status, "AttributeName": attribute}
        return {}
