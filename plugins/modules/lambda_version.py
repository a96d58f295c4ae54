#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_version
version_added: "0.1.0"
short_description: Publish a Lambda function's code and configuration as a version, and let an alias follow
description:
  - Publishes a version when the function's code or configuration differs from the newest version. M(amazon.aws.lambda)
    publishes on a change of the code only.
  - Then it moves an alias to that version, and prunes old versions.
  - Compares what decides how a version runs, which are code, package type, image configuration, runtime, handler,
    architectures, layers, role, memory, timeout, ephemeral storage, environment, KMS key, dead letter queue, tracing,
    logging, VPC, file systems and SnapStart. Tags, reserved concurrency and the description are not among it.
  - What was read is what is published. When somebody else changes the function in between, AWS is made to refuse, and
    nothing is published.
  - The alias moves when the version is active, and wholly. A share of traffic that it sent to another version is taken
    back.
  - Values of environment variables are never shown, only the names of those that differ.
options:
  function_name:
    description: The function's name.
    type: str
    required: true
  alias:
    description: An alias that leads to the newest version. It is created when it is not there.
    type: str
  keep:
    description:
      - How many versions stay, 2 or more. Left out, nothing is pruned.
      - The live one, the one that the alias leaves in this run, and then the newest. A version that another alias or an
        event source mapping leads to stays besides.
    type: int
  temporary_variables:
    description:
      - Names of environment variables that mark a version as temporary, as a failure drill's is.
      - Such a version is not what the function is compared with, unless it is temporary itself.
      - It is not counted as one that stays. It goes when a later version is published or the alias moves on.
    type: list
    elements: str
    default: []
  expect_configuration:
    description:
      - For check mode, in which the task before this one only said what it would change.
      - What M(amazon.aws.lambda) returns as C(func_kwargs) and C(code_kwargs) counts as changed already.
      - Without check mode it does not matter.
    type: dict
  expect_code_sha256:
    description: The same for the code, as Lambda shows it as C(CodeSha256).
    type: str
  wait_timeout:
    description: How many seconds to wait, at most, until AWS is done with a change of the function or a new version.
    type: int
    default: 300
notes:
  - "Needs these actions: C(lambda:GetFunctionConfiguration), C(lambda:ListVersionsByFunction), C(lambda:ListAliases);
    to publish C(lambda:PublishVersion); for the alias C(lambda:CreateAlias) and C(lambda:UpdateAlias); to prune
    C(lambda:DeleteFunction) and C(lambda:ListEventSourceMappings). A policy that names a function without a wildcard
    needs C(function:NAME) and C(function:NAME:*)."
  - A function that is not there is an error, but in check mode, where it counts as one yet to be made.
seealso:
  - module: amazon.aws.lambda
  - module: amazon.aws.lambda_alias
  - module: cloudcdc.dynamodb_streams.lambda_rollback
  - name: Lambda function versions
    description: What a version freezes.
    link: https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
author:
  - cloudcdc maintainers (@cloudcdc)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Build the deployment package
  cloudcdc.dynamodb_streams.lambda_package:
    src: files/order-processor
    dest: build/order-processor.zip
  register: package

- name: Create or adjust the function
  amazon.aws.lambda:
    name: order-processor
    role: arn:aws:iam::123456789012:role/order-processor
    runtime: python3.13
    handler: app.handler
    zip_file: build/order-processor.zip
    memory_size: 512
  register: function

- name: Publish it, make it live, and keep five versions
  cloudcdc.dynamodb_streams.lambda_version:
    function_name: order-processor
    alias: live
    keep: 5
    expect_configuration: "{{ function.func_kwargs | default({}) | combine(function.code_kwargs | default({})) }}"
    expect_code_sha256: "{{ package.code_sha256 }}"

- name: Publish only
  cloudcdc.dynamodb_streams.lambda_version:
    function_name: order-processor
"""

RETURN = r"""
lambda_version:
  description: The function's versions as they are, or in check mode as they would be.
  returned: success
  type: dict
  contains:
    function_name:
      description: The function's name.
      type: str
      sample: order-processor
    version:
      description:
        - The number of the version that holds the function's code and configuration.
        - V((known after publishing\)) where check mode would publish it.
      type: str
      sample: "7"
    versions:
      description: The numbers of all versions, the oldest first.
      type: list
      elements: str
      sample: ["3", "4", "5", "6", "7"]
    alias:
      description: The alias, which leads to RV(lambda_version.version).
      returned: when O(alias) is given
      type: str
      sample: live
    alias_arn:
      description: The alias's ARN.
      returned: when O(alias) is given and the function is there
      type: str
      sample: arn:aws:lambda:eu-central-1:123456789012:function:order-processor:live
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule, client
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_version_api import LambdaVersion
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENT_SPEC = {
    "function_name": {"type": "str", "required": True},
    "alias": {"type": "str"},
    "keep": {"type": "int"},
    "temporary_variables": {"type": "list", "elements": "str", "default": []},
    "expect_configuration": {"type": "dict"},
    "expect_code_sha256": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, LambdaVersion(module.params, client(module, "lambda"), module.check_mode))


if __name__ == "__main__":
    main()
