#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_rollback
version_added: "0.1.0"
short_description: Move a Lambda alias back to an earlier version
description:
  - Moves an alias to a version that is named, or to the one before the version that it leads to.
  - Refuses, with the list of the versions there are, a version that does not exist, that is live already, that is
    temporary or that is not active. Nothing is written then.
  - It is an action, not a state. Run again without O(version), it goes back one version more.
  - When somebody else moves the alias in between, AWS is made to refuse.
  - Values of environment variables are never shown, only the names of those that differ.
options:
  function_name:
    description: The function's name.
    type: str
    required: true
  alias:
    description: The alias that is moved.
    type: str
    required: true
  version:
    description:
      - The number of the version to move to. It may also be a newer one than the live one.
      - Left out or empty, the highest number below that of the live one.
    type: str
  temporary_variables:
    description:
      - Names of environment variables that mark a version as temporary, as a failure drill's is.
      - Nothing goes back to such a version.
    type: list
    elements: str
    default: []
notes:
  - "Needs these actions: C(lambda:GetFunctionConfiguration), C(lambda:ListVersionsByFunction), C(lambda:ListAliases)
    and C(lambda:UpdateAlias). A policy that names a function without a wildcard needs C(function:NAME) and
    C(function:NAME:*)."
seealso:
  - module: cloudcdc.dynamodb_streams.lambda_version
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
- name: Go back to the version before the live one
  cloudcdc.dynamodb_streams.lambda_rollback:
    function_name: order-processor
    alias: live

- name: Go back to a certain version
  cloudcdc.dynamodb_streams.lambda_rollback:
    function_name: order-processor
    alias: live
    version: "5"
"""

RETURN = r"""
lambda_rollback:
  description: What was done, or in check mode would be.
  returned: success
  type: dict
  contains:
    function_name:
      description: The function's name.
      type: str
      sample: order-processor
    alias:
      description: The alias.
      type: str
      sample: live
    version:
      description: The version that the alias leads to now.
      type: str
      sample: "6"
    former_version:
      description: The version that it led to before.
      type: str
      sample: "7"
    versions:
      description: The numbers of all versions, the oldest first.
      type: list
      elements: str
      sample: ["3", "4", "5", "6", "7"]
    settings:
      description: The settings in which the two versions differ, but for environment variables.
      type: list
      elements: str
      sample: [code_sha256, memory_size]
    variables:
      description: The names of the environment variables in which they differ.
      type: list
      elements: str
      sample: [LOG_LEVEL]
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule, client
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_version_api import LambdaRollback
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENT_SPEC = {
    "function_name": {"type": "str", "required": True},
    "alias": {"type": "str", "required": True},
    "version": {"type": "str"},
    "temporary_variables": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, LambdaRollback(module.params, client(module, "lambda")))


if __name__ == "__main__":
    main()
