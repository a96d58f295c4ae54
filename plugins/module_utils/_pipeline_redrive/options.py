# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a redrive is asked to do, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..aws import InputError
from .failure_records import plain_function_name, read_moment

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
        for name, (least, most) in _RANGES.items():
            if params[name] < least or (most and params[name] > most):
                wanted = f"from {least} to {most}" if most else f"{least} or more"
                raise InputError(f"{name} must be {wanted}, not {params[name]}.")
        if bool(params["queue_url"]) == bool(params["bucket"]):
            raise InputError("Give one of queue_url and bucket: the place where the failure records are.")
        since, until = (_moment(params, name) for name in ("from", "to"))
        if since and until and since > until:
            raise InputError(f"from ({params['from']}) is later than to ({params['to']}).")
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


def _moment(params: dict[str, Any], name: str) -> datetime | None:
    if not params[name]:
        return None
    moment = read_moment(params[name])
    if moment is None:
        raise InputError(f"{name} must be a time in ISO 8601, such as 2026-01-31T14:00:00Z, not {params[name]!r}.")
    return moment
