# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replay in parts, each small enough for one invocation: plan, split, apply, collect, clean.

The objects of a batch mix items, so no worker can take its share from the log itself. The log is cut into slices, and
each slice is split by the items' hash; then each partition has all changes of its items, and sends them in order. What
lies between is below .cloudcdc/replay/ in the audit bucket, outside of the log, and removed when all is sent.

Every step can be repeated: a slice is written to the same names again, and a partition goes on where its lanes were.
"""
