"""What a restart starts from: one JSON file a mapping, replaced as a whole and never ahead of what was done."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local_cloud.poller.model import Saved


def replace_text(path: Path, text: str) -> None:
    """Write a file in one step: whoever is killed leaves the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


class MappingStore:
    """The file of one mapping: where each of its shards is, and whether its starting position was taken."""

    def __init__(self, path: Path, stream_arn: str) -> None:
        self._path, self._stream_arn = path, stream_arn
        self._lock = threading.Lock()
        self._forgotten = False
        kept = self._read()
        #: The starting position is fixed: what is not named in ``shards`` is read from its beginning.
        self.placed: bool = bool(kept)
        self._shards = {shard: Saved(**saved) for shard, saved in kept.get("shards", {}).items()}

    def saved(self) -> dict[str, Saved]:
        with self._lock:
            return dict(self._shards)

    def place(self, shards: dict[str, Saved]) -> None:
        """Fix the starting position, before anything is read on."""
        with self._lock:
            self._shards, self.placed = dict(shards), True
            self._write()

    def save(self, shard_id: str, saved: Saved) -> None:
        with self._lock:
            if self._shards.get(shard_id) != saved:
                self._shards[shard_id] = Saved(**asdict(saved))
                self._write()

    def keep_only(self, shard_ids: set[str]) -> None:
        """Forget the shards that the stream has no more."""
        with self._lock:
            gone = self._shards.keys() - shard_ids
            if gone:
                self._shards = {shard: saved for shard, saved in self._shards.items() if shard not in gone}
                self._write()

    def forget(self) -> None:
        """The mapping is gone: so is its file, whatever still ends."""
        with self._lock:
            self._forgotten = True
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return kept if kept.get("stream_arn") == self._stream_arn else {}

    def _write(self) -> None:
        if self._forgotten:
            return
        shards = {shard: asdict(saved) for shard, saved in self._shards.items()}
        replace_text(self._path, json.dumps({"stream_arn": self._stream_arn, "shards": shards}))


class Store:
    """The poller's state folder: checkpoints, and the mappings' LastProcessingResult for the local cloud to show."""

    def __init__(self, folder: Path) -> None:
        self._checkpoints, self._results = folder / "checkpoints", folder / "results"
        for each in (self._checkpoints, self._results):
            each.mkdir(parents=True, exist_ok=True)
        self._lock_file = (folder / "lock").open("w")

    def lock(self, waiting: Callable[[], None]) -> None:
        """Wait until no other poller has this folder; a process that ends, however it does, gives it back."""
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)

    def mapping(self, uuid: str, stream_arn: str) -> MappingStore:
        return MappingStore(self._checkpoints / f"{uuid}.json", stream_arn)

    def tell(self, uuid: str, result: str) -> None:
        replace_text(self._results / uuid, result)

    def mappings(self) -> set[str]:
        """The mappings that something is kept of."""
        results = {path.name for path in self._results.iterdir() if path.suffix != ".new"}
        return results | {path.stem for path in self._checkpoints.glob("*.json")}

    def forget(self, uuid: str) -> None:
        (self._checkpoints / f"{uuid}.json").unlink(missing_ok=True)
        (self._results / uuid).unlink(missing_ok=True)
