# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection plugin ``warm_local``: the side of Ansible's workers, and in ``server`` what they talk to.

``wire`` is known to both. The server imports nothing of Ansible, so that it stays a plain Python.
"""
