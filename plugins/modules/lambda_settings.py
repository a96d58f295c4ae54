#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_settings
version_added: "0.1.0"
short_description: Set a function's encryption key, log format, scratch space and reserved concurrency
description:
  - Makes the settings of an AWS Lambda function that M(amazon.aws.lambda) does not know what the options say. An option
    that is left out leaves its setting as it is.
  - The key is here because M(amazon.aws.lambda) writes it on every run, and reports a change each time.
  - Waits until Lambda has taken a change up, before it begins and after each.
  - Bad input is refused before anything is written.
notes:
  - The function itself is made by M(amazon.aws.lambda). In check mode a function that is not there yet counts as one
    without settings.
  - "Needs these actions for what is asked for: C(lambda:GetFunctionConfiguration),
    C(lambda:UpdateFunctionConfiguration), C(lambda:GetFunctionConcurrency), C(lambda:PutFunctionConcurrency),
    C(lambda:DeleteFunctionConcurrency); with O(kms_key_arn) also C(kms:CreateGrant), C(kms:Encrypt) and C(kms:Decrypt)
    on the key. See U(https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  function_name:
    description: The function's name.
    type: str
    required: true
  kms_key_arn:
    description: The ARN of the KMS key that encrypts the environment variables. Empty means the key that Lambda owns.
    type: str
  log_format:
    description:
      - How the function's log is written. With V(JSON) Lambda's own lines are JSON, too.
      - What the function prints stays as it is. See
        U(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html).
    type: str
    choices: [Text, JSON]
  application_log_level:
    description:
      - The least level of the function's own lines that Lambda keeps, with O(log_format=JSON). V(INFO) when JSON is
        switched on without it.
    type: str
    choices: [TRACE, DEBUG, INFO, WARN, ERROR, FATAL]
  system_log_level:
    description:
      - The least level of Lambda's own lines that it keeps, with O(log_format=JSON). V(INFO) when JSON is switched on
        without it.
    type: str
    choices: [DEBUG, INFO, WARN]
  reserved_concurrent_executions:
    description:
      - How many invocations may run at once. As many are kept from the account's other functions. V(0) stops the
        function, V(-1) ends the reservation.
      - See U(https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html).
    type: int
  ephemeral_storage:
    description: The size of the folder C(/tmp), in MB, 512 to 10240.
    type: int
  wait_timeout:
    description: For how many seconds the module waits for one change.
    type: int
    default: 300
seealso:
  - module: amazon.aws.lambda
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Encrypt the environment with a key of one's own, and log JSON
  cloudcdc.dynamodb_streams.lambda_settings:
    function_name: stream-processor-cdc-production-orders
    kms_key_arn: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    log_format: JSON
    system_log_level: WARN

- name: Let at most ten invocations run at once
  cloudcdc.dynamodb_streams.lambda_settings:
    function_name: stream-processor-cdc-production-orders
    reserved_concurrent_executions: 10

- name: End the reservation
  cloudcdc.dynamodb_streams.lambda_settings:
    function_name: stream-processor-cdc-production-orders
    reserved_concurrent_executions: -1
"""

RETURN = r"""
lambda_settings:
  description: The settings as they are, or in check mode as they would be.
  returned: success
  type: dict
  contains:
    kms_key_arn:
      description: The key of the environment variables, empty for the one that Lambda owns.
      returned: always
      type: str
      sample: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    log_format:
      description: V(Text) or V(JSON).
      returned: always
      type: str
      sample: JSON
    application_log_level:
      description: The least level of the function's own lines. Null with text.
      returned: always
      type: str
      sample: INFO
    system_log_level:
      description: The least level of Lambda's own lines. Null with text.
      returned: always
      type: str
      sample: WARN
    reserved_concurrent_executions:
      description: How many invocations may run at once, -1 for none reserved.
      returned: when O(reserved_concurrent_executions) is given
      type: int
      sample: 10
    ephemeral_storage:
      description: The size of the folder C(/tmp), in MB.
      returned: always
      type: int
      sample: 512
function_update:
  description:
    - What C(UpdateFunctionConfiguration) was asked for, or in check mode would be. Empty when nothing differed.
    - M(cloudcdc.dynamodb_streams.lambda_version) takes it in check mode.
  returned: success
  type: dict
  sample: {"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}}
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_settings import (
    APPLICATION_LEVELS,
    LOG_FORMATS,
    SYSTEM_LEVELS,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_settings_api import FunctionSettings
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENT_SPEC = {
    "function_name": {"type": "str", "required": True},
    "kms_key_arn": {"type": "str", "no_log": False},
    "log_format": {"type": "str", "choices": list(LOG_FORMATS)},
    "application_log_level": {"type": "str", "choices": list(APPLICATION_LEVELS)},
    "system_log_level": {"type": "str", "choices": list(SYSTEM_LEVELS)},
    "reserved_concurrent_executions": {"type": "int"},
    "ephemeral_storage": {"type": "int"},
    "wait_timeout": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, FunctionSettings(module))


if __name__ == "__main__":
    main()
