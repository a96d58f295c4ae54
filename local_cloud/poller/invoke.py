"""Invokes a function, and tells what became of it."""

from __future__ import annotations

import json
from typing import Any

from local_cloud.poller import aws
from local_cloud.poller.model import FunctionError, NotRun, Outcome, Returned


def invoke(client: Any, function_arn: str, event: dict[str, Any]) -> Outcome:
    """Invoke and wait for the answer. Whatever kept the function from running, or from answering, is NotRun."""
    try:
        answer = client.invoke(FunctionName=function_arn, Payload=json.dumps(event, separators=(",", ":")).encode())
        payload = answer["Payload"].read()
    except aws.AWS_ERRORS as error:
        return NotRun(f"{aws.code(error)}: {aws.said(error)}")
    told = {
        "status_code": answer["StatusCode"],
        "executed_version": answer.get("ExecutedVersion", "$LATEST"),
        "request_id": answer["ResponseMetadata"].get("RequestId", ""),
    }
    if answer.get("FunctionError"):
        return FunctionError(error=answer["FunctionError"], **told)
    return Returned(response=_decoded(payload), **told)


def _decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return payload.decode(errors="replace")
