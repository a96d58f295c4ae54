# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names derived from base, project, environment and pipeline: the same on every run, within AWS's limits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_HASH_DIGITS = 8


def derived_name(base: str, parts: Iterable[str], limit: int, dns: bool = False) -> str:
    """Join ``base`` and ``parts`` with hyphens, within ``limit`` characters.

    A name over the limit loses its tail to a hyphen and eight hex digits of the full name's SHA-256, so two long
    names stay different. ``dns`` keeps to what a bucket's name may hold (lower case, digits, hyphens); a name that
    had to be altered for that gets the digits too, so ``orders_eu`` and ``orders-eu`` do not meet.
    """
    full = "-".join([base, *parts])
    name = re.sub(r"[^a-z0-9-]", "-", full.lower()) if dns else full
    if len(name) <= limit and name == full:
        return name
    digest = hashlib.sha256(full.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{name[: limit - _HASH_DIGITS - 1].rstrip('-')}-{digest}"
