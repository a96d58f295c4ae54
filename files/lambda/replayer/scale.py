# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replay in parts, each small enough for one invocation: plan, split, apply, collect, clean.

The objects of a batch mix items, so no worker can take its share from the log itself. The log is cut into slices, and
each slice is split by the items' hash; then each partition has all changes of its items, and sends them in order. What
lies between is below .cloudcdc/replay/ in the audit bucket, outside of the log, and removed when all is sent.

Every step can be repeated: a slice is written to the same names again, and a partition goes on where its lanes were.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from .history.baselines import baselines_folder, page_items, read_manifest
from .history.changes import EVENT_NAMES, Change, read_change, same_change, trusted_change
from .history.delivery import Delivery, Position, Target, Unit
from .history.generations import FOLDER, Covered, Generation, manifest_number, open_data, read_generations
from .history.items import Items, Start, key_digest
from .history.objects import DamagedObject, hours, read_name
from .history.reader import Findings, Reader, changes_of
from .history.sorting import MEMORY_BYTES, Entry, Sorter
from .history.store import Gone, Listed, Store, error_code

ROOM = ".cloudcdc/replay/"
TABLE = "table"
KINDS = ("function", "queue", "topic", TABLE)
#: Objects that are fetched, or hours that are listed, at once.
WORKERS = 32
#: Of the log, so many bytes are one partition's.
PARTITION_BYTES = 32 * 1024 * 1024
MOST_PARTITIONS = 1000
#: The answers of all parts of a map have to fit into 256 KiB.
MOST_SLICES = 20_000
#: Failing changes that are told one by one; all are counted.
MOST_TOLD = 1000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: What may be another when a replay goes on.
_PACE = ("rate", "timeout")
_TRIES = 8
_LAST = "~"
_SOURCE = b"\x00\x00"
#: So many files of an hour are merged as they are read; more are sorted.
_MOST_OPEN = 256
#: For how long S3 keeps what lies between where the bucket locks objects (seconds), and how long the cleaning waits.
_RETAIN_SECONDS = 60
_WAIT_SECONDS = 10
#: What S3 answers when an object is not what a write was meant to go on top of.
_NOT_ON_TOP = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404")


class RequestRefused(ValueError):
    """What was asked for cannot be, or not of this log."""


class Overtaken(Exception):
    """Another worker is at what this one is at."""


class OutOfTime(Exception):
    """The invocation has to end before its work does."""


@dataclass(frozen=True)
class Request:
    """What a replay is asked to do."""

    id: str
    #: What each change carries as ``replay``.
    marker: dict[str, str]
    table_name: str
    start: datetime
    end: datetime
    event_names: tuple[str, ...]
    keys: dict[str, Any] | None
    match: str | None
    target: dict[str, Any]
    #: The name of the manifest of the baseline that the state of a table begins with.
    baseline: str | None
    lanes: int
    rate: float
    timeout: float
    partitions: int = 0
    locked: bool = False

    @classmethod
    def read(cls, told: dict[str, Any]) -> Request:
        """RequestRefused, with what would be right, when it is none."""
        marker = told.get("replay") or {}
        if not _ID.fullmatch(str(marker.get("id", ""))):
            raise RequestRefused("replay.id must be up to 64 letters, digits and any of ._-")
        target = told.get("target") or {}
        if target.get("kind") not in KINDS:
            raise RequestRefused(f"target.kind must be one of {', '.join(KINDS)}, not {target.get('kind')!r}.")
        names = tuple(told.get("event_names") or ())
        if not set(names) <= set(EVENT_NAMES):
            raise RequestRefused(f"event_names may hold {', '.join(EVENT_NAMES)}.")
        if target["kind"] == TABLE and (names or told.get("match")):
            raise RequestRefused("The target table needs every change: leave event_names and match out.")
        if not told.get("table_name"):
            raise RequestRefused("table_name is missing: the table whose changes are replayed.")
        start, end = _moment(told, "from"), _moment(told, "to")
        if start > end:
            raise RequestRefused(f"from ({told['from']}) is later than to ({told['to']}).")
        return cls(
            id=marker["id"],
            marker={"id": marker["id"], "time": str(marker.get("time", ""))},
            table_name=told["table_name"],
            start=start,
            end=end,
            event_names=names,
            keys=told.get("keys"),
            match=told.get("match"),
            target=target,
            baseline=told.get("baseline"),
            lanes=int(told.get("lanes") or 4),
            rate=float(told.get("rate") or 0),
            timeout=float(told.get("timeout") or 300),
            partitions=int(told.get("partitions") or 0),
            locked=bool(told.get("locked")),
        )


