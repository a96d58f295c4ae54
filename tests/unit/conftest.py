"""How many examples the property tests try: CDC_SOAK=1 (make soak) tries many more. And what tests must not share."""

from __future__ import annotations

import os

import pytest
from ansible.module_utils.common import warnings as ansible_warnings
from hypothesis import settings

# No deadline: a busy machine is slow, and no test here is about time.
settings.register_profile("usual", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=3000)
settings.load_profile("soak" if os.environ.get("CDC_SOAK") == "1" else "usual")


@pytest.fixture(autouse=True)
def no_warnings_of_others():
    """Ansible keeps a module's warnings for the life of the process, which here runs many modules."""
    ansible_warnings._global_warnings.clear()
    ansible_warnings._global_deprecations.clear()
