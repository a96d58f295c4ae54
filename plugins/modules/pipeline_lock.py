#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_lock
version_added: "0.1.0"
short_description: Take, renew and release a lock that is one object in Amazon S3
description:
  - Lets one run at a time work on a pipeline. Who has the lock is decided by S3, with conditional requests.
  - The lock ends by itself when its lease is over. Whether it is, is judged by S3's clock alone. Its owner counts its
    own time from before its last request, so two runs never both have it.
  - A lock whose process is gone, on this very machine, is taken over at once. On Linux only; elsewhere the lease has to
    end.
  - An action plugin of the same name runs on the controller. It fills in O(holder) and O(process), and adds the moment
    that the test P(cloudcdc.dynamodb_streams.lock_due#test) counts from.
notes:
  - "Needs these actions: C(s3:GetObject), C(s3:PutObject) and C(s3:DeleteObject) on the object; C(s3:ListBucket) and
    C(s3:GetBucketObjectLockConfiguration) on the bucket. Where it keeps versions also C(s3:ListBucketVersions) and
    C(s3:DeleteObjectVersion), where its objects are retained C(s3:PutObjectRetention) and C(s3:GetObjectRetention), and
    with O(required_tags) C(s3:GetBucketTagging) and C(s3:ListBucketVersions)."
  - The object is encrypted with S3's own key, whatever the bucket's default is. Nothing in it is secret.
  - In a bucket that keeps versions, releasing the lock also removes the versions that are left of it.
  - A process that was killed may leave a task behind that goes on for a moment. Whoever takes the lock over from a dead
    process may meet its last write.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  bucket:
    description: The bucket.
    type: str
    required: true
  key:
    description: The object, for example V(.cloudcdc/lock/orders.json).
    type: str
    required: true
  state:
    description:
      - V(taken) takes the lock, from a run whose lease is over or whose process is gone too. Held by another run, it is
        an error that says by whom and until when.
      - V(renewed) begins the lease again. It is an error when the lock is not this run's any more.
      - V(released) removes it. One that is not this run's is left alone, with a warning.
    type: str
    choices: [taken, renewed, released]
    default: taken
  token:
    description: What V(taken) returned. Needed to renew and to release.
    type: str
  lease:
    description: For how many seconds the lock holds without being renewed, 1 to 86400. What is done between two
      renewals must not take longer.
    type: int
    default: 900
  wait:
    description: For how many seconds at most to wait for another run.
    type: int
    default: 0
  missing_bucket:
    description: Whether a bucket that is not there is an error, or means that no lock is taken.
    type: str
    choices: [fail, ignore]
    default: fail
  required_tags:
    description:
      - Tags that the bucket must carry, else it belongs to someone else, and V(taken) fails before it writes into it.
      - A bucket that is empty and has no tags at all passes, since it may be what a run left that was killed between
        making the bucket and tagging it.
    type: dict
  holder:
    description:
      - Who takes it, for whoever comes second.
      - The default is the user, the host and the playbook.
    type: str
  process:
    description: The process that takes it, as the action plugin tells.
    type: dict
attributes:
  check_mode:
    description: Can run in check mode, and then neither takes nor changes anything.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
seealso:
  - plugin: cloudcdc.dynamodb_streams.lock_due
    plugin_type: test
  - name: Conditional requests
    description: How S3 decides them.
    link: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

EXAMPLES = r"""
- name: Take the lock, or stop
  cloudcdc.dynamodb_streams.pipeline_lock:
    bucket: activity-audit-cdc-dev-orders-111111111111-eu-central-1
    key: .cloudcdc/lock/orders.json
    wait: 120
  changed_when: false
  register: lock

- name: Keep it, once a third of its lease is over
  cloudcdc.dynamodb_streams.pipeline_lock:
    bucket: activity-audit-cdc-dev-orders-111111111111-eu-central-1
    key: .cloudcdc/lock/orders.json
    token: "{{ lock.token }}"
    state: renewed
  changed_when: false
  when: lock is cloudcdc.dynamodb_streams.lock_due

- name: Give it back
  cloudcdc.dynamodb_streams.pipeline_lock:
    bucket: activity-audit-cdc-dev-orders-111111111111-eu-central-1
    key: .cloudcdc/lock/orders.json
    token: "{{ lock.token }}"
    state: released
  changed_when: false
"""

RETURN = r"""
held:
  description: Whether this run has the lock now.
  returned: success
  type: bool
  sample: true
token:
  description: What names this run in the lock. Not a secret.
  returned: when held
  type: str
  sample: 0b54f6c38b3c4c7a8d5b5f6f0a1d2c3e
lease:
  description: The lease in seconds.
  returned: when held
  type: int
  sample: 900
held_from:
  description: The controller's own count of seconds at which the task began, for the test that says when to renew.
  returned: when held
  type: float
  sample: 86312.25
took_over:
  description: V(expired) or V(dead), where the lock was another run's; else empty.
  returned: when taken
  type: str
  sample: ""
"""

import uuid
from datetime import datetime, timezone

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    InputError,
    client,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock import LONGEST_LEASE, record
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock_api import NoBucket, PipelineLock
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock_process import is_gone
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket import Bucket


def argument_spec():
    return {
        "bucket": {"type": "str", "required": True},
        # no_log=False: an object's name and a run's, not secrets.
        "key": {"type": "str", "required": True, "no_log": False},
        "state": {"type": "str", "choices": ["taken", "renewed", "released"], "default": "taken"},
        "token": {"type": "str", "no_log": False},
        "lease": {"type": "int", "default": 900},
        "wait": {"type": "int", "default": 0},
        "missing_bucket": {"type": "str", "choices": ["fail", "ignore"], "default": "fail"},
        "required_tags": {"type": "dict"},
        "holder": {"type": "str"},
        "process": {"type": "dict"},
    }


def run(module, lock):
    options = module.params
    if options["state"] == "taken":
        if options["required_tags"]:
            Bucket(lock.s3, lock.bucket).owned(options["required_tags"])
        since = datetime.now(timezone.utc)
        asked = record(lock.token, options["holder"] or "unknown", lock.lease, since, options["process"])
        took_over = lock.take(asked, options["wait"], is_gone)
        return {"changed": True, "held": True, "token": lock.token, "lease": lock.lease, "took_over": took_over}
    if options["state"] == "renewed":
        lock.renew()
        return {"changed": True, "held": True, "token": lock.token, "lease": lock.lease}
    released = lock.release()
    if not released:
        module.warn(f"The lock {lock.where} was not this run's any more when it ended: another run took it over.")
    return {"changed": released, "held": False}


def main():
    module = AnsibleAWSModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_if=[("state", "renewed", ["token"]), ("state", "released", ["token"])],
    )
    options = module.params
    if not 1 <= options["lease"] <= LONGEST_LEASE or options["wait"] < 0:
        module.fail_json(
            msg=f"lease must be 1 to {LONGEST_LEASE} seconds and wait 0 or more (they are {options['lease']} and"
            f" {options['wait']})."
        )
    if module.check_mode:
        module.exit_json(changed=False, held=False)
    # A bucket that was made a moment ago may not be known everywhere.
    passing = [] if options["missing_bucket"] == "ignore" or options["state"] != "taken" else ["NoSuchBucket"]
    token = options["token"] or uuid.uuid4().hex
    lock = PipelineLock(client(module, "s3", passing), options["bucket"], options["key"], token, options["lease"])
    try:
        outcome = run(module, lock)
    except NoBucket as exc:
        if options["missing_bucket"] == "fail":
            module.fail_json(msg=str(exc))
        outcome = {"changed": False, "held": False}
    except InputError as exc:
        module.fail_json(msg=str(exc))
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
