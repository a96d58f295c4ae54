#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_guard
version_added: "0.1.0"
short_description: Refuse a deploy that would take over, cut off or crowd what is there
description:
  - Looks at a pipeline's table and buckets and at the event source mappings of the region, and fails with the reason
    where a deploy would change a table or bucket of someone else, lose its place in the stream, or be the third reader
    of a stream.
  - Changes nothing, so it comes before the first write, and answers the same in check mode.
  - "C(docs/safety.md) says what each refusal means."
notes:
  - "Needs these actions: C(dynamodb:DescribeTable), C(dynamodb:ListTagsOfResource), C(lambda:ListEventSourceMappings),
    C(lambda:GetEventSourceMapping) and C(lambda:ListTags); with O(buckets) also C(s3:GetBucketTagging) and
    C(s3:ListBucketVersions)."
  - Readers of the stream that are no event source mappings of this account and region cannot be seen.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  table_name:
    description: The table.
    type: str
    required: true
  attach:
    description: Whether the table belongs to someone else.
    type: bool
    default: false
  hash_key_name:
    description:
      - The partition key that the table must have.
      - With O(attach=true) the keys are not looked at.
    type: str
  hash_key_type:
    description: Its type.
    type: str
    choices: [STRING, NUMBER, BINARY]
  range_key_name:
    description: The sort key that the table must have.
    type: str
  range_key_type:
    description: Its type.
    type: str
    choices: [STRING, NUMBER, BINARY]
  stream_view_type:
    description: The view type that the stream must have.
    type: str
    choices: [NEW_AND_OLD_IMAGES, NEW_IMAGE, OLD_IMAGE, KEYS_ONLY]
    required: true
  function_name:
    description: The pipeline's function.
    type: str
    required: true
  starting_position:
    description: Where a new mapping begins.
    type: str
    choices: [TRIM_HORIZON, LATEST]
    default: TRIM_HORIZON
  owner_tags:
    description:
      - Tags by which a resource is this pipeline's own. The table must carry them, unless it is attached to, and
        O(buckets) must. A mapping of another function that carries them tells that the function was renamed.
    type: dict
    required: true
  buckets:
    description:
      - Buckets that the deploy makes or changes. One that is not there passes.
      - So does one that is empty and has no tags at all, since it may be what a run left that was killed between making
        the bucket and tagging it.
    type: list
    elements: str
    default: []
  replacement_allowed:
    description: Whether a rename or another view type is meant, and the place in the stream may be lost.
    type: bool
    default: false
seealso:
  - module: cloudcdc.dynamodb_streams.dynamodb_table
  - module: cloudcdc.dynamodb_streams.event_source_mapping
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.info
"""

EXAMPLES = r"""
- name: Look before the first write
  cloudcdc.dynamodb_streams.pipeline_guard:
    table_name: inventory
    attach: true
    stream_view_type: NEW_AND_OLD_IMAGES
    function_name: stream-processor-cdc-dev-inventory
    owner_tags:
      "cloudcdc:pipeline": cdc/dev/inventory
  register: there
"""

RETURN = r"""
stream_arn:
  description: The ARN of the table's stream, null when it is off or there is no table.
  returned: success
  type: str
  sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities/stream/2026-01-05T09:30:00.000
event_source_mappings:
  description: The function's mappings, as M(cloudcdc.dynamodb_streams.event_source_mapping_info) returns them.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_api import MappingApi
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    InputError,
    client,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table import KEY_TYPES
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table_api import TableApi
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_guard_api import look
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket import Bucket


def argument_spec():
    key_types = list(KEY_TYPES)
    views = ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"]
    # no_log=False: names of keys, not secrets.
    return {
        "table_name": {"type": "str", "required": True},
        "attach": {"type": "bool", "default": False},
        "hash_key_name": {"type": "str", "no_log": False},
        "hash_key_type": {"type": "str", "choices": key_types, "no_log": False},
        "range_key_name": {"type": "str", "no_log": False},
        "range_key_type": {"type": "str", "choices": key_types, "no_log": False},
        "stream_view_type": {"type": "str", "choices": views, "required": True},
        "function_name": {"type": "str", "required": True},
        "starting_position": {"type": "str", "choices": ["TRIM_HORIZON", "LATEST"], "default": "TRIM_HORIZON"},
        "owner_tags": {"type": "dict", "required": True},
        "buckets": {"type": "list", "elements": "str", "default": []},
        "replacement_allowed": {"type": "bool", "default": False},
    }


def main():
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    options = module.params
    try:
        tables = TableApi(client(module, "dynamodb"), options["table_name"], timeout=6)
        s3 = client(module, "s3") if options["buckets"] else None
        buckets = [Bucket(s3, name) for name in options["buckets"]]
        found = look(options, tables, MappingApi(client(module, "lambda")), buckets)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
