#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lambda_package
version_added: "0.1.0"
short_description: Make a reproducible deployment package of a folder
description:
  - Makes a zip of a folder, to be given to AWS Lambda as the code of a function.
  - The same files give the same bytes and the same SHA-256 on every machine and at every time, so an unchanged function
    is seen to be unchanged. Names are sorted, times are 1980-01-01, permissions are 0644. Nothing is compressed, since
    builds of zlib differ in what they make of the same bytes. Line endings are those of the files.
  - The package is written in one step, so another program sees the old one or the new one.
  - Needs neither boto3 nor an AWS account.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  state:
    description:
      - V(present) makes the package, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
  src:
    description:
      - The folder to package. Needed with O(state=present).
      - A link in it may lead to a file within the folder, whose content is packaged. Every other link is refused.
    type: path
  dest:
    description:
      - The path of the zip. It must be outside of O(src). Folders on the way are made.
    type: path
    required: true
  prefix:
    description:
      - The path within the package under which the files are put, with V(/) between its parts. An empty string puts
        them at the package's root.
      - The name of the folder when left out, so that a Python package stays importable by its name.
    type: str
  exclude:
    description:
      - Shell patterns of what is left out. Each is compared, with upper and lower case told apart, with the name of
        every file and folder, and with its path from O(src). A folder is left out with all that is in it.
    type: list
    elements: str
    default: [__pycache__, "*.pyc", ".*", tests]
  contents:
    description:
      - Further files that have no source, each path in the package with its text, which is written in UTF-8.
      - A path begins at the package's root, whatever O(prefix) is, has V(/) between its parts, and must not be that of
        a file from O(src).
    type: dict
    default: {}
extends_documentation_fragment:
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
notes:
  - A package over 50 MiB, which Lambda does not take in a direct upload, is refused, and so are files of more than 250
    MiB together. See U(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
  - Empty folders are not packaged.
seealso:
  - module: amazon.aws.lambda
"""

EXAMPLES = r"""
- name: Package the function
  cloudcdc.dynamodb_streams.lambda_package:
    src: files/lambda/stream_processor
    dest: build/stream_processor.zip
  register: package

- name: Package a folder of single files, with the handler at the root
  cloudcdc.dynamodb_streams.lambda_package:
    src: src/handlers
    dest: build/handlers.zip
    prefix: ""
    exclude: [__pycache__, "*.pyc", ".*", "*.md"]

- name: Package the function with a file that is made of variables
  cloudcdc.dynamodb_streams.lambda_package:
    src: files/lambda/stream_processor
    dest: build/stream_processor.zip
    contents:
      stream_processor/rules.json: "{{ rules | to_json(sort_keys=true) }}"

- name: Remove the package
  cloudcdc.dynamodb_streams.lambda_package:
    dest: build/handlers.zip
    state: absent
"""

RETURN = r"""
path:
  description: The path of the zip.
  returned: success
  type: str
  sample: build/stream_processor.zip
sha256:
  description: SHA-256 of the zip in hexadecimal digits.
  returned: when O(state=present)
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
code_sha256:
  description: The same digest in Base64, as Lambda shows it as CodeSha256.
  returned: when O(state=present)
  type: str
  sample: n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=
size:
  description: Size of the zip in bytes.
  returned: when O(state=present)
  type: int
  sample: 18230
files:
  description: Names of the files in the package.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [stream_processor/__init__.py, stream_processor/handler.py]
"""

import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_package import (
    DEFAULT_EXCLUDE,
    PackageError,
    check_apart,
    existing_package,
    package_of,
    shown,
)


def write(module, dest, content):
    """Put the content at dest in one step."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=module.tmpdir, delete=False) as file:
        file.write(content)
    module.atomic_move(file.name, str(dest))


def present(module, dest):
    src = Path(module.params["src"])
    check_apart(src, dest)
    package = package_of(src, module.params["prefix"], module.params["exclude"], module.params["contents"])
    there = existing_package(dest)
    changed = there != package
    if changed and not module.check_mode:
        write(module, dest, package.content)
    return {"changed": changed, **package.facts()}, there, package


def absent(module, dest):
    there = existing_package(dest)
    if there and not module.check_mode:
        dest.unlink()
    return {"changed": there is not None}, there, None


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "src": {"type": "path"},
            "dest": {"type": "path", "required": True},
            "prefix": {"type": "str"},
            "exclude": {"type": "list", "elements": "str", "default": list(DEFAULT_EXCLUDE)},
            "contents": {"type": "dict", "default": {}},
        },
        required_if=[("state", "present", ["src"])],
        supports_check_mode=True,
    )
    dest = Path(module.params["dest"])
    try:
        result, before, after = (present if module.params["state"] == "present" else absent)(module, dest)
    except PackageError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"Cannot use {exc.filename or dest}: {exc.strerror}.")
    if module._diff:
        result["diff"] = {"before": shown(before), "after": shown(after)}
    module.exit_json(path=str(dest), **result)


if __name__ == "__main__":
    main()
