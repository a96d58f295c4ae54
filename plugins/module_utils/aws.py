# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where this collection touches amazon.aws: clients, errors, retries; its pure half is in ``comparing``.

Everything else in module_utils imports from here or there, so a change in amazon.aws is mended in one place.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

from .comparing import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
    compare_aws_tags,
    compare_policies,
)
from .plan import InputError

__all__ = [
    "AWSRetry",
    "AnsibleAWSError",
    "AnsibleAWSModule",
    "InputError",
    "ansible_dict_to_boto3_tag_list",
    "aws_errors",
    "boto3_tag_list_to_ansible_dict",
    "client",
    "compare_aws_tags",
    "compare_policies",
    "error_code",
    "error_message",
]


def client(module: AnsibleAWSModule, service: str, passing: Iterable[str] = ()):
    """A boto3 client that retries throttles and 5xx answers with jitter (pass ``aws_retry=True`` to a call).

    ``passing`` names further error codes that a later try gets over.
    """
    backoff = AWSRetry.jittered_backoff(retries=8, delay=0.5, max_delay=10, catch_extra_error_codes=list(passing))
    return module.client(service, retry_decorator=backoff)


#: Decorator: botocore's errors leave the function as AnsibleAWSError "Failed to <description>: <AWS's own words>".
aws_errors = AWSErrorHandler.common_error_handler


def error_code(exc: BaseException) -> str:
    """AWS's error code of a ClientError, or of the one an AnsibleAWSError carries; '' where there is none."""
    inner = getattr(exc, "exception", None) or exc
    return (getattr(inner, "response", None) or {}).get("Error", {}).get("Code", "")


def error_message(exc: BaseException) -> str:
    """AWS's error message of a ClientError, or of the one an AnsibleAWSError carries; '' where there is none."""
    inner = getattr(exc, "exception", None) or exc
    return (getattr(inner, "response", None) or {}).get("Error", {}).get("Message", "")
