# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a redrive is asked to do, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..aws import InputError
from ..option_checks import check_ranges, read_range
from .failure_records import plain_function_name

_RANGES = {"limit": (0, None), "batch_size": (1, 10000), "concurrency": (1, 32), "timeout": (1, 86400)}


@dataclass(frozen=True)
class Options:
    """The module's options, under their own names; times are read."""

    table_name: str
    function_name: str
    qualifier: str | None
    queue_url: str | None
    bucket: str | None
    prefix: str
    since: datetime | None
    until: datetime | None
    limit: int
    batch_size: int
    concurrency: int
    timeout: int
    log_group: str
    progress_file: str | None
    error_file: str | None
    dry_run: bool

    @classmethod
    def read(cls, params: dict[str, Any], check_mode: bool) -> Options:
        """InputError when an option cannot be."""
        check_ranges(params, _RANGES)
        if bool(params["queue_url"]) == bool(params["bucket"]):
            raise InputError("Give one of queue_url and bucket: the place where the failure records are.")
        since, until = read_range(params)
        name = plain_function_name(params["function_name"])
        log_group = params["log_group"]
        fields = ("table_name", "qualifier", "queue_url", "bucket", "prefix", "limit", "batch_size", "concurrency")
        return cls(
            **{name: params[name] for name in (*fields, "timeout", "progress_file", "error_file")},
            function_name=name,
            since=since,
            until=until,
            log_group=f"/aws/lambda/{name}" if log_group is None else log_group,
            dry_run=params["dry_run"] or check_mode,
        )