def _moment(told: dict[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(told.get(name)))
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise RequestRefused(f"{name} must be a moment in ISO 8601 and UTC, such as 2026-01-31T08:00:00Z.")
    return moment.replace(microsecond=0)


class Room:
    """Where a replay keeps what lies between its steps."""

    def __init__(self, store: Store, client: Any, replay_id: str, locked: bool = False) -> None:
        if not _ID.fullmatch(replay_id):
            raise RequestRefused("replay.id must be up to 64 letters, digits and any of ._-")
        self.store, self._client, self._locked = store, client, locked
        self.folder = f"{ROOM}{replay_id}/"

    def put(self, name: str, body: bytes | IO[bytes], **more: Any) -> str:
        retention = {}
        if self._locked:
            # Instead of the bucket's own, which may be a year.
            until = datetime.now(UTC) + timedelta(seconds=_RETAIN_SECONDS)
            retention = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        request = {"Bucket": self.store.bucket, "Key": self.folder + name, "Body": body}
        return self._client.put_object(**request, **retention, **more).get("ETag", "")

    def put_json(self, name: str, value: Any) -> None:
        self.put(name, json.dumps(value, sort_keys=True).encode(), ContentType="application/json")

    def read_json(self, name: str) -> Any:
        """None when there is none of that name."""
        try:
            return json.loads(self.store.read(self.folder + name))
        except Gone:
            return None

    def read_tagged(self, name: str) -> tuple[Any, str | None]:
        """The same with its ETag."""
        try:
            answer = self._client.get_object(Bucket=self.store.bucket, Key=self.folder + name)
        except Exception as exc:
            if error_code(exc) in ("NoSuchKey", "404"):
                return None, None
            raise
        return json.loads(answer["Body"].read()), answer["ETag"]

    def put_on_top(self, name: str, value: Any, etag: str | None) -> str:
        """Write it if what is there has the ETag, or if there is nothing; Overtaken otherwise. The new ETag."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            return self.put(name, json.dumps(value, sort_keys=True).encode(), **condition)
        except Exception as exc:
            if error_code(exc) in _NOT_ON_TOP:
                raise Overtaken(f"{self.folder}{name} was written by another worker.") from exc
            raise

    def list(self, folder: str) -> Iterator[Listed]:
        return self.store.list(self.folder + folder)

    def is_locked(self) -> bool:
        """Whether the bucket retains what is written to it."""
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self.store.bucket)
        except Exception as exc:
            if error_code(exc) == "ObjectLockConfigurationNotFoundError":
                return False
            raise
        return bool((answer["ObjectLockConfiguration"].get("Rule") or {}).get("DefaultRetention"))

    def remove(self, folders: Iterable[str], remaining: Callable[[], float]) -> bool:
        """Remove every version of all that is in them. Whether it was done before the time is over."""
        for folder in folders:
            while versions := self._versions(self.folder + folder):
                if remaining() < 2 * _WAIT_SECONDS:
                    return False
                request = {"Objects": versions, "Quiet": True}
                answer = self._client.delete_objects(Bucket=self.store.bucket, Delete=request)
                if len(answer.get("Errors", [])) == len(versions):
                    # S3 retains them for a minute.
                    time.sleep(_WAIT_SECONDS)
        return True

    def _versions(self, prefix: str) -> list[dict[str, str]]:
        answer = self._client.list_object_versions(Bucket=self.store.bucket, Prefix=prefix)
        found = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
        return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found[:1000]]


# --- plan ------------------------------------------------------------------------------------------------------------


def plan(room: Room, prefix: str, told: dict[str, Any], *, slice_objects: int, concurrency: int) -> dict[str, Any]:
    """Cut the log into slices. A replay of this id that was begun before goes on with the slices it has."""
    store = room.store
    former = room.read_json("request.json")
    if former is not None:
        # The rest of the mark is that of the first start; how fast it goes on may be another.
        same = {name: value for name, value in told.items() if name in ("replay", *_PACE)}
        asked = {**{name: former.get(name) for name in told}, **same}
        if asked != told:
            names = ", ".join(sorted(name for name in told if asked[name] != told[name]))
            raise RequestRefused(f"The replay {room.folder} was begun with other options ({names}). Give another id.")
        if planned := room.read_json("plan.json"):
            room = Room(store, room._client, former["replay"]["id"], former["locked"])
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
    room = Room(store, room._client, request.id, locked)
    room.put_json("request.json", {**told, "partitions": partitions, "locked": locked})
    room.put_json("slices.json", slices)
    room.put_json("partitions.json", list(range(partitions)))
    planned = {"id": request.id, "slices": len(slices), "partitions": partitions, "bytes": size}
    room.put_json("plan.json", planned)
    return planned


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


# --- split -----------------------------------------------------------------------------------------------------------


class Split:
    """The splitting of one slice."""

    def __init__(
        self,
        room: Room,
        prefix: str,
        request: Request,
        wanted: Callable[[Change], bool],
        *,
        memory_bytes: int = MEMORY_BYTES,
        workers: int = WORKERS,
    ) -> None:
        self._room, self._store, self._prefix, self._request = room, room.store, prefix, request
        self._wanted, self._memory_bytes, self._workers = wanted, memory_bytes, workers
        self._only = key_digest(request.keys) if request.keys else None
        self._start, self._end = (f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in (request.start, request.end))

    def run(self, part: dict[str, Any]) -> dict[str, Any]:
        """Write what it holds for each partition, and tell what it was. What was done before is not done again."""
        name = f"slices/{part['n']:08d}.json"
        if former := self._room.read_json(name):
            return former
        for _attempt in range(_TRIES):
            self._findings, self._counts = Findings(), Counter()
            self._read = self._objects = 0
            sorter = Sorter(self._memory_bytes)
            try:
                if self._fill(part, sorter):
                    self._write(part, sorter)
                    break
            except Gone:
                # Compaction has moved the changes to a new generation.
                pass
            finally:
                sorter.clear()
        else:
            raise RuntimeError(f"The objects of the slice {part} vanished {_TRIES} times while they were read.")
        told = {
            "read": self._read,
            "objects": self._objects,
            "selected": dict(self._counts),
            "findings": {
                "count": self._findings.count,
                "damaged": self._findings.damaged,
                "foreign": self._findings.foreign,
                "conflicting": self._findings.conflicting,
            },
        }
        self._room.put_json(name, told)
        return told

    def _fill(self, part: dict[str, Any], sorter: Sorter) -> bool:
        """Whether what was read is all of the slice."""
        try:
            if "snapshot" in part:
                self._snapshot(part, sorter)
                return True
            hour = part["hour"]
            manifests = self._manifests(hour)
            generations = read_generations(self._store, manifests)
            if "generation" in part:
                for each in generations:
                    if each.number == part["generation"]:
                        self._generation(each, sorter)
                return True
            self._sources(part, generations, sorter)
            for each in generations:
                if each.number > part["known"]:
                    self._generation(each, sorter)
            return manifests == self._manifests(hour)
        except DamagedObject as exc:
            self._findings.add_damaged(exc.key, exc.reason)
            return True

    def _manifests(self, hour: str) -> list[str]:
        return [each.key for each in self._store.list(hour + FOLDER) if manifest_number(each.key) is not None]

    def _sources(self, part: dict[str, Any], generations: list[Generation], sorter: Sorter) -> None:
        hour, covered = part["hour"], Covered(self._store, generations)

        def names() -> Iterator[str]:
            # One character less than the first name, so that the first one is listed too.
            for each in self._store.list(hour, hour + part["first"][:-1]):
                name = each.key.removeprefix(hour)
                if name > part["last"]:
                    return
                if read_name(each.key) is None or "/" in name:
                    self._findings.add_foreign(each.key)
                elif name >= part["first"] and name not in covered:
                    yield each.key

        with ThreadPoolExecutor(self._workers) as pool:
            found = names()
            while batch := list(itertools.islice(found, 4 * self._workers)):
                for key, body in zip(batch, pool.map(self._store.read, batch), strict=True):
                    self._objects += 1
                    try:
                        changes = changes_of(key, body, self._prefix)
                    except DamagedObject as exc:
                        self._findings.add_damaged(key, exc.reason)
                        continue
                    for change in changes:
                        self._take(change, sorter)

    def _generation(self, generation: Generation, sorter: Sorter) -> None:
        self._objects += 1
        with open_data(self._store, generation) as file:
            for number, line in enumerate(file, 1):
                self._take(read_change(line.rstrip(b"\n"), generation.data_key, f"line {number}"), sorter)

    def _take(self, change: Change, sorter: Sorter) -> None:
        self._read += 1
        if not self._start <= change.time <= self._end or change.envelope["table"] != self._request.table_name:
            return
        digest = key_digest(change.keys)
        if (self._only is not None and digest != self._only) or not self._wanted(change):
            return
        if self._request.target["kind"] == TABLE and change.event_name != "REMOVE" and change.image is None:
            raise RequestRefused(
                f"{change.source} has a change without its new image: the stream's view type was not NEW_AND_OLD_IMAGES"
                " then, so the state of items cannot be told from the log."
            )
        self._counts[change.event_name] += 1
        line = change.line
        if b"\n" in line:
            line = json.dumps(change.envelope, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        order = digest if self._request.target["kind"] == TABLE else b""
        key = self._partition(digest) + order + change.time[:13].encode() + change.place
        sorter.add(key + _SOURCE + change.source.encode(), line)

    def _snapshot(self, part: dict[str, Any], sorter: Sorter) -> None:
        self._objects += 1
        file, found = self._store.fetch(part["snapshot"])
        with file:
            if found != part["sha256"]:
                raise DamagedObject(part["snapshot"], "its SHA-256 is not that in the baseline's manifest")
            for keys, item in page_items(part["snapshot"], file.read()):
                digest = key_digest(keys)
                if self._only is None or digest == self._only:
                    line = json.dumps({"keys": keys, "item": item}, separators=(",", ":")).encode()
                    sorter.add(self._partition(digest) + digest + _SOURCE, line)

    def _partition(self, digest: bytes) -> bytes:
        return (int.from_bytes(digest[:8], "big") * self._request.partitions >> 64).to_bytes(4, "big")

    def _write(self, part: dict[str, Any], sorter: Sorter) -> None:
        hour = re.sub(r"\D", "", part["hour"].removeprefix(self._prefix)) if "hour" in part else "0" * 10
        entries = self._last_of_items(sorter.sorted()) if self._request.target["kind"] == TABLE else sorter.sorted()
        for partition, found in itertools.groupby(entries, lambda entry: entry[0][:4]):
            with tempfile.TemporaryFile() as file:
                with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                    for key, line in found:
                        packed.write(key.rsplit(_SOURCE, 1)[1] + b"\t" + line + b"\n")
                file.seek(0)
                name = f"split/{int.from_bytes(partition, 'big'):05d}/{hour}-{part['n']:08d}.gz"
                self._room.put(name, file)

    @staticmethod
    def _last_of_items(entries: Iterator[Entry]) -> Iterator[Entry]:
        """Of the changes of an item in this slice the last one, which tells its state."""
        for _item, found in itertools.groupby(entries, lambda entry: entry[0][: 4 + 32]):
            *_before, last = found
            yield last


def check_slices(room: Room, request: Request) -> dict[str, Any]:
    """What the slices were in all; RequestRefused where the log is damaged and the state of a table is asked for."""
    planned = room.read_json("plan.json")
    totals: Counter[str] = Counter()
    selected: Counter[str] = Counter()
    findings = Findings()
    keys = [each.key.removeprefix(room.folder) for each in room.list("slices/")]
    with ThreadPoolExecutor(WORKERS) as pool:
        for told in pool.map(room.read_json, keys):
            totals.update({name: told[name] for name in ("read", "objects")})
            selected.update(told["selected"])
            part = told["findings"]
            findings.take(Findings(part["damaged"], part["foreign"], [tuple(each) for each in part["conflicting"]]))
    if len(keys) != planned["slices"]:
        raise RuntimeError(f"{planned['slices']} slices were planned, and {len(keys)} are done.")
    told = {
        **totals,
        "selected": dict(selected),
        "findings": {
            "count": findings.count,
            "damaged": findings.damaged,
            "foreign": findings.foreign,
            "conflicting": findings.conflicting,
        },
    }
    room.put_json("log.json", told)
    if findings.count and request.target["kind"] == TABLE:
        raise RequestRefused(
            f"The log cannot be read whole, so the state of the items cannot be told: "
            f"{' '.join(findings.sentences()[:10])} Nothing was written."
        )
    return {**totals, "findings": findings.count}


# --- apply -----------------------------------------------------------------------------------------------------------


class LaneJournal:
    """Where the lanes of a partition are, an object a lane.

    Each object is written on top of the one that was read or written before, and on no other. So a worker that was left
    behind, after a timeout or a stop, ends at its next batch when another one has taken its lanes over.
    """

    def __init__(self, room: Room, partition: int, lanes: int, every: float = 0) -> None:
        """``every``: seconds between two objects of a lane; for targets that take the same again without harm."""
        self._room, self._lanes, self._every = room, lanes, every
        self._folder = f"lanes/{partition:05d}/"
        self._owner, self._closed = secrets.token_hex(8), False
        self._etags: dict[int, str | None] = {}
        self._written: dict[int, float] = {}
        self._kept: dict[int, dict[str, Any]] = {}

    def take_over(self) -> dict[int, Position]:
        """Where the lanes are. From here on they are this worker's."""
        found = {}
        for lane in range(self._lanes):
            for attempt in range(_TRIES):
                line, self._etags[lane] = self._room.read_tagged(self._name(lane))
                found[lane] = Position.read(line) if line else Position()
                try:
                    self._put(lane, line or Position().line())
                    break
                except Overtaken:
                    if attempt == _TRIES - 1:
                        raise
        return found

    def write(self, lane: int, line: dict[str, Any]) -> None:
        if self._closed:
            return
        if time.monotonic() - self._written[lane] < self._every:
            self._kept[lane] = line
            return
        self._put(lane, line)

    def close(self) -> None:
        for lane, line in list(self._kept.items()):
            self._put(lane, line)
        self._closed = True

    def _name(self, lane: int) -> str:
        return f"{self._folder}{lane:02d}.json"

    def _put(self, lane: int, line: dict[str, Any]) -> None:
        # The owner makes the content, and so the tag, another one.
        told = {**line, "owner": self._owner}
        self._etags[lane] = self._room.put_on_top(self._name(lane), told, self._etags[lane])
        self._written[lane] = time.monotonic()
        self._kept.pop(lane, None)


def apply(
    room: Room, request: Request, partition: int, target: Target, *, rate: float, remaining: Callable[[], float]
) -> dict[str, Any]:
    """Send what a partition holds. Not done when the time was too short: then it goes on where it was."""
    former = room.read_json(f"results/{partition:05d}.json")
    if former and not former["failing_count"]:
        return {"done": True}
    is_table = request.target["kind"] == TABLE
    reserve = min(90.0, remaining() / 3)

    def check() -> None:
        if remaining() < reserve:
            raise OutOfTime

    journal = LaneJournal(room, partition, request.lanes, every=2 if is_table else 0)
    positions = journal.take_over()
    partitioned = _Partition(room, partition, check, positions, request.lanes)
    delivery = Delivery(
        target,
        request.lanes,
        journal,
        positions,
        rate=rate,
        timeout=min(request.timeout, remaining() / 2),
        check=check,
    )
    try:
        delivery.run(partitioned.items(target) if is_table else partitioned.changes(target))
    except OutOfTime:
        return {"done": False}
    finally:
        journal.close()
    failing = delivery.failing
    told = {
        "counts": dict(delivery.counts),
        "bytes": delivery.bytes,
        "failing": failing[:MOST_TOLD],
        "failing_count": len(failing),
        "held": delivery.held,
        "duplicates": partitioned.duplicates,
        "conflicting": partitioned.conflicting,
    }
    room.put_json(f"results/{partition:05d}.json", told)
    return {"done": True}


class _Partition:
    """What was split off for one partition."""

    def __init__(
        self, room: Room, partition: int, check: Callable[[], None], positions: dict[int, Position], lanes: int
    ) -> None:
        self._room, self._check = room, check
        self._positions = [positions.get(lane, Position()) for lane in range(lanes)]
        self._keys = [each.key for each in room.list(f"split/{partition:05d}/")]
        self.duplicates = self.conflicting = 0

    def items(self, target: Any) -> Iterator[Unit]:
        """The state of each item that there is."""
        found = Items()
        for key in self._keys:
            self._check()
            for source, line in self._lines(key):
                told = json.loads(line)
                if source:
                    change = read_change(line, source)
                    found.add_change(trusted_change(line, source, change.place))
                else:
                    found.add_snapshot(told["keys"], told["item"])
        for item in found.all(Start()):
            if item.state is not None:
                yield target.unit(item)

    def changes(self, target: Any) -> Iterator[Unit]:
        """Each change once, by hour, stream and number."""
        former = b""
        copies: list[bytes] = []
        for at, source, line in self._in_order():
            if at == former:
                self.duplicates += 1
                if not any(same_change(line, copy) for copy in copies):
                    self.conflicting += 1
                    copies.append(line)
                continue
            former, copies = at, [line]
            yield target.unit(trusted_change(line, source, at[14:]), at)

    def _in_order(self) -> Iterator[tuple[bytes, str, bytes]]:
        # The lanes are all behind it, and nothing of it is to be tried again. A place begins with its hour.
        retried = any(position.retrying for position in self._positions)
        least = b"" if retried else min(position.at for position in self._positions)
        begin = re.sub(r"\D", "", least[:13].decode())
        for hour, found in itertools.groupby(self._keys, _hour_in):
            keys = list(found)
            if hour < begin:
                continue
            sorter = Sorter()
            for key in keys:
                self._check()
                if len(keys) <= _MOST_OPEN:
                    sorter.add_sorted(self._entries(key))
                else:
                    for entry in self._entries(key):
                        sorter.add(*entry)
            for at_and_source, line in sorter.sorted():
                at, source = at_and_source.rsplit(_SOURCE, 1)
                yield at, source.decode(), line

    def _entries(self, key: str) -> Iterator[Entry]:
        for source, line in self._lines(key):
            change = read_change(line, source)
            yield change.time[:13].encode() + b" " + change.place + _SOURCE + source.encode(), line

    def _lines(self, key: str) -> Iterator[tuple[str, bytes]]:
        file, _digest = self._room.store.fetch(key)
        with file:
            for line in gzip.GzipFile(fileobj=file):
                source, _tab, rest = line.rstrip(b"\n").partition(b"\t")
                yield source.decode(), rest


def _hour_in(key: str) -> str:
    """The hour in the name of a file that was split off, as digits; nothing but zeros for a baseline."""
    return key.rpartition("/")[2].partition("-")[0]


# --- collect, clean --------------------------------------------------------------------------------------------------


def collect(room: Room, request: Request) -> dict[str, Any]:
    """Sum up what became of it, in result.json."""
    planned, log = room.read_json("plan.json"), room.read_json("log.json")
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failing: list[dict[str, Any]] = []
    names = [f"results/{partition:05d}.json" for partition in range(planned["partitions"])]
    missing = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for partition, told in enumerate(pool.map(room.read_json, names)):
            if told is None:
                missing.append(partition)
                continue
            counts.update(told["counts"])
            totals.update(
                {name: told[name] for name in ("bytes", "failing_count", "held", "duplicates", "conflicting")}
            )
            failing += told["failing"][: MOST_TOLD - len(failing)]
    complete = (
        not missing and not totals["failing_count"] and not totals["conflicting"] and not log["findings"]["count"]
    )
    result = {
        "schema": "cloudcdc.replay-result/1",
        "id": request.id,
        "complete": complete,
        "from": f"{request.start:%Y-%m-%dT%H:%M:%SZ}",
        "to": f"{request.end:%Y-%m-%dT%H:%M:%SZ}",
        "slices": planned["slices"],
        "partitions": planned["partitions"],
        "unfinished_partitions": missing,
        "selected": log["selected"],
        "objects": log["objects"],
        "sent": dict(counts),
        "bytes": totals["bytes"],
        "failing": failing,
        "failing_count": totals["failing_count"],
        "held_back": totals["held"],
        "duplicates": totals["duplicates"],
        "findings": {**log["findings"], "conflicting_copies": totals["conflicting"]},
    }
    room.put_json("result.json", result)
    return {"complete": complete, "sent": sum(counts.values()), "failing": totals["failing_count"]}


def clean(room: Room, remaining: Callable[[], float]) -> dict[str, Any]:
    """Remove what lay between. The request and the result stay."""
    return {"done": room.remove(("split/", "lanes/", "results/", "slices/"), remaining)}
