"""The poller: follows the list of event source mappings, and runs those that read DynamoDB streams."""

from __future__ import annotations

import json
import sys
import threading
import time
import traceback
from collections.abc import Set
from pathlib import Path
from typing import Any

from local_cloud.poller import aws
from local_cloud.poller.mapping import MappingRunner, Service
from local_cloud.poller.metrics import Metrics
from local_cloud.poller.model import RETENTION_SECONDS
from local_cloud.poller.records import is_stream
from local_cloud.poller.store import Store

LIST_SECONDS = 0.5
#: A mapping is gone once so many listings in a row do not name it. One that a list leaves out, since it lags behind,
#: must not lose its place.
GONE_AFTER = 3
#: Invocations under way at once, over all mappings, that keep their connection.
CONNECTIONS = 200

_printing = threading.Lock()


def log(event: str, **details: Any) -> None:
    """One JSON line for an event worth telling. Never with item data."""
    line = json.dumps({"time": round(time.time(), 3), "event": event, **details})
    with _printing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Poller:
    def __init__(
        self,
        state: Path,
        endpoint_url: str | None = None,
        region: str | None = None,
        publish_metrics: bool = True,
        retention_seconds: int = RETENTION_SECONDS,
    ) -> None:
        clients = aws.Aws(endpoint_url, region)
        self._store = Store(state)
        self._store.lock(lambda: log("another poller has the state folder: waiting until it ends"))
        self._metrics = Metrics(clients.client("cloudwatch") if publish_metrics else None, log)
        self._lambda = clients.client("lambda")
        self._service = Service(
            aws=clients,
            lambda_client=clients.client("lambda", seconds=aws.INVOKE_SECONDS, connections=CONNECTIONS),
            sts=clients.client("sts"),
            store=self._store,
            metrics=self._metrics,
            log=log,
            retention_seconds=retention_seconds,
        )
        self._runners: dict[str, MappingRunner] = {}
        #: Mappings that cannot be followed, as they were when that was told.
        self._broken: dict[str, dict[str, Any]] = {}
        self._failing = False
        #: How many listings in a row did not name a mapping.
        self._unlisted: dict[str, int] = {}

    def run(self) -> None:
        """Poll for ever."""
        log("poller started")
        threading.Thread(target=self._metrics.run, name="metrics", daemon=True).start()
        while True:
            self._follow()
            time.sleep(LIST_SECONDS)

    def _follow(self) -> None:
        try:
            mappings = self._listed()
        except aws.AWS_ERRORS as error:
            if not self._failing:
                log("mappings are not listed", code=aws.code(error), message=aws.said(error))
            self._failing = True
            return
        self._failing = False
        try:
            self._apply(mappings)
        except Exception:
            log("error in the poller", trace=traceback.format_exc())

    def _listed(self) -> dict[str, dict[str, Any]]:
        """Every mapping of a DynamoDB stream, by its UUID."""
        pages = self._lambda.get_paginator("list_event_source_mappings").paginate()
        mappings = [mapping for page in pages for mapping in page["EventSourceMappings"]]
        return {each["UUID"]: each for each in mappings if is_stream(each.get("EventSourceArn", ""))}

    def _apply(self, mappings: dict[str, dict[str, Any]]) -> None:
        for uuid, mapping in mappings.items():
            # Its result is our own answer, and would make it look changed.
            mapping.pop("LastProcessingResult", None)
            try:
                self._follow_one(uuid, mapping)
            except Exception:  # one mapping must not keep the others from going on
                if self._broken.get(uuid) != mapping:
                    log("error in the poller", mapping=uuid, trace=traceback.format_exc())
                self._broken[uuid] = mapping
        self._broken = {uuid: mapping for uuid, mapping in self._broken.items() if uuid in mappings}
        for uuid in self._gone(mappings.keys()):
            if uuid in self._runners:
                self._runners.pop(uuid).forget()
            self._store.forget(uuid)

    def _gone(self, listed: Set[str]) -> list[str]:
        known = self._runners.keys() | self._store.mappings()
        self._unlisted = {uuid: self._unlisted.get(uuid, 0) + 1 for uuid in known - listed}
        return [uuid for uuid, times in self._unlisted.items() if times >= GONE_AFTER]

    def _follow_one(self, uuid: str, mapping: dict[str, Any]) -> None:
        if uuid in self._runners:
            self._runners[uuid].update(mapping)
        elif mapping["State"] != "Deleting":
            self._runners[uuid] = MappingRunner(self._service, mapping)
