# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the audit log back: in order, each change once, with bounded memory. Imports nothing of AWS or Ansible.

The function replayer uses it, and so do the modules. The files in plugins/module_utils/_history are links to these,
because Ansible packs only what is below plugins, and ansible-test refuses a link to a folder.
"""
