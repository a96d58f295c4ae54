# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules: which changes are audited and announced, and how (docs/rules.md). Pure.

The function decides by them, and the role checks them before it deploys. So the package imports nothing of the function
and nothing of Ansible. The files in plugins/module_utils/_change_rules are links to these, because Ansible packs only
what is below plugins, and ansible-test refuses a link to a folder.
"""

from __future__ import annotations

from .checking import RulesError, check_rules
from .model import KEEP_ALL, Decision, RuleFailed, Rules

__all__ = ["KEEP_ALL", "Decision", "RuleFailed", "Rules", "RulesError", "check_rules", "load_rules"]


def load_rules(rules: object) -> Rules:
    """The rules, ready to decide; a RulesError that tells every problem when there is one."""
    problems = check_rules(rules)
    if problems:
        raise RulesError(" ".join(problems))
    return Rules(rules)
