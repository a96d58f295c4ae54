#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_dashboard
version_added: "0.1.0"
short_description: Create, change and delete an Amazon CloudWatch dashboard
description:
  - Makes a dashboard's body what the option says. A body that says the same already, however it is written, is left
    alone.
  - Bad input is refused before anything is asked of AWS. A body that CloudWatch refuses is an error in its own words,
    and what it writes with a complaint is a warning.
  - Works in check mode on a target where the dashboard does not exist yet.
notes:
  - Dashboards belong to the account, not to a region. The same name in another region is the same dashboard.
  - CloudWatch bills dashboards beyond those that are free, see U(https://aws.amazon.com/cloudwatch/pricing/).
  - CloudWatch warns of a body when it is written. A run that finds it written already warns of nothing.
  - A dashboard's tags stay as they are.
  - "Needs these actions: C(cloudwatch:GetDashboard); to create and to change C(cloudwatch:PutDashboard); to delete
    C(cloudwatch:DeleteDashboards)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description: The dashboard's name, 1 to 255 letters, digits, hyphens and underscores.
    type: str
    required: true
  state:
    description: V(present) creates or changes the dashboard, V(absent) deletes it.
    type: str
    choices: [present, absent]
    default: present
  body:
    description:
      - What the dashboard shows, as an object or as JSON text. It replaces the whole body.
      - Required to create or change. See
        U(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Dashboard-Body-Structure.html).
    type: json
seealso:
  - name: PutDashboard
    description: Amazon CloudWatch API reference.
    link: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Show errors beside a note
  cloudcdc.dynamodb_streams.cloudwatch_dashboard:
    name: orders
    body:
      widgets:
        - type: text
          x: 0
          y: 0
          width: 24
          height: 2
          properties:
            markdown: "# Orders"
        - type: metric
          x: 0
          y: 2
          width: 12
          height: 6
          properties:
            title: Errors
            region: eu-central-1
            stat: Sum
            period: 60
            metrics:
              - [AWS/Lambda, Errors, FunctionName, orders]

- name: Take the body from a template
  cloudcdc.dynamodb_streams.cloudwatch_dashboard:
    name: orders
    body: "{{ lookup('ansible.builtin.template', 'orders.json.j2') }}"

- name: Delete the dashboard
  cloudcdc.dynamodb_streams.cloudwatch_dashboard:
    name: orders
    state: absent
"""

RETURN = r"""
cloudwatch_dashboard:
  description: The dashboard as it is, or in check mode as it would be. Empty when it is not there.
  returned: success
  type: dict
  contains:
    dashboard_name:
      description: The dashboard's name.
      returned: when the dashboard is there
      type: str
      sample: orders
    dashboard_arn:
      description: The dashboard's ARN. Not there where check mode would create the dashboard.
      returned: when the dashboard is there
      type: str
      sample: arn:aws:cloudwatch::123456789012:dashboard/orders
    body:
      description: The dashboard's body.
      returned: when the dashboard is there
      type: dict
      sample:
        widgets:
          - type: text
            x: 0
            "y": 0
            width: 24
            height: 2
            properties:
              markdown: "# Orders"
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.cloudwatch_dashboard_api import Dashboard
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "body": {"type": "json"},
}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=[("state", "present", ["body"])],
        supports_check_mode=True,
    )
    run_resource(module, Dashboard(module))


if __name__ == "__main__":
    main()
