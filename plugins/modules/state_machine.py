#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: state_machine
version_added: "0.1.0"
short_description: Create, change and delete an AWS Step Functions state machine and its schedule
description:
  - Makes a state machine's definition, role, key and tags what the options say, and with O(schedule) the Amazon
    EventBridge rule that starts it. A definition that says the same already, however it is written, is left alone.
  - The state machine is found by its ARN, which follows from its name, however many there are in the account.
  - Bad input is refused before anything is asked of AWS.
  - Works in check mode on a target where the state machine does not exist yet.
notes:
  - The state machine is of the type C(STANDARD). Its log, X-Ray and versions stay as they are.
  - The rule is on the default event bus, and of its targets only the state machine is looked at.
  - "Needs these actions: C(states:DescribeStateMachine) and C(states:ListTagsForResource); to create and to change
    C(states:CreateStateMachine), C(states:UpdateStateMachine), C(states:TagResource), C(states:UntagResource) and
    C(iam:PassRole) for the roles; to delete C(states:DeleteStateMachine). With O(schedule) also C(events:DescribeRule),
    C(events:ListTargetsByRule), C(events:ListTagsForResource), C(events:PutRule), C(events:PutTargets),
    C(events:TagResource), C(events:UntagResource), C(events:RemoveTargets) and C(events:DeleteRule)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description: The state machine's name, 1 to 80 letters, digits, hyphens and underscores.
    type: str
    required: true
  state:
    description: V(present) creates or changes the state machine, V(absent) deletes it and its schedule.
    type: str
    choices: [present, absent]
    default: present
  definition:
    description:
      - What the state machine does, in the Amazon States Language, as an object or as JSON text.
      - Required to create or change.
    type: json
  role_arn:
    description: The ARN of the role that the state machine works in. Required to create or change.
    type: str
  kms_key_arn:
    description:
      - The ARN of the KMS key that executions and the definition are encrypted with. An empty string means AWS's own
        key.
      - Left out, it stays as it is.
    type: str
  schedule:
    description:
      - What starts the state machine. Left out, a schedule is neither looked at nor changed.
    type: dict
    suboptions:
      name:
        description: The name of the rule, 1 to 64 letters, digits and any of C(._-).
        type: str
        required: true
      expression:
        description:
          - When to start it, as EventBridge takes it, such as V(rate(1 hour\)) or V(cron(15 * * * ? *\)).
          - Nothing removes the rule.
        type: str
        default: ""
      role_arn:
        description: The ARN of the role that EventBridge starts it in.
        type: str
  tags:
    description: The tags of the state machine and of the rule. Left out, they stay as they are.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Whether tags that O(tags) does not name are taken away.
    type: bool
    default: true
seealso:
  - name: Amazon States Language
    description: AWS Step Functions developer guide.
    link: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Start a function every hour, again when it fails
  cloudcdc.dynamodb_streams.state_machine:
    name: orders-compaction
    role_arn: arn:aws:iam::123456789012:role/orders-states
    definition:
      StartAt: Compact
      States:
        Compact:
          Type: Task
          Resource: arn:aws:states:::lambda:invoke
          Parameters:
            FunctionName: orders-replayer
            Payload:
              step: compact_plan
          Retry:
            - ErrorEquals: [States.ALL]
              MaxAttempts: 3
          End: true
    schedule:
      name: orders-compaction
      expression: rate(1 hour)
      role_arn: arn:aws:iam::123456789012:role/orders-schedule

- name: Stop the schedule, and keep the state machine
  cloudcdc.dynamodb_streams.state_machine:
    name: orders-compaction
    role_arn: arn:aws:iam::123456789012:role/orders-states
    definition: "{{ lookup('ansible.builtin.template', 'compaction.json.j2') }}"
    schedule:
      name: orders-compaction
      expression: ""

- name: Delete both
  cloudcdc.dynamodb_streams.state_machine:
    name: orders-compaction
    schedule:
      name: orders-compaction
    state: absent
"""

RETURN = r"""
state_machine_arn:
  description: The state machine's ARN, which follows from its name.
  returned: success
  type: str
  sample: arn:aws:states:eu-central-1:123456789012:stateMachine:orders-compaction
state_machine:
  description: The state machine as it is, or in check mode as it would be. Empty when it is not there.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      returned: when the state machine is there
      type: str
      sample: orders-compaction
    definition:
      description: What it does.
      returned: when the state machine is there
      type: dict
      sample: {StartAt: Wait, States: {Wait: {Type: Wait, Seconds: 1, End: true}}}
    role_arn:
      description: The role that it works in.
      returned: when the state machine is there
      type: str
      sample: arn:aws:iam::123456789012:role/orders-states
    kms_key_arn:
      description: The key that it is encrypted with, empty for AWS's own.
      returned: when the state machine is there
      type: str
      sample: ""
    tags:
      description: Its tags.
      returned: when the state machine is there
      type: dict
      sample: {Environment: production}
    schedule:
      description: The rule that starts it. Empty when there is none.
      returned: when O(schedule) is given
      type: dict
      sample:
        name: orders-compaction
        expression: rate(1 hour)
        enabled: true
        role_arn: arn:aws:iam::123456789012:role/orders-schedule
        target_arn: arn:aws:states:eu-central-1:123456789012:stateMachine:orders-compaction
        input: "{}"
        tags: {Environment: production}
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.state_machine_api import StateMachine

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "definition": {"type": "json"},
    "role_arn": {"type": "str"},
    "kms_key_arn": {"type": "str", "no_log": False},
    "schedule": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "expression": {"type": "str", "default": ""},
            "role_arn": {"type": "str"},
        },
    },
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=[("state", "present", ["definition", "role_arn"])],
        supports_check_mode=True,
    )
    run_resource(module, StateMachine(module))


if __name__ == "__main__":
    main()
