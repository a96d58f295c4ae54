"""The collection's filters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "plugins/filter"
FILTERS = [each.stem for each in FOLDER.glob("*.py")]


def test_loading_the_filters_does_not_load_boto3():
    """Ansible loads all of them in the process of each task that uses one."""
    assert "derived_name" in FILTERS
    package = "ansible_collections.cloudcdc.dynamodb_streams.plugins.filter"
    imports = "; ".join(f"import {package}.{name}" for name in FILTERS)
    heavy = "{'boto3', 'botocore', 'ansible_collections.amazon.aws'} & set(sys.modules)"
    program = f"import sys; sys.path[:] = {sys.path!r}; {imports}; print(sorted({heavy}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_judging_options_does_not_load_boto3():
    module = "ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_options"
    program = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
