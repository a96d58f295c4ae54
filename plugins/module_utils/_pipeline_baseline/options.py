# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a baseline is asked to be, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._history.baselines import is_baseline_id
from ..aws import InputError
from ..option_checks import check_ranges

_RANGES = {
    "segments": (1, 32),
    "read_capacity": (0, 1_000_000),
    "items_per_second": (0, 10_000_000),
    "object_bytes": (1024, 33_554_432),
}


@dataclass(frozen=True)
class Options:
    """The module's options, under their own names."""

    table_name: str
    function_name: str
    bucket: str
    prefix: str
    rules: list[dict[str, Any]]
    baseline_id: str
    new: bool
    segments: int
    read_capacity: float
    items_per_second: int
    object_bytes: int
    progress_file: str | None

    @classmethod
    def read(cls, params: dict[str, Any]) -> Options:
        """InputError when an option cannot be."""
        check_ranges(params, _RANGES)
        name = params["baseline_id"] or ""
        if name and not is_baseline_id(name):
            raise InputError(
                f"baseline_id must be that of a baseline, such as 20260131T140000Z-0a1b2c3d, not {name!r}."
            )
        if name and params["new"]:
            raise InputError("baseline_id names a baseline to go on with, and new asks for another; give one of them.")
        given = {each: params[each] for each in cls.__dataclass_fields__}
        return cls(**{**given, "baseline_id": name, "rules": params["rules"] or []})
