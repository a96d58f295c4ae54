# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log cut into slices, and how many partitions they make."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..history.baselines import baselines_folder, read_manifest
from ..history.generations import FOLDER, Covered, Generation, manifest_number, read_generations
from ..history.objects import hours
from ..history.reader import Reader
from ..history.store import Store
from .request import Request, RequestRefused
from .room import WORKERS, Room

#: Of the log, so many bytes are one partition's.
PARTITION_BYTES = 32 * 1024 * 1024
MOST_PARTITIONS = 1000
#: The answers of all parts of a map have to fit into 256 KiB.
MOST_SLICES = 20_000
#: What may be another when a replay goes on.
_PACE = ("rate", "timeout")
#: What a request has beside what was asked for.
_PLANNED = ("partitions", "locked")


def plan(room: Room, prefix: str, told: dict[str, Any], *, slice_objects: int, concurrency: int) -> dict[str, Any]:
    """Cut the log into slices. A replay of this id that was begun before goes on with the slices it has."""
    store = room.store
    former = room.read_json("request.json")
    if former is not None:
        if others := _other_options(former, told):
            names = ", ".join(others)
            raise RequestRefused(f"The replay {room.folder} was begun with other options ({names}). Give another id.")
        if planned := room.read_json("plan.json"):
            room = room.but(former["replay"]["id"], former["locked"])
            room.put_json("request.json", {**former, **{name: told[name] for name in _PACE if name in told}})
            return planned
    told = dict(told)
    told["from"] = told.get("from") or _begin(store, prefix)
    request = Request.read(told)
    slices, size = _slices(store, prefix, request, slice_objects)
    while len(slices) > MOST_SLICES:
        slice_objects *= 1 + len(slices) // MOST_SLICES
        slices, size = _slices(store, prefix, request, slice_objects)
    partitions = min(MOST_PARTITIONS, max(1, -(-size // PARTITION_BYTES), min(concurrency, len(slices))))
    locked = room.is_locked()
    room = room.but(request.id, locked)
    room.put_json("request.json", {**told, "partitions": partitions, "locked": locked})
    room.put_json("slices.json", slices)
    room.put_json("partitions.json", list(range(partitions)))
    planned = {"id": request.id, "slices": len(slices), "partitions": partitions, "bytes": size}
    room.put_json("plan.json", planned)
    return planned


def _other_options(former: dict[str, Any], told: dict[str, Any]) -> list[str]:
    """What a replay that goes on is asked to do otherwise. Without ``from`` it is what the first start has found."""
    free = {"replay", *_PACE, *_PLANNED} | (set() if told.get("from") else {"from"})
    return sorted(name for name in {*former, *told} - free if (former.get(name) or None) != (told.get(name) or None))


def _begin(store: Store, prefix: str) -> str:
    found = Reader(store, prefix).begin()
    if found is None:
        raise RequestRefused(f"There is no change below {prefix}.")
    return f"{found:%Y-%m-%dT%H:%M:%SZ}"


def _slices(store: Store, prefix: str, request: Request, most: int) -> tuple[list[dict[str, Any]], int]:
    found: list[dict[str, Any]] = []
    size = 0
    if request.baseline:
        if not str(request.baseline).startswith(baselines_folder(prefix)):
            raise RequestRefused(f"baseline must be the name of a manifest below {baselines_folder(prefix)}.")
        for each in read_manifest(store, request.baseline)["objects"]:
            found.append({"snapshot": each["key"], "sha256": each["sha256"]})
            size += int(each.get("bytes") or 0)
    with ThreadPoolExecutor(WORKERS) as pool:
        wanted = hours(request.start, request.end, prefix)
        for slices, bytes_ in pool.map(lambda hour: _slices_of(store, hour, most), wanted):
            found += slices
            size += bytes_
    return [{"n": number, **each} for number, each in enumerate(found)], size


def _slices_of(store: Store, hour: str, most: int) -> tuple[list[dict[str, Any]], int]:
    manifests: list[str] = []
    found: list[dict[str, Any]] = []
    size = count = 0
    first = last = ""
    generations: list[Generation] | None = None
    covered: Covered | None = None
    known = 0
    for each in store.list(hour):
        if each.key.startswith(hour + FOLDER):
            if manifest_number(each.key) is not None:
                manifests.append(each.key)
            continue
        if generations is None:
            generations, known = _known(store, manifests)
            covered = Covered(store, generations)
        name = each.key.removeprefix(hour)
        # What is no object of the log is named when the slice is read.
        if name in covered:
            continue
        first, last, count, size = first or name, name, count + 1, size + each.size
        if count == most:
            found.append({"hour": hour, "first": first, "last": last, "known": known})
            first, count = "", 0
    if count:
        found.append({"hour": hour, "first": first, "last": last, "known": known})
    if generations is None:
        generations, known = _known(store, manifests)
    found += [{"hour": hour, "generation": each.number} for each in generations]
    return found, size + sum(each.data_bytes for each in generations)


def _known(store: Store, manifests: list[str]) -> tuple[list[Generation], int]:
    generations = read_generations(store, manifests)
    return generations, max([each.number for each in generations], default=0)
