"""What a redrive makes of the answers of SQS and Lambda."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive import api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError
from botocore.exceptions import ClientError


class Client:
    """SQS that deletes all but some, and Lambda that refuses."""

    def __init__(self, kept=(), refusal=None):
        self.kept, self.refusal = kept, refusal

    def delete_message_batch(self, Entries, **_request):
        kept = [each["Id"] for each in Entries if each["ReceiptHandle"] in self.kept]
        return {"Failed": [{"Id": each, "Code": "ReceiptHandleIsInvalid", "SenderFault": True} for each in kept]}

    def invoke(self, **_request):
        raise self.refusal

    def invoker(self):
        return self

    def __call__(self, _service):
        return self


def refusal(code, status):
    answer = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Invoke")


def test_messages_that_sqs_keeps_are_told_by_their_receipts():
    handles = [f"receipt-{number}" for number in range(25)]
    queue = api.Queue(Client(kept=("receipt-3", "receipt-24")), "url")

    assert queue.delete(handles) == ["receipt-3", "receipt-24"]
    assert queue.delete([]) == []


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("RequestEntityTooLargeException", 413, api.TooLarge),
        ("RequestTooLargeException", 413, api.TooLarge),
        ("413", 413, api.TooLarge),
        ("TooManyRequestsException", 429, api.Unavailable),
        ("ServiceException", 500, api.Unavailable),
        ("ServiceUnavailableException", 503, api.Unavailable),
        ("AccessDeniedException", 403, AnsibleAWSError),
    ],
)
def test_a_refusal_of_lambda_is_told_apart(code, status, outcome):
    function = api.Function(Client(refusal=refusal(code, status)), "processor", None)

    with pytest.raises(outcome):
        function.invoke(b"{}")
