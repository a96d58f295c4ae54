#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_source_mapping_info
version_added: "0.1.0"
short_description: List event source mappings of Lambda functions
description:
  - Lists the event source mappings of a region, or those that fit every option that is given. None that fits is an
    empty list, no error.
options:
  uuid:
    description:
      - The UUID of one mapping.
    type: str
  function_name:
    description:
      - The function that is invoked. A name, a function ARN, or the ARN of a version or alias.
      - Without a version or alias, the mappings of all of the function's versions and aliases are listed.
    type: str
  event_source_arn:
    description:
      - The ARN of the stream or queue that is read. A stream that does not exist has no mappings, unless it had some
        when it was deleted.
      - Given with or instead of O(function_name), only the mappings of this source are asked for; else AWS is asked
        for all of the region, 100 a request.
    type: str
notes:
  - The module calls C(lambda:ListEventSourceMappings), C(lambda:GetEventSourceMapping) and C(lambda:ListTags).
seealso:
  - module: cloudcdc.dynamodb_streams.event_source_mapping
author:
  - cloudcdc maintainers (@cloudcdc)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.info
"""

EXAMPLES = r"""
- name: Look at one mapping
  cloudcdc.dynamodb_streams.event_source_mapping_info:
    uuid: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
  register: mapping

- name: List what invokes a function
  cloudcdc.dynamodb_streams.event_source_mapping_info:
    function_name: stream-processor
  register: mappings

- name: Delete those that read a table which has another stream now
  cloudcdc.dynamodb_streams.event_source_mapping:
    uuid: "{{ item.uuid }}"
    state: absent
  loop: "{{ mappings.event_source_mappings | rejectattr('event_source_arn', 'equalto', table.latest_stream_arn) }}"
  loop_control:
    label: "{{ item.event_source_arn }}"
"""

RETURN = r"""
event_source_mappings:
  description:
    - The mappings. One that reads a DynamoDB stream has the keys that
      M(cloudcdc.dynamodb_streams.event_source_mapping) returns.
    - One that reads another source has AWS's own keys in snake_case, C(tags), and C(filter_criteria) as a list of
      patterns.
  returned: always
  type: list
  elements: dict
  contains:
    uuid:
      description: The mapping's UUID.
      type: str
      sample: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
    event_source_arn:
      description: The ARN of what is read.
      type: str
      sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities/stream/2026-01-01T00:00:00.000
    function_arn:
      description: The ARN of the function, with version or alias if the mapping has one.
      type: str
      sample: arn:aws:lambda:us-east-1:123456789012:function:stream-processor:live
    state:
      description: V(Creating), V(Enabling), V(Enabled), V(Disabling), V(Disabled), V(Updating) or V(Deleting).
      type: str
      sample: Enabled
    last_processing_result:
      description: How the last batch went.
      type: str
      sample: OK
    filter_criteria:
      description: The filter's patterns.
      type: list
      elements: dict
      sample: [{"eventName": ["INSERT"]}]
    tags:
      description: The mapping's tags.
      type: dict
      sample: {"Project": "activities"}
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_api import MappingApi
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_info import find_mappings
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    client,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.event_source_mapping import problems

ARGUMENTS = {
    "uuid": {"type": "str"},
    "function_name": {"type": "str"},
    "event_source_arn": {"type": "str"},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # The source may be any, not just a DynamoDB stream.
    found = problems({name: module.params[name] for name in ("uuid", "function_name")})
    if found:
        module.fail_json(msg=" ".join(found))
    try:
        mappings = find_mappings(module.params, MappingApi(client(module, "lambda")))
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    module.exit_json(changed=False, event_source_mappings=mappings)


if __name__ == "__main__":
    main()
