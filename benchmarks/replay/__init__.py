# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures the replay of the audit log: reader, targets, memory. Run ``python -m benchmarks.replay.run``."""
