# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Parts that the documentation of several modules shares."""

    DOCUMENTATION = r"""
options: {}
author:
  - cloudcdc maintainers (@cloudcdc)
"""

    # For modules that change one resource.
    RESOURCE = r"""
attributes:
  check_mode:
    description: Can run in check mode and says what it would change, without changing it.
    support: full
  diff_mode:
    description: Shows what it changes, or would change, as the resource's settings before and after.
    support: full
"""

    # For modules that only read.
    INFO = r"""
attributes:
  check_mode:
    description: Changes nothing, so check mode gives the same answer.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: N/A
"""
