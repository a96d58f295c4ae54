# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One measurement, in a process of its own: ``python -m benchmarks.measure MODULE RESULT run|memory|log ...``.

Plays the Lambda runtime: imports the handler, hands it events that were parsed from JSON, and keeps the JSON while the
handler works, as the runtime does. What the handler logs goes to standard output, the figures go to the file RESULT.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import events

_TIMEOUT_MS = 60_000  # the recipe's
_LOG_LINES = 1000

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


class Context:
    """What a handler may ask of an invocation."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "stream-processor"

    def __init__(self) -> None:
        self._end = time.monotonic() + _TIMEOUT_MS / 1000

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._end - time.monotonic()) * 1000))


def measure_run(handler: Handler, items: str, size: int, batches: int, warm_up: int) -> dict[str, Any]:
    """Whole batches, after one that opened the connections; time and CPU of the handler alone."""
    make = events.MADE_OF[items]
    _invoke(handler, events.to_json(make(warm_up)))
    _reset_stub()
    log_begin = _log_bytes()
    figures = []
    for number in range(batches):
        figures.append(_invoke(handler, events.to_json(make(size, warm_up + number * size))))
    return {
        "records": size * batches,
        "wall_s": sum(each["wall_s"] for each in figures),
        "cpu_s": sum(each["cpu_s"] for each in figures),
        "peak_mb": max(each["peak_mb"] for each in figures),
        "log_bytes": _log_bytes() - log_begin,
    }


def measure_memory(handler: Handler, event_file: str) -> dict[str, Any]:
    """The event of a file, once, from a cold start."""
    return _invoke(handler, Path(event_file).read_bytes())


def measure_log(handler: Handler) -> dict[str, Any]:
    """An empty batch, such as ends a tumbling window: nothing happens but the batch's line in the log."""
    event = {"Records": [], "window": {}, "state": {}}
    context = Context()
    handler(event, context)
    begin = time.process_time()
    for _line in range(_LOG_LINES):
        handler(event, context)
    return {"us_per_line": (time.process_time() - begin) / _LOG_LINES * 1e6}


def _invoke(handler: Handler, body: bytes) -> dict[str, Any]:
    event = json.loads(body)
    context = Context()
    _forget_peak()
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    response = handler(event, context)
    end, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    if response.get("batchItemFailures"):
        raise RuntimeError("records failed: the figures would say nothing")
    return {
        "wall_s": end - begin,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": _peak_mb(),
    }


def _reset_stub() -> None:
    """The calls of the warm-up do not count. By hand, so as to load nothing that the handler may not load."""
    host, _colon, port = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(b"POST /_stub/reset HTTP/1.1\r\nConnection: close\r\n\r\n")
        while connection.recv(1024):
            pass


def _forget_peak() -> None:
    """Linux counts the peak anew from here; elsewhere it counts what went before, too."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _peak_mb() -> float:
    """The process's own peak. ru_maxrss, taken where there is nothing better, can be inherited from the parent."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _log_bytes() -> int:
    sys.stdout.flush()
    return os.fstat(sys.stdout.fileno()).st_size


def _log_like_lambda() -> None:
    """The handler that Lambda's runtime gives the root logger, for those who use logging."""
    logging = sys.modules.get("logging")
    if logging and not logging.getLogger().handlers:
        out = logging.StreamHandler(sys.stdout)
        layout = f"[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t{Context.aws_request_id}\t%(message)s"
        out.setFormatter(logging.Formatter(layout, "%Y-%m-%dT%H:%M:%S"))
        logging.getLogger().addHandler(out)


def main(module: str, result: str, kind: str, *arguments: str) -> None:
    handler = importlib.import_module(module).lambda_handler
    _log_like_lambda()
    if kind == "run":
        figures = measure_run(handler, arguments[0], *(int(argument) for argument in arguments[1:]))
    elif kind == "memory":
        figures = measure_memory(handler, *arguments)
    else:
        figures = measure_log(handler)
    Path(result).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
