# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deploy takes: the first one, one that changes nothing, a check run, and a teardown, over both connections."""
