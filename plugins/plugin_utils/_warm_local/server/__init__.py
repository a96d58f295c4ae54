# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server of ``warm_local``: a Python with the AWS libraries loaded, of which each task gets a fork.

Three kinds of processes: the root listens and forks keepers; a keeper reads one task, forks it and tells its exit
status; the task becomes what a new interpreter would be, and runs the module. The root is gone with the run, a keeper
with its task.
"""
