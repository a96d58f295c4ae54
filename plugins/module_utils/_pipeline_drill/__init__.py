# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A failure drill, a phase at a time; the way in is the module utils pipeline_drill."""
